"""Filters on the user's fields, the same for both engines and for every leg.

    (Eq("brand", "Sony") | Eq("brand", "Canon")) & Range("price", lt=100) & ~Exists("withdrawn")
    parse("price<100")

A filter knows field names only; :func:`clause` checks them and their values against an index's schema and turns the
filter into a query clause. Keyword fields compare whole values, beginnings and parts; a date without a time means its
whole day, month or year; and nothing else is compared than keyword, number, date and geo fields of the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial, reduce
from typing import Any

from hybrid_search import filter_values as values_of
from hybrid_search.errors import QueryError
from hybrid_search.filter_syntax import Junction, Negation, Tree, quoted, tree
from hybrid_search.filter_values import MOST_VALUES, Against, shown
from hybrid_search.records import IndexSchema

_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
MOST_CLAUSES = 1_000
"""Both engines take 1,024 clauses in a query, Elasticsearch on a large heap more; some are left for the query."""
MOST_NESTED = 20
"""Elasticsearch takes 30 levels of ``bool``, of which a leg has some itself."""

Value = str | int | float | bool | date


@dataclass(frozen=True, slots=True)
class Filter:
    """Base of all filters: ``&``, ``|`` and ``~`` combine them."""

    def __and__(self, other: Filter) -> And:
        return And((self, other))

    def __or__(self, other: Filter) -> Or:
        return Or((self, other))

    def __invert__(self) -> Not:
        return Not(self)


@dataclass(frozen=True, slots=True)
class Eq(Filter):
    """The field has this value, or holds it in its list."""

    field: str
    value: Value


@dataclass(frozen=True, slots=True)
class In(Filter):
    """The field has one of these values; of none, nothing does."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range(Filter):
    """The number or date is within all bounds that are given."""

    field: str
    gt: Value | None = None
    gte: Value | None = None
    lt: Value | None = None
    lte: Value | None = None


