"""Facets over candidates: counted here, from the values that the hits of the legs brought along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid_search.found import FacetCounts, FacetValue, Value
from hybrid_search.search.carried import Values
from hybrid_search.search.facets import Dates, Facet, MinMax, Ranges, Terms
from hybrid_search.search.facets_calendar import start_of
from hybrid_search.search.facets_found import extreme, interval, ranges, term


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted over: documents and their values, and what of the filter was left out for this facet.

    Attributes:
        documents: the values of each document, by its id.
        selected: the values of the field that the filter names.
        without_own_filter: conditions on the field were left out.
    """

    documents: Mapping[str, Values]
    selected: Collection[Value] = ()
    without_own_filter: bool = False


def count(facet: Facet, kind: str, over: Counted) -> FacetCounts:
    """The counts of one facet of a field of this kind; each document counts once for each value that it has."""
    held = [values.get(facet.field, ()) for values in over.documents.values()]
    documents, missing = len(held), sum(not values for values in held)
    found: dict[str, Any] = {}
    match facet:
        case Terms():
            found["values"], found["others"] = _terms(facet, held, over.selected)
        case Ranges():
            found["values"] = ranges(facet, kind, _by_range(facet, held))
        case Dates():
            found["values"], lost = _by_interval(facet, held)
            missing += lost
        case MinMax():
            every = [value for values in held for value in values]
            found = {
                "minimum": extreme(min(every, default=None), kind),
                "maximum": extreme(max(every, default=None), kind),
            }
    return FacetCounts(
        facet.field,
        facet.kind,
        facet.counts,
        documents,
        missing,
        without_own_filter=over.without_own_filter,
        **found,
    )


def _terms(
    facet: Terms, held: Iterable[Sequence[Value]], selected: Collection[Value]
) -> tuple[tuple[FacetValue, ...], int]:
    """The most frequent values, and those that are selected, be they not among them; and how many others there are."""
    counted = Counter(value for values in held for value in dict.fromkeys(values))
    return shown_terms(facet, counted, selected)


def shown_terms(
    facet: Terms, counted: Mapping[Value, int], selected: Collection[Value]
) -> tuple[tuple[FacetValue, ...], int]:
    """The first ``size`` of what was counted, most frequent first, with what is selected; and the sum of the others."""
    ordered = sorted(counted, key=lambda value: (-counted[value], value))
    chosen = [*ordered[: facet.size], *(value for value in ordered[facet.size :] if value in selected)]
    chosen += sorted(value for value in selected if value not in counted)
    shown = tuple(term(facet.field, value, counted.get(value, 0), selected) for value in chosen)
    return shown, sum(counted.values()) - sum(value.count for value in shown)


def _by_range(facet: Ranges, held: Iterable[Sequence[Any]]) -> list[int]:
    """Documents with a value in each range; several values in one range count once."""
    counts = [0] * (len(facet.edges) + 1)
    for values in held:
        for place in {sum(edge <= value for edge in facet.edges) for value in values}:
            counts[place] += 1
    return counts


def _by_interval(facet: Dates, held: Iterable[Sequence[Any]]) -> tuple[tuple[FacetValue, ...], int]:
    """Documents with a date in each interval; and those whose dates are all beyond the calendar."""
    counts: Counter[int] = Counter()
    lost = 0
    for values in held:
        starts = {start_of(value, facet.interval, facet.time_zone) for value in values}
        counts.update(start for start in starts if start is not None)
        lost += starts == {None}
    found = [interval(facet, start, counts[start]) for start in sorted(counts)]
    return tuple(value for value in found if value is not None), lost
