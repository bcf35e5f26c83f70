"""A result in a notebook: the table of the command line as HTML, and as a frame of pandas.

Whatever comes from an index or a query is escaped, and control characters are made visible. Nothing is loaded from
elsewhere: no script, no style sheet, no image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from math import prod
from typing import Any

from hybrid_search.errors import MissingExtraError
from hybrid_search.found import FacetCounts, Highlighted
from hybrid_search.printed import one_line, visible
from hybrid_search.records import Hit, Leg, LegScore, Placed, SearchResult
from hybrid_search.search.facets_table import WHAT
from hybrid_search.search.snippet import snippet
from hybrid_search.search.table import SNIPPET, footer, passage_under, title_of

BAR = 90
"""Pixels of the widest bar."""

FACET_LINES = 15

COLOURS: Mapping[str, str] = {Leg.BM25: "#d29922", Leg.DENSE: "#1f9bb0", Leg.SPARSE: "#b65ac7"}
ANOTHER = "#4078c0"
DIM = "opacity:.65"
CELL = "text-align:left;vertical-align:top;padding:.3em .8em;border-top:1px solid rgba(128,128,128,.35)"
NUMBER = CELL.replace("left", "right", 1) + ";white-space:nowrap"


@dataclass(frozen=True, slots=True)
class Shown:
    """Shows results of one index, in which ``title_field`` is the field that names a document."""

    title_field: str | None = None

    def html(self, result: SearchResult) -> str:
        """The table under the query, how it was made, facets and warnings."""
        head = f"<div><b>{_said(result.query.text)}</b></div>"
        table = self._table(result) if result.hits else f'<div style="{DIM}">nothing found</div>'
        made = f'<div style="{DIM}">{_said(footer(result))}</div>'
        warnings = (f'<div style="color:#d1242f">warning: {_said(str(one))}</div>' for one in result.warnings)
        facets = (_facet(name, counts) for name, counts in result.facets.items())
        return f'<div style="font-size:90%">{head}{table}{made}{"".join(facets)}{"".join(warnings)}</div>'

    def frame(self, result: SearchResult) -> Any:
        """A row for each hit; see :meth:`SearchResult.to_pandas`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            pd = import_module("pandas")  # untyped where its stubs are not installed
        except ModuleNotFoundError as error:
            if error.name != "pandas":
                raise
            raise MissingExtraError("A frame of results", "frames") from error
        rows = [_row(hit, result) for hit in result.hits]
        return pd.DataFrame(rows, columns=list(dict.fromkeys(name for row in rows for name in row)) or OWN)

    def _table(self, result: SearchResult) -> str:
        moved = any(hit.boosts or hit.placed for hit in result.hits)
        ends = ["fused", *(["boosted"] if moved else []), *(["reranked"] if result.reranker is not None else [])]
        names = [("#", NUMBER), ("found", CELL), *((leg, NUMBER) for leg in result.legs), *((n, NUMBER) for n in ends)]
        header = "".join(f'<th style="{style}">{_said(name)}</th>' for name, style in names)
        largest = max((hit.fused for hit in result.hits), default=0.0)
        rows = "".join(f"<tr>{''.join(self._cells(hit, result, largest, moved=moved))}</tr>" for hit in result.hits)
        return f'<table style="border-collapse:collapse"><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>'

    def _cells(self, hit: Hit, result: SearchResult, largest: float, *, moved: bool) -> Iterator[str]:
        yield _cell(f"<b>{hit.rank}</b>", NUMBER)
        yield _cell(self._found(hit, result))
        for leg in result.legs:
            yield _cell(_leg(hit.legs.get(leg)), f"{NUMBER};color:{COLOURS.get(leg, ANOTHER)}")
        yield _cell(f"{hit.fused:.4f}{_bar(hit, largest)}", NUMBER)
        if moved:
            yield _cell(_boosted(hit), NUMBER)
        if result.reranker is not None:
            yield _cell(_reranked(hit), NUMBER)

    def _found(self, hit: Hit, result: SearchResult) -> str:
        title = title_of(hit, self.title_field)
        named = "" if title == hit.id else f' <span style="{DIM}">{_said(hit.id)}</span>'
        pieces = [f"<div>{_piece(one)}</div>" for one in hit.highlights]
        shown = "".join(pieces) or f"<div>{_snippet(passage_under(hit, title), result.query.text)}</div>"
        further = (f'<div style="{DIM}">+ {_said(one.id)} {_said(one.text[:SNIPPET])}</div>' for one in hit.passages)
        return f"<b>{_said(title)}</b>{named}{shown}{''.join(further)}"


