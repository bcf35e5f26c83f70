"""Filters on the user's fields, the same for both engines and for every leg.

    (Eq("brand", "Sony") | Eq("brand", "Canon")) & Range("price", lt=100) & ~Exists("withdrawn")
    parse("price<100")

A filter knows field names only; :func:`clause` checks them and their values against an index's schema and turns the
filter into a query clause. Keyword fields compare whole values; a date without a time means its whole day, month or
year; and nothing else is compared than keyword, number and date fields of the index.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from functools import reduce
from typing import Any

from hybrid_search.engine.layout import field_path
from hybrid_search.errors import QueryError
from hybrid_search.fields import filter_kinds
from hybrid_search.records import IndexSchema

_EXPRESSION = re.compile(
    r"\s*(?P<field>[^=!<>\s][^=!<>]*?)\s*(?P<operator>!=|<=|>=|=|<|>)\s*(?P<value>.*?)\s*", re.DOTALL
)
_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_UNITS = {4: "y", 7: "M", 10: "d"}
"""What a date of so many characters (2024, 2024-12, 2024-12-31) is rounded to."""

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
    """A filter from text: ``brand=Sony``, ``brand=Sony|Canon``, ``brand!=Sony``, ``price<100``, ``brand=*`` (any).

    Raises:
        QueryError: no operator, no field, or a comparison without a value.
    """
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        raise QueryError(
            f"{expression!r} is no filter", remedy="Write it as field=value, field!=value, field<value or field=*"
        )
    field, operator, value = match["field"], match["operator"], match["value"]
    if operator in _BOUNDS:
        if not value:
            raise QueryError(f"{expression!r} has no value to compare with")
        return Range(field, **{_BOUNDS[operator]: value})
    found = _equal(field, value)
    return Not(found) if operator == "!=" else found


def parse_all(expressions: Iterable[str]) -> Filter | None:
    """All of the expressions together; None where there is none."""
    filters = [parse(expression) for expression in expressions]
    return reduce(lambda left, right: left & right, filters) if filters else None


def clause(filter: Filter, schema: IndexSchema) -> dict[str, Any]:
    """The filter as a query clause, for a place that does not score.

    Raises:
        QueryError: a field that the index cannot filter on (with the nearest that it can), or a value of another type.
    """
    match filter:
        case And(parts):
            return {"bool": {"filter": [clause(part, schema) for part in parts]}}
        case Or(parts):
            return _any_of([clause(part, schema) for part in parts])
        case Not(part):
            return {"bool": {"must_not": [clause(part, schema)]}}
        case _:
            return _comparison(filter, schema)


def _comparison(filter: Filter, schema: IndexSchema) -> dict[str, Any]:
    match filter:
        case Eq(field, value) if _kind(field, schema) == "date":
            return _comparison(Range(field, gte=value, lte=value), schema)
        case Eq(field, value):
            return {"term": {field_path(field, schema): {"value": _checked(field, value, schema)}}}
        case In(field, values):
            return _any_of([_comparison(Eq(field, value), schema) for value in values])
        case Range(field):
            return {"range": {field_path(field, schema): dict(_bounds(filter, schema))}}
        case Exists(field):
            _kind(field, schema)
            return {"exists": {"field": field_path(field, schema)}}
        case _:
            raise QueryError(f"{filter!r} is no filter", remedy="Use hybrid_search.filters")


def _equal(field: str, value: str) -> Filter:
    if value == "*":
        return Exists(field)
    return In(field, tuple(value.split("|"))) if "|" in value else Eq(field, value)


def _any_of(clauses: list[dict[str, Any]]) -> dict[str, Any]:
    if not clauses:
        return {"match_none": {}}  # an empty ``should`` would match everything
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


def _bounds(filter: Range, schema: IndexSchema) -> Iterator[tuple[str, Any]]:
    if _kind(filter.field, schema) == "keyword":
        raise QueryError("a keyword has no order", where=filter.field, remedy="Make it a number or date field")
    given = {name: getattr(filter, name) for name in _BOUNDS.values() if getattr(filter, name) is not None}
    if not given:
        raise QueryError("a range without bounds", where=filter.field, remedy="Give gt, gte, lt or lte")
    for name, value in given.items():
        yield name, _checked(filter.field, value, schema)


def _kind(field: str, schema: IndexSchema) -> str:
    kinds = filter_kinds(schema)
    if field not in kinds:
        near = get_close_matches(field, kinds, n=1)
        known = f"Did you mean {near[0]!r}?" if near else f"It can filter on: {', '.join(sorted(kinds)) or 'nothing'}"
        raise QueryError(f"the index cannot filter on {field!r}", remedy=known)
    return kinds[field]


def _checked(field: str, value: Value, schema: IndexSchema) -> Any:
    check = {"keyword": _keyword, "number": _number, "date": _date}[_kind(field, schema)]
    checked = check(field, value)
    # What is filtered on is written composed; layout 1 was written as it came.
    return unicodedata.normalize("NFC", checked) if isinstance(checked, str) and schema.layout > 1 else checked


def _keyword(field: str, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise QueryError(f"{value!r} is no keyword", where=field, remedy="Give a string")


def _number(field: str, value: Value) -> float:
    try:
        number = math.nan if isinstance(value, bool | date) else float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise QueryError(f"{value!r} is no number", where=field)
    return number


def _date(field: str, value: Value) -> str:
    """A moment as it is; a year, month or day as date math that the engine rounds down or up, as the bound asks."""
    text = value.isoformat() if isinstance(value, date) else value
    if isinstance(text, str) and _is_date(text):
        return f"{text}||/{_UNITS[len(text)]}" if len(text) in _UNITS else text
    raise QueryError(f"{value!r} is no date", where=field, remedy="Write it as 2024-12-31 or 2024-12-31T23:59:59Z")


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text if len(text) not in _UNITS else f"{text}-01-01"[:10])
    except ValueError:
        return False
    return len(text) in _UNITS or "T" in text
