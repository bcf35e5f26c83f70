"""What comes of all that is known of a document, in a sentence; and all of it as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from hybrid_search.errors import counted
from hybrid_search.printed import one_line, visible
from hybrid_search.records import Placed
from hybrid_search.search.why_not_records import Change, LegPlace, QueryWord, Reason, Standing, WhyNot

if TYPE_CHECKING:
    from rich.panel import Panel

TERMS = 5
"""Sparse terms that are shown, those with the largest products."""

_LABEL = 10


def verdict_of(found: WhyNot) -> WhyNot:
    """The same with its verdict."""
    return replace(found, verdict=_VERDICTS[found.reason](found))


def _absent(found: WhyNot) -> str:
    return f"{found.id} is not in the index"


def _filtered(found: WhyNot) -> str:
    failed = [one for one in found.conditions if not one.passes]
    return f"the filter removes it: {' and '.join(one.text for one in failed)}"


def _on_page(found: WhyNot) -> str:
    return f"it is on the page: rank {found.rank}"


def _above(found: WhyNot) -> str:
    return f"it is on an earlier page: rank {found.rank}, and this one begins at {found.first}"


def _below(found: WhyNot) -> str:
    standing = found.document
    if standing is None or standing.fused_rank is None:
        return "it is below the page"
    if standing.placed is Placed.BURIED:
        return f"it is buried, behind all others: rank {standing.fused_rank}"
    rank, what = (found.rank, "") if found.rank is not None else (standing.fused_rank, " of the fused ranking")
    if rank <= found.last:
        return f"it had rank {rank}{what}, and a later stage left it out"
    return f"it is below the page: rank {rank}{what}, and the page ends at {found.last}"


def _not_found(found: WhyNot) -> str:
    matching = [place for place in found.legs if place.rank is not None]
    if not matching:
        return "no leg matches it"
    nearest = min(matching, key=lambda place: place.rank or 0)
    if nearest.missed_by_graph:
        return f"the graph search missed it: by exact search it has rank {nearest.rank} in the {nearest.leg} leg"
    return (
        f"no leg ranks it among its first {nearest.window:,}: the nearest is {nearest.leg} with rank {nearest.rank:,}"
    )


def _left_out(found: WhyNot) -> str:
    limits = ", ".join(f"{field}={most}" for field, most in found.max_per.items())
    rank = None if found.document is None else found.document.fused_rank
    return f"hits above it have the same values, and max_per ({limits}) leaves it out: its fused rank is {rank}"


_VERDICTS = {
    Reason.NOT_IN_INDEX: _absent,
    Reason.FILTERED: _filtered,
    Reason.ON_PAGE: _on_page,
    Reason.ABOVE_PAGE: _above,
    Reason.BELOW_PAGE: _below,
    Reason.NOT_FOUND: _not_found,
    Reason.LEFT_OUT: _left_out,
}


def why_not_lines(found: WhyNot) -> Iterator[str]:
    """Lines of plain text that say it all, the verdict first."""
    yield found.verdict[:1].upper() + found.verdict[1:] if found.reason is not Reason.NOT_IN_INDEX else found.verdict
    yield from found.known
    if found.nearest:
        yield f"ids like it: {', '.join(one_line(id_) for id_ in found.nearest)}"
    if found.reason is Reason.NOT_IN_INDEX:
        return
    yield ""
    yield from _leg_lines(found)
    yield from _word_lines(found)
    yield from _term_lines(found)
    yield from _condition_lines(found)
    yield from _standing_lines(found)
    yield from _change_lines(found)
    yield from (f"{'note':<{_LABEL}}{note}" for note in found.notes)


def _leg_lines(found: WhyNot) -> Iterator[str]:
    yield f"{'leg':<{_LABEL}}{'rank':>7}  {'score':>9}  {'adds':>7}"
    for place in found.legs:
        rank = "-" if place.rank is None else f"{place.rank:,}"
        score = "-" if place.score is None else f"{place.score:.4f}"
        yield f"{place.leg:<{_LABEL}}{rank:>7}  {score:>9}  {place.contribution:>7.4f}{_said_of(place)}"


def _said_of(place: LegPlace) -> str:
    said = [] if place.cosine is None else [f"cosine {place.cosine:.3f}"]
    if place.failure is not None:
        said.append(f"failed: {place.failure}")
    elif place.missed_by_graph:
        said.append("the graph search missed it")
    elif place.score is None:
        said.append("does not match it")
    elif place.filtered:
        said.append("if it passed the filter")
    elif place.found_at is None and place.rank is not None and place.told:
        said.append(f"beyond the window of {place.window:,}")
    return f"  {', '.join(said)}" if said else ""


def _word_lines(found: WhyNot) -> Iterator[str]:
    if not found.words:
        return
    groups = {
        "has": [word for word in found.words if word.passages],
        "lacks": [word for word in found.words if word.terms and not word.passages],
        "stop word": [word for word in found.words if word.is_stop_word],
    }
    said = [f"{name} {', '.join(map(_word, words))}" for name, words in groups.items() if words]
    yield f"{'words':<{_LABEL}}{'; '.join(said)}"


def _word(word: QueryWord) -> str:
    return word.text if not word.terms or word.terms == (word.text,) else f"{word.text} ({' '.join(word.terms)})"


def _term_lines(found: WhyNot) -> Iterator[str]:
    for n, term in enumerate(found.terms[:TERMS]):
        label = "terms" if n == 0 else ""
        name = term.term if term.word is None else term.word
        yield f"{label:<{_LABEL}}{name}  {term.query:.3f} x {term.stored:.3f} = {term.product:.3f}"
    if len(found.terms) > TERMS:
        rest = found.terms[TERMS:]
        more = f"and {counted(len(rest), 'term', 'terms')} more, together {sum(term.product for term in rest):.3f}"
        yield f"{'':<{_LABEL}}{more}"


def _condition_lines(found: WhyNot) -> Iterator[str]:
    for n, one in enumerate(found.conditions):
        values = ", ".join(f"{name} is {'missing' if value is None else value}" for name, value in one.values.items())
        said = "passes" if one.passes else f"removes it{': ' if values else ''}{values}"
        yield f"{'filter' if n == 0 else '':<{_LABEL}}{one.text} {said}"


def _standing_lines(found: WhyNot) -> Iterator[str]:
    mine, last = found.document, found.last_hit
    if mine is not None and mine.fused is not None:
        boosts = "".join(f", x {factor:.3f} by {name}" for name, factor in mine.boosts.items())
        placed = "" if mine.placed is None else f", {mine.placed}"
        said = f"{mine.fused:.4f}, rank {mine.fused_rank} of {found.of} by {found.fusion}{boosts}{placed}"
        yield f"{'fused':<{_LABEL}}{said}"
    if found.reranker_score is not None:
        yield f"{'reranker':<{_LABEL}}{found.reranker_score:.4f}{_reranked(mine)}"
    if last is not None and not found.is_on_page:
        score = f"fused {last.fused:.4f}{_with_reranker(last)}"
        yield f"{'last hit':<{_LABEL}}{one_line(last.id)}, rank {last.rank}, {score}"


def _reranked(mine: Standing | None) -> str:
    if mine is None or mine.rerank is None:
        return ", if it had read it: below the reranked window"
    return f", combined {mine.rerank.combined:.4f}, rank {mine.rerank.rank_before} -> {mine.rank}"


def _with_reranker(last: Standing) -> str:
    return "" if last.rerank is None else f", reranker {last.rerank.score:.4f}, combined {last.rerank.combined:.4f}"


def _change_lines(found: WhyNot) -> Iterator[str]:
    for n, change in enumerate(found.changes):
        yield f"{'brings in' if n == 0 else '  or':<{_LABEL}}{_change(change)} (rank {change.rank})"
    if not found.changes and found.reason in {Reason.BELOW_PAGE, Reason.NOT_FOUND}:
        yield f"{'brings in':<{_LABEL}}{_nothing(found)}"


def _nothing(found: WhyNot) -> str:
    """What was looked for in vain."""
    document = found.document
    if document is not None and document.placed is Placed.BURIED:
        return "to bury it no more"
    if not all(place.told for place in found.legs):
        return "not known: the server fused, and does not say what each leg found"
    if document is not None and document.rerank is not None:
        return "no share of the reranker"
    return "no weight of one leg alone, and no wider window"


def _change(change: Change) -> str:
    return {"weights": "--weights ", "window": "--window ", "rerank-weight": "--set rerank.weight="}[
        change.kind
    ] + change.setting


def why_not_panel(found: WhyNot) -> Panel:
    """All of it as a rich panel."""
    from rich.panel import Panel
    from rich.text import Text

    lines = Text(visible("\n".join(why_not_lines(found))))
    for leg, colour in _colours():
        lines.highlight_regex(rf"(?m)^{leg}\b", colour)
    lines.highlight_regex(r"(?m)^(words|terms|filter|fused|reranker|last hit|brings in|leg .*|note)", "bold")
    lines.stylize("bold", 0, len(visible(found.verdict)))
    title = Text(visible(f"why not {found.id}? {found.query}"))
    return Panel(lines, title=title, title_align="left", border_style="dim")


def _colours() -> Iterator[tuple[str, str]]:
    from hybrid_search.search.table import COLOURS

    yield from COLOURS.items()
