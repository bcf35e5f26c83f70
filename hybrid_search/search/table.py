"""Results as a table for a terminal: what was found, and what each leg, the fusion and the reranker thought of it.

Wide terminals get a column per leg; below :data:`WIDE` columns the legs go under the snippet. Used by the command
line and the demo; rich is imported when a table is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from hybrid_search.fields import value_at
from hybrid_search.printed import one_line, visible
from hybrid_search.records import Hit, Leg, LegScore, Placed, SearchResult
from hybrid_search.search.facets_table import facets_view
from hybrid_search.search.highlight_view import highlights_view
from hybrid_search.search.snippet import snippet

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

WIDE = 100
BAR = 10
SNIPPET = 170
FURTHER = 80
"""Characters of a further passage of a hit."""
TITLE_FIELDS = ("title", "name")
TITLE_WORDS = frozenset({"title", "headline", "heading", "subject"})
"""A field whose name has one of these words names a document too: ``Product Title``, ``page_title``."""

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
COLOURS: Mapping[str, str] = {Leg.BM25: "yellow", Leg.DENSE: "cyan", Leg.SPARSE: "magenta"}
ANOTHER = "blue"
"""The colour of legs that do not come with the package."""


def result_table(result: SearchResult, *, width: int, title_field: str | None = None) -> Table:
    """The hits of ``result`` in at most ``width`` columns.

    ``title_field`` is the field that names a document (``documents.title``); see :func:`title_of`.
    """
    from rich import box
    from rich.table import Table

    wide = width >= WIDE
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, header_style="bold", width=width)
    table.add_column("#", justify="right", style="bold", no_wrap=True)
    table.add_column("found", ratio=1, overflow="fold")
    if wide:
        for leg in result.legs:
            colour = COLOURS.get(leg, ANOTHER)
            table.add_column(leg, justify="right", no_wrap=True, style=colour, header_style=colour)
    table.add_column("fused", justify="right", no_wrap=True)
    moved = any(hit.boosts or hit.placed for hit in result.hits)
    if moved:
        table.add_column("boosted", justify="right", no_wrap=True)
    if result.reranker is not None:
        table.add_column("reranked", justify="right", no_wrap=True)
    largest = max((hit.fused for hit in result.hits), default=0.0)
    for hit in result.hits:
        cells: list[RenderableType] = [str(hit.rank), _found(hit, result, title_field, wide=wide)]
        cells += [_leg_cell(hit.legs.get(leg)) for leg in result.legs] if wide else []
        cells.append(_fused(hit, largest))
        cells += [_boosted(hit)] if moved else []
        cells += [_reranked(hit)] if result.reranker is not None else []
        table.add_row(*cells)
    return table


def result_view(result: SearchResult, *, width: int, title_field: str | None = None) -> RenderableType:
    """The table under the query, with a line of how it was made and any warnings."""
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble(("? ", "bold green"), (visible(result.query.text), "bold"))
    table: RenderableType = result_table(result, width=width, title_field=title_field)
    if not result.hits:
        table = Text("  nothing found", style="dim")
    warnings = [Text(visible(f"  warning: {warning}"), style="red") for warning in result.warnings]
    made = Text(visible(f"  {footer(result, width)}"), style="dim")
    return Group(head, table, made, *facets_view(result.facets), *warnings)


def title_of(hit: Hit, title_field: str | None = None) -> str:
    """What names the document: ``title_field``, else a field that is called a title, else its id."""
    return title_in(hit.fields, title_field) or hit.id


def title_in(fields: Mapping[str, Any], title_field: str | None = None) -> str | None:
    """The value of ``title_field``, else of a field that is called a title, on one line; None where there is none."""
    called = (name for name in fields if TITLE_WORDS & {word.lower() for word in _WORDS.findall(name)})
    for name in (title_field, *TITLE_FIELDS, *called):
        value = None if name is None else value_at(fields, name)
        if isinstance(value, str | int | float) and str(value).strip():
            return " ".join(str(value).split())
    return None


def footer(result: SearchResult, width: int = 1_000) -> str:
    """How the result was made, and in which time: on a line of its own where both do not fit."""
    took = result.took_ms
    names = ("encode", "retrieve", "fetch", *(["rerank"] if result.reranker is not None else []))
    steps = ", ".join(f"{name} {took[name]:.0f}" for name in names if name in took)
    reranked = f", reranked by {result.reranker}" if result.reranker is not None else ""
    searched = f" of {' + '.join(result.legs)}" if result.legs else ""
    made, spent = f"{result.fusion}{searched}{reranked}", f"in {took['total']:.0f} ms ({steps})"
    return f"{made} {spent}" if len(made) + len(spent) + 3 <= width else f"{made}\n  {spent}"


def _found(hit: Hit, result: SearchResult, title_field: str | None, *, wide: bool) -> Text:
    from rich.text import Text

    title = title_of(hit, title_field)
    identifier = "" if title == hit.id else f"  {one_line(hit.id)}"
    head = Text.assemble((one_line(title), "bold"), (identifier, "dim"), "\n")
    found = head + (highlights_view(hit, title) if hit.highlights else _snippet(hit, result, title))
    if not wide:
        for leg, score in hit.legs.items():
            found.append(f"\n{leg} {score.rank} ({score.score:.3g})", style=COLOURS.get(leg, ANOTHER))
    for further in hit.passages:
        shown = snippet(visible(further.text), result.query.text, width=FURTHER)
        found.append(f"\n+ {one_line(further.id)}  {one_line(' '.join(shown.text.split()))}", style="dim")
    return found


def _snippet(hit: Hit, result: SearchResult, title: str) -> Text:
    """The sentences that have the words of the query."""
    from rich.text import Text

    passage = passage_under(hit, title)
    shown = snippet(passage, result.query.text, width=SNIPPET)
    body = Text(shown.text, style="dim")
    for start, end in shown.marks:
        body.stylize("not dim bold green", start, end)
    flat = Text(" ").join(body.split("\n")) if "\n" in shown.text else body
    ellipsis = ("… " if shown.start > 0 else "", " …" if shown.end < len(passage.rstrip()) else "")
    return Text.assemble(ellipsis[0], flat, ellipsis[1])


def passage_under(hit: Hit, title: str) -> str:
    """The text of a hit, made visible, without the title that it begins with: that stands above it."""
    return visible(hit.text.removeprefix(title).lstrip() or hit.text)


def _leg_cell(found: LegScore | None) -> Text:
    from rich.text import Text

    return Text("-", style="dim") if found is None else Text.assemble(f"{found.rank}\n", (f"{found.score:.3f}", "dim"))


def _fused(hit: Hit, largest: float) -> Text:
    """The fused score over a bar of what each leg contributed to it."""
    from rich.text import Text

    cell = Text(f"{hit.fused:.4f}\n")
    filled = 0
    reached = 0.0
    for leg, found in hit.legs.items():
        reached += found.contribution
        cells = round(BAR * reached / largest) if largest > 0 else 0
        cell.append("━" * (cells - filled), style=COLOURS.get(leg, ANOTHER))
        filled = max(filled, cells)
    cell.append("━" * (BAR - filled), style="grey23")
    return cell


def _boosted(hit: Hit) -> Text:
    """The fused score times its factors; or that the hit is placed."""
    from rich.text import Text

    if hit.placed is not None:
        return Text("buried" if hit.placed is Placed.BURIED else "pinned", style="bold")
    factor = prod(hit.boosts.values())
    return Text.assemble(f"{hit.fused * factor:.4f}\n", (f"x {factor:.3f}", "dim"))


def _reranked(hit: Hit) -> Text:
    from rich.text import Text

    if hit.rerank is None:
        return Text("-", style="dim")
    return Text.assemble(f"{hit.rerank.combined:.4f}\n", (f"was {hit.rerank.rank_before}", "dim"))
