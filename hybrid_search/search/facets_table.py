"""Facets as small tables for a terminal, a bar for each value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hybrid_search.found import FacetCounts, FacetValue
from hybrid_search.printed import one_line

if TYPE_CHECKING:
    from rich.text import Text

BAR = 20
LABEL = 30
LINES = 40
"""Of one facet: dates by the minute have thousands of values, which JSON has."""
WHAT = {
    "candidates": "candidates of the list",
    "filter": "documents that pass the filter",
    "bm25": "documents with a word of the query",
}


def facets_view(facets: Mapping[str, FacetCounts]) -> Iterator[Text]:
    """Each facet: what it counts, and a line for each value."""
    from rich.text import Text

    for name, found in facets.items():
        about = "" if found.exact else "about "
        head = f"  of {about}{found.documents:,} {WHAT[found.counts]}{_without(found)}"
        lines = Text.assemble(("\n" + one_line(name), "bold"), (head, "dim"))
        lines.append_text(_span(found) if found.kind == "min-max" else _bars(found))
        yield lines


def _without(found: FacetCounts) -> str:
    return ", whatever its own filter" if found.without_own_filter else ""


def _span(found: FacetCounts) -> Text:
    from rich.text import Text

    span = "no value" if found.minimum is None else f"{found.minimum} to {found.maximum}"
    return Text.assemble("\n  ", span, (_none(found), "dim"))


def _none(found: FacetCounts) -> str:
    return f"   ({found.missing:,} without)" if found.missing else ""


def _bars(found: FacetCounts) -> Text:
    from rich.text import Text

    shown = [value for value in found.values if value.count or value.selected or None not in (value.start, value.end)]
    further = len(shown) - LINES
    if further > 0:
        shown = shown[:LINES]
    rest = [(name, count) for name, count in (("others", found.others), ("without", found.missing)) if count]
    labels = [_label(value) for value in shown]
    width = max(map(len, (*labels, *(name for name, _ in rest))), default=0)
    counts = [*(value.count for value in shown), *(count for _, count in rest)]
    digits = len(f"{max(counts, default=0):,}")
    most = max((value.count for value in shown), default=0)
    lines = Text()
    for value, label in zip(shown, labels, strict=True):
        bar = "━" * (max(1, round(BAR * value.count / most)) if value.count else 0)
        lines.append(f"\n{'✓' if value.selected else ' '} {label:<{width}}  ", "bold" if value.selected else "")
        lines.append(f"{value.count:>{digits},} ").append(bar, "cyan")
    if further > 0:
        lines.append(f"\n  … and {further:,} more", style="dim")
    for name, count in rest:
        lines.append(f"\n  {name:<{width}}  {count:>{digits},}", style="dim")
    return lines if shown or rest else lines.append("\n  nothing to count", style="dim")


def _label(value: FacetValue) -> str:
    """The value in one line, cut where it is long."""
    text = one_line(str(value.value))
    return text if len(text) <= LABEL else text[: LABEL - 1] + "…"
