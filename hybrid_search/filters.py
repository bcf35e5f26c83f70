"""Filters on the user's fields, the same for both engines and for every leg.

    (Eq("brand", "Sony") | Eq("brand", "Canon")) & Range("price", lt=100) & ~Exists("withdrawn")
    parse("price<100")

A filter knows field names only; :func:`clause` checks them and their values against an index's schema and turns the
filter into a query clause. Keyword fields compare whole values; a date without a time means its whole day, month or
year; and nothing else is compared than keyword, number and date fields of the index.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import partial, reduce
from typing import Any

from hybrid_search import fields
from hybrid_search.engine.layout import exact_path, field_path
from hybrid_search.errors import QueryError
from hybrid_search.fields import PLAIN, filter_kinds
from hybrid_search.filter_numbers import equals, needs_exact, one_of, within
from hybrid_search.filter_syntax import Junction, Negation, Tree, quoted, tree
from hybrid_search.readings import boolean_in
from hybrid_search.records import IndexSchema

_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_UNITS = {4: "y", 7: "M", 10: "d"}
"""What a date of so many characters (2024, 2024-12, 2024-12-31) is rounded to."""

_LEAST_MILLISECONDS = 10**11
_SECONDS_OF_OFFSET = re.compile(r"[+-]\d\d:\d\d:\d\d")
MOST_VALUES = 65_536
"""``index.max_terms_count`` of both engines."""
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

    ``brand=Sony``, ``brand=Sony|Canon``, ``brand!=Sony``, ``price<100``, ``brand=*`` (any), and with ``and``, ``or``,
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
    return Eq(field, values[0]) if operator == "=" and len(values) == 1 else In(field, values)


def clause(filter: Filter, schema: IndexSchema) -> dict[str, Any]:
    """The filter as a query clause, for a place that does not score.

    Raises:
        QueryError: a field that the index cannot filter on (with the nearest that it can), a value of another type, or
            more of either than the engines take.
    """
    return _clause(filter, schema, 0)


def _clause(filter: Filter, schema: IndexSchema, depth: int) -> dict[str, Any]:
    if depth > MOST_NESTED:
        raise QueryError(f"a filter nested deeper than {MOST_NESTED} levels", remedy="Write it with fewer levels")
    inner = partial(_clause, schema=schema, depth=depth + 1)
    match _without_pairs(filter):
        case And() as all_of:
            return {"bool": {"filter": _few([inner(part) for part in _flattened(all_of, And)])}}
        case Or() as any_of:
            return _any_of([inner(part) for part in _merged(_flattened(any_of, Or))])
        case Not(part):
            return {"bool": {"must_not": [inner(part)]}}
        case comparison:
            return _comparison(comparison, schema)


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
            raise QueryError(f"{_shown(one.parts)} are no parts of a filter", remedy="Give a tuple of filters")
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


def _comparison(filter: Filter, schema: IndexSchema) -> dict[str, Any]:
    match filter:
        case Eq(field, value):
            return _any_of(_equal(field, (value,), schema))
        case In(field, values):
            return _any_of(_equal(field, _listed(field, values), schema))
        case Range(field):
            return _any_of(_within(field, _bounds(filter, schema), schema))
        case Exists(field):
            _kind(field, schema)
            return {"exists": {"field": field_path(field, schema)}}
        case _:
            raise QueryError(f"{_shown(filter)} is no filter", remedy="Use hybrid_search.filters")


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


def _listed(field: str, values: Any) -> Collection[Value]:
    if not isinstance(values, tuple | list | set | frozenset):
        raise QueryError(f"{_shown(values)} is no list of values", where=str(field), remedy="Give a tuple of them")
    if len(values) > MOST_VALUES:
        what = f"{len(values):,} values to compare with, and the engines take {MOST_VALUES:,}"
        raise QueryError(what, where=field, remedy="Combine several with |, or keep a field for the group they are")
    return values


def _equal(field: str, values: Collection[Value], schema: IndexSchema) -> list[dict[str, Any]]:
    """Clauses of which one holds where the field has one of the values."""
    path, kind = _path_and_kind(field, schema)
    if kind == "date":
        days = dict.fromkeys(_date(field, value, schema) for value in values)
        return [{"range": {path: {"gte": day, "lte": day}}} for day in days]
    if kind == "number":
        numbers = [_number(field, value, schema) for value in values]
        return equals(numbers, path, exact_path(field, schema) or path)
    return one_of(path, [_keyword(field, value, schema) for value in values])


def _within(field: str, bounds: Mapping[str, Value], schema: IndexSchema) -> list[dict[str, Any]]:
    """Clauses of which one holds where the field has a value within the bounds."""
    path, kind = _path_and_kind(field, schema)
    if kind == "date":
        return [{"range": {path: {name: _date(field, bound, schema) for name, bound in bounds.items()}}}]
    numbers = {name: _number(field, bound, schema) for name, bound in bounds.items()}
    return within(numbers, path, exact_path(field, schema) or path)


def _bounds(filter: Range, schema: IndexSchema) -> dict[str, Value]:
    if _kind(filter.field, schema) == "keyword":
        raise QueryError("a keyword has no order", where=filter.field, remedy="Make it a number or date field")
    given = {name: getattr(filter, name) for name in _BOUNDS.values() if getattr(filter, name) is not None}
    if not given:
        raise QueryError("a range without bounds", where=filter.field, remedy="Give gt, gte, lt or lte")
    return given


def _path_and_kind(field: str, schema: IndexSchema) -> tuple[str, str]:
    """The path of a field and its kind."""
    kind = _kind(field, schema)
    return field_path(field, schema), kind


def _kind(field: str, schema: IndexSchema) -> str:
    kinds = filter_kinds(schema)
    if not isinstance(field, str):
        raise QueryError(f"{_shown(field)} is no name of a field")
    if field not in kinds:
        near = get_close_matches(field, kinds, n=1)
        known = f"Did you mean {near[0]!r}?" if near else f"It can filter on: {', '.join(sorted(kinds)) or 'nothing'}"
        raise QueryError(f"the index cannot filter on {field!r}", remedy=known)
    return kinds[field]


def _keyword(field: str, value: Value, schema: IndexSchema) -> str:
    """As it is written: composed, which layout 1 did not do; a word for yes or no as what it says."""
    reading = schema.readings.get(field, PLAIN)
    if reading.boolean and boolean_in(value) is None:
        raise QueryError(f"{_shown(value)} is neither yes nor no", where=field, remedy="Write true or false")
    try:
        read = fields.read_value(value, "keyword", reading)
        text = str(read).lower() if isinstance(read, bool) else str(read)
        text.encode()
    except UnicodeEncodeError:
        raise QueryError("half a surrogate pair is no text, so the value is no keyword", where=field) from None
    except ValueError:
        raise QueryError(f"{_shown(value)} is no keyword", where=field, remedy="Give a string") from None
    return text if schema.layout == 1 else unicodedata.normalize("NFC", text)


def _number(field: str, value: Value, schema: IndexSchema) -> int | float:
    try:
        number = fields.number(value, schema.readings.get(field, PLAIN).decimal)
    except ValueError:
        raise QueryError(f"{_shown(value)} is no number", where=field) from None
    if schema.layout == 1 and isinstance(number, int) and needs_exact(number):
        what = f"whole numbers from 2^53 on, such as {number}, are not told apart by this index, which release 0.1 made"
        raise QueryError(what, where=field, remedy="Make a new one: hybrid-search reindex")
    return number


def _date(field: str, value: Value, schema: IndexSchema) -> str | int:
    """A moment as it is; a year, month or day as date math that the engine rounds down or up, as the bound asks."""
    given = value.isoformat() if isinstance(value, date) else value.strip() if isinstance(value, str) else value
    read = _date_in(given, schema.readings.get(field, PLAIN).date_order)
    if read is None:
        remedy = "Write it as 2024-12-31 or 2024-12-31T23:59:59Z"
        raise QueryError(f"{_shown(value)} is no date", where=field, remedy=remedy)
    return f"{read}||/{_UNITS[len(read)]}" if isinstance(read, str) and len(read) in _UNITS else read


def _date_in(given: Value, order: str | None) -> str | int | None:
    """The date in a form that both engines read: ISO-8601 or epoch milliseconds; None for anything else."""
    is_partial = isinstance(given, str) and len(given) in {4, 7}
    try:
        whole = fields.moment(f"{given}-01-01"[:10] if is_partial else given, order)
    except ValueError:
        return None
    if isinstance(whole, int) and abs(whole) < _LEAST_MILLISECONDS:
        return None  # a year, or seconds
    if isinstance(whole, str) and _SECONDS_OF_OFFSET.search(whole):
        return None
    return str(given) if is_partial else whole


def _shown(value: object) -> str:
    try:
        return f"{value!r:.60}"
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
