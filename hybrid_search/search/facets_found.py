"""What facets found, as the records of the result, whoever counted."""

from __future__ import annotations

from collections.abc import Iterable

from hybrid_search.filters import comparison
from hybrid_search.found import FacetValue, Value
from hybrid_search.search.facets import Dates, Ranges
from hybrid_search.search.facets_calendar import end_of, label, start_of, written


def term(field: str, value: Value, count: int, selected: Iterable[Value] = ()) -> FacetValue:
    """A value of a keyword or number field; numbers are whole where they can be."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return FacetValue(value, count, comparison(field, "=", value), value in selected)


def ranges(facet: Ranges, kind: str, counts: Iterable[int]) -> tuple[FacetValue, ...]:
    """A value for each range of ``facet``, whose edges are numbers or, of dates, epoch milliseconds."""
    edges = [_edge(edge, kind) for edge in facet.edges]
    bounds = zip([None, *edges], [*edges, None], strict=True)
    return tuple(_range(facet.field, *bound, count) for bound, count in zip(bounds, counts, strict=True))


def _edge(edge: object, kind: str) -> Value:
    if kind == "date" and isinstance(edge, int):
        return _day(written(edge)) or edge
    return edge if isinstance(edge, int | float) else str(edge)


def _day(moment: str | None) -> str | None:
    """Midnight by its day."""
    return None if moment is None else moment.removesuffix("T00:00:00+00:00")


def _range(field: str, start: Value | None, end: Value | None, count: int) -> FacetValue:
    called = f"{start}..{end}" if None not in (start, end) else f"<{end}" if start is None else f">={start}"
    return FacetValue(called, count, _between(field, start, end), start=start, end=end)


def interval(facet: Dates, start: int, count: int) -> FacetValue | None:
    """A value for the interval that begins at ``start`` (epoch milliseconds); None beyond the calendar."""
    begin, after = start_of(start, facet.interval, facet.time_zone), end_of(start, facet.interval, facet.time_zone)
    first = None if begin is None else written(start, facet.time_zone)
    if first is None:
        return None
    last = None if after is None else written(after, facet.time_zone)
    called = label(start, facet.interval, facet.time_zone)
    return FacetValue(called, count, _between(facet.field, first, last), start=first, end=last)


def _between(field: str, start: Value | None, end: Value | None) -> str:
    bounds = ((">=", start), ("<", end))
    return " and ".join(comparison(field, sign, at) for sign, at in bounds if at is not None)


def extreme(value: float | None, kind: str) -> Value | None:
    """The smallest or largest value; numbers are whole where they can be."""
    if value is None:
        return None
    if kind == "date":
        return written(int(value)) or int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