@dataclass(frozen=True, slots=True)
class Prefix(Filter):
    """The keyword begins with this text, in the same case."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Contains(Filter):
    """The keyword holds this text, in the same case unless that is ignored; ``*`` and ``?`` are letters like others."""

    field: str
    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class GeoDistance(Filter):
    """The place is at most so far from this one: ``"5km"``, or a number of meters; angles are in degrees."""

    field: str
    latitude: float
    longitude: float
    distance: str | float


@dataclass(frozen=True, slots=True)
class GeoBox(Filter):
    """The place is within these degrees; a box whose west is greater than its east crosses the 180th meridian."""

    field: str
    south: float
    west: float
    north: float
    east: float


@dataclass(frozen=True, slots=True)
class Exists(Filter):
    """The field has any value."""

    field: str


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All hold."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """At least one holds; of none, never."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """It does not hold."""

    part: Filter


def parse(expression: str) -> Filter:
    """A filter from text.

    ``brand=Sony``, ``brand=Sony|Canon``, ``brand!=Sony``, ``brand^=So`` (begins so), ``brand*=on`` (holds it),
    ``price<100``, ``published>=now-7d``, ``brand=*`` (any), ``shop within 5km of 48.1,11.5``, and with ``and``, ``or``,
    ``not``, parentheses, quotes and lists: ``(brand in (Sony, "Canon Inc.") or not rating=*) and price<100``. See
    :mod:`hybrid_search.filter_syntax`.

    Raises:
        QueryError: the text is no filter, with the position of what is wrong.
    """
    return _said(tree(expression))


def comparison(field: str, operator: str, value: Value) -> str:
    """A comparison as text that :func:`parse` reads, whatever characters the field and the value hold."""
    return f"{quoted(field)}{operator}{quoted(str(value))}"


def parse_all(expressions: Iterable[str]) -> Filter | None:
    """All of the expressions together; None where there is none."""
    filters = [parse(expression) for expression in expressions]
    return reduce(lambda left, right: left & right, filters) if filters else None


def _said(read: Tree) -> Filter:
    if isinstance(read, Negation):
        return Not(_said(read.part))
    if isinstance(read, Junction):
        return (Or if read.any else And)(tuple(map(_said, read.parts)))
    if read.operator == "!=":
        return Not(_compared(read.field, "=", read.values))
    return _compared(read.field, read.operator, read.values)


def _compared(field: str, operator: str, values: tuple[str, ...] | None) -> Filter:
    if values is None:
        return Exists(field)
    if operator in _BOUNDS:
        return Range(field, **{_BOUNDS[operator]: values[0]})
    if operator == "within":
        return _within(field, values[0])
    if operator in _TEXTS:
        alternatives = [_TEXTS[operator](field, value) for value in values]
        return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))
    return Eq(field, values[0]) if operator == "=" and len(values) == 1 else In(field, values)


_TEXTS: dict[str, type[Prefix | Contains]] = {"^=": Prefix, "*=": Contains}


def _within(field: str, area: str) -> GeoDistance | GeoBox:
    """A distance of a place, or two corners."""
    distance, of, around = area.partition(" of ")
    if of:
        latitude, longitude = values_of.place_in(field, around)
        return GeoDistance(field, latitude, longitude, distance.strip())
    first, to, second = area.partition(" to ")
    if not to:
        what = f"{shown(area)} is no area"
        raise QueryError(what, where=field, remedy=f"Write {field} within 5km of 48.1,11.5, or within 48,11 to 49,12")
    (south, west), (north, east) = values_of.place_in(field, first), values_of.place_in(field, second)
    return GeoBox(field, south, west, north, east)


def clause(filter: Filter, schema: IndexSchema, *, now: int | None = None) -> dict[str, Any]:
    """The filter as a query clause, for a place that does not score.

    Args:
        filter: what must hold.
        schema: of the index.
        now: what ``now`` means in dates, in epoch milliseconds; None leaves it to the engine.

    Raises:
        QueryError: a field that the index cannot filter on (with the nearest that it can), a value of another type, or
            more of either than the engines take.
    """
    return clause_against(filter, Against(schema, now))


def clause_against(filter: Filter, against: Against) -> dict[str, Any]:
    """The same for what may be no index of this package; see :func:`clause`."""
    return _clause(filter, against, 0)


def _clause(filter: Filter, against: Against, depth: int) -> dict[str, Any]:
    if depth > MOST_NESTED:
        raise QueryError(f"a filter nested deeper than {MOST_NESTED} levels", remedy="Write it with fewer levels")
    inner = partial(_clause, against=against, depth=depth + 1)
    match _without_pairs(filter):
        case And() as all_of:
            return {"bool": {"filter": _few([inner(part) for part in _flattened(all_of, And)])}}
        case Or() as any_of:
            return _any_of([inner(part) for part in _merged(_flattened(any_of, Or))])
        case Not(part):
            return {"bool": {"must_not": [inner(part)]}}
        case comparison:
            return _any_of(_comparison(comparison, against))


def _without_pairs(given: Filter) -> Filter:
    """The filter without any ``not not`` before it."""
    while isinstance(given, Not) and isinstance(given.part, Not):
        given = given.part.part
    return given


def _flattened(filter: Filter, kind: type[And | Or]) -> list[Filter]:
    """The parts of a filter, and of the filters of the same kind among them: ``a & b & c`` is no nest of two."""
    found: list[Filter] = []
    pending = [filter]
    while pending:
        one = pending.pop()
        if not isinstance(one, kind):
            found.append(one)
        elif isinstance(one.parts, tuple | list):
            pending.extend(reversed(one.parts))
        else:
            raise QueryError(f"{shown(one.parts)} are no parts of a filter", remedy="Give a tuple of filters")
    return found


def _merged(parts: Iterable[Filter]) -> list[Filter]:
    """The alternatives with those about one field as one: ``a=1 or a=2 or ...`` may have any number."""
    values: dict[str, list[Value]] = {}
    merged: list[Filter] = []
    for part in parts:
        if isinstance(part, Eq) and isinstance(part.field, str):
            values.setdefault(part.field, []).append(part.value)
        else:
            merged.append(part)
    for field, given in values.items():
        merged += [In(field, tuple(given[at : at + MOST_VALUES])) for at in range(0, len(given), MOST_VALUES)]
    return merged


def _comparison(filter: Filter, against: Against) -> list[dict[str, Any]]:
    """Clauses of which one holds where the filter does."""
    match filter:
        case Eq(field, value):
            return values_of.equal(field, (value,), against)
        case In(field, values):
            return values_of.equal(field, values_of.listed(field, values), against)
        case Range(field):
            given = {name: getattr(filter, name) for name in _BOUNDS.values() if getattr(filter, name) is not None}
            return values_of.within(field, given, against)
        case _:
            return [_single(filter, against)]


def _single(filter: Filter, against: Against) -> dict[str, Any]:
    match filter:
        case Prefix(field, value):
            return values_of.beginning(field, value, against)
        case Contains(field, value, ignore_case):
            return values_of.holding(field, value, against, ignore_case=ignore_case)
        case GeoDistance(field, latitude, longitude, distance):
            return values_of.near(field, (latitude, longitude), distance, against)
        case GeoBox(field, south, west, north, east):
            return values_of.inside(field, (south, west), (north, east), against)
        case Exists(field):
            return values_of.existing(field, against)
        case _:
            raise QueryError(f"{shown(filter)} is no filter", remedy="Use hybrid_search.filters")


def _any_of(clauses: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not clauses:
        return {"match_none": {}}  # an empty ``should`` would match everything
    return clauses[0] if len(clauses) == 1 else {"bool": {"should": _few(clauses), "minimum_should_match": 1}}


def _few(clauses: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The clauses, unless they are more than the engines take."""
    if len(clauses) > MOST_CLAUSES:
        what = f"{len(clauses):,} conditions or dates side by side, and the engines take {MOST_CLAUSES:,}"
        raise QueryError(what, remedy="Give ranges for dates, and In for other values")
    return list(clauses)