def _said(text: str) -> str:
    """A text on one line, its control characters visible and its signs escaped."""
    return escape(one_line(" ".join(text.split())))


def _cell(inner: str, style: str = CELL) -> str:
    return f'<td style="{style}">{inner}</td>'


def _snippet(passage: str, query: str) -> str:
    """The sentences that have the words of the query, which are marked."""
    shown = snippet(passage, query, width=SNIPPET)
    before = "… " if shown.start > 0 else ""
    after = " …" if shown.end < len(passage.rstrip()) else ""
    return f"{before}{_marked(shown.text, shown.marks)}{after}"


def _piece(one: Highlighted) -> str:
    return _marked(one.text, [(start - one.start, end - one.start) for start, end in one.marks])


def _marked(text: str, marks: Sequence[tuple[int, int]]) -> str:
    parts, at = list[str](), 0
    for start, end in marks:
        parts += [escape(visible(text[at:start])), f"<mark>{escape(visible(text[start:end]))}</mark>"]
        at = end
    return "".join([*parts, escape(visible(text[at:]))])


def _leg(found: LegScore | None) -> str:
    return "-" if found is None else f'{found.rank}<div style="{DIM}">{found.score:.3f}</div>'


def _bar(hit: Hit, largest: float) -> str:
    """What each leg contributed to the fused score, a piece of the bar each."""
    if not largest > 0:
        return ""
    pieces = "".join(
        f'<span title="{_said(f"{leg} {found.contribution:.4f}")}" style="display:inline-block;height:.4em;'
        f"width:{max(0.0, BAR * found.contribution / largest):.1f}px;background:{COLOURS.get(leg, ANOTHER)}"
        f'"></span>'
        for leg, found in hit.legs.items()
    )
    return f'<div style="width:{BAR}px;background:rgba(128,128,128,.2);text-align:left;line-height:.4em">{pieces}</div>'


def _boosted(hit: Hit) -> str:
    if hit.placed is not None:
        return "buried" if hit.placed is Placed.BURIED else "pinned"
    factor = prod(hit.boosts.values())
    return f'{hit.fused * factor:.4f}<div style="{DIM}">x {factor:.3f}</div>'


def _reranked(hit: Hit) -> str:
    if hit.rerank is None:
        return "-"
    return f'{hit.rerank.combined:.4f}<div style="{DIM}">was {hit.rerank.rank_before}</div>'


def _facet(name: str, found: FacetCounts) -> str:
    """A line for each value, with a bar."""
    head = f"{'' if found.exact else 'about '}{found.documents:,} {WHAT[found.counts]}"
    title = f'<div><b>{_said(name)}</b> <span style="{DIM}">of {_said(head)}</span></div>'
    if found.kind == "min-max":
        span = "no value" if found.minimum is None else f"{found.minimum} to {found.maximum}"
        return f"{title}<div>{_said(span)}</div>"
    most = max((value.count for value in found.values), default=0)
    lines = [
        f'<tr><td style="text-align:left">{_said(str(value.value))}</td><td style="text-align:right">{value.count:,}'
        f'</td><td style="text-align:left"><span style="display:inline-block;height:.5em;background:{ANOTHER};'
        f'width:{BAR * value.count / (most or 1):.1f}px"></span></td></tr>'
        for value in found.values[:FACET_LINES]
    ]
    rest = len(found.values) - len(lines)
    more = f'<div style="{DIM}">… and {rest:,} more</div>' if rest > 0 else ""
    return f"{title}<table>{''.join(lines)}</table>{more}"


OWN = ["rank", "id", "score", "fused", "text", "passage_id", "start", "end"]
"""Columns that every frame has."""


def _row(hit: Hit, result: SearchResult) -> dict[str, Any]:
    row = {name: getattr(hit, name) for name in OWN}
    for leg in result.legs:
        found = hit.legs.get(leg)
        row |= {f"{leg}.{name}": None if found is None else getattr(found, name) for name in LEG}
    if result.reranker is not None:
        row["reranked"] = None if hit.rerank is None else hit.rerank.score
    return row | {(name if name not in row else f"fields.{name}"): value for name, value in hit.fields.items()}


LEG = ("rank", "score", "contribution")
"""Columns of each leg, behind its name and a dot."""
