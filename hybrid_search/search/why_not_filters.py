"""The conditions of a query that a document must pass, one by one, and as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.fields import filter_kinds, value_at
from hybrid_search.filters import (
    And,
    Contains,
    Eq,
    Exists,
    Filter,
    GeoBox,
    GeoDistance,
    In,
    Not,
    Or,
    Prefix,
    Range,
    clause,
)
from hybrid_search.records import IndexSchema, Query
from hybrid_search.search.similar_held import HeldPassage
from hybrid_search.search.why_not_records import Condition

MOST = 100
"""Conditions that are tested one by one; those after them as one."""

_BARE = re.compile(r"[\w.:/+-]+")
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True, slots=True)
class Tested:
    """A condition as text, its clause, and the user's fields that it names."""

    text: str
    clause: Mapping[str, Any]
    fields: tuple[str, ...] = ()


def conditions_of(query: Query, schema: IndexSchema) -> list[Tested]:
    """What passages must pass for ``query``: the parts of its filter, and the signs that were read in its text."""
    parts = [] if query.filter is None else list(_parts(query.filter))
    if len(parts) > MOST:
        parts = [*parts[: MOST - 1], And(tuple(parts[MOST - 1 :]))]
    tested = [
        Tested(said(part), clause(part, schema, now=query.now), tuple(dict.fromkeys(_named(part)))) for part in parts
    ]
    if query.read is not None:
        tested += [Tested(_sign(one, schema), one, _paths(one, schema)) for one in query.read.required]
        tested += [
            Tested(f"-{_sign(one, schema)}", {"bool": {"must_not": [one]}}, _paths(one, schema))
            for one in query.read.excluded
        ]
    return tested


def judged(tested: Sequence[Tested], names: Sequence[str], passages: Sequence[HeldPassage]) -> list[Condition]:
    """The conditions by what the passages say of the clauses of these names: one that passes is enough."""
    return [
        Condition(
            one.text,
            any(name in passage.named for passage in passages),
            {field: value_at(passages[0].fields, field) for field in one.fields} if passages else {},
        )
        for one, name in zip(tested, names, strict=True)
    ]


def said(filter: Filter) -> str:
    """A filter as text, in the syntax that reads it where there is one."""
    match filter:
        case And(parts):
            return " and ".join(_inner(part) for part in parts)
        case Or(parts):
            return " or ".join(_inner(part) for part in parts) or "nothing"
        case Not(part):
            return f"not {_inner(part)}"
        case _:
            return _compared(filter)


def _compared(filter: Filter) -> str:
    match filter:
        case Eq(name, value):
            return f"{_bare(name)}={_bare(value)}"
        case In(name, values):
            return f"{_bare(name)} in ({', '.join(_bare(value) for value in values)})"
        case Range(name):
            given = [(sign, getattr(filter, bound)) for bound, sign in _SIGNS.items()]
            return " and ".join(f"{_bare(name)}{sign}{_bare(value)}" for sign, value in given if value is not None)
        case Exists(name):
            return f"{_bare(name)}=*"
        case _:
            return _placed(filter)


def _placed(filter: Filter) -> str:
    match filter:
        case Prefix(name, value):
            return f"{_bare(name)}^={_bare(value)}"
        case Contains(name, value):
            return f"{_bare(name)}*={_bare(value)}"
        case GeoDistance(name, latitude, longitude, distance):
            return f"{_bare(name)} within {distance} of {latitude:g},{longitude:g}"
        case GeoBox(name, south, west, north, east):
            return f"{_bare(name)} within {south:g},{west:g} to {north:g},{east:g}"
        case _:
            return str(filter)


def _inner(part: Filter) -> str:
    return f"({said(part)})" if isinstance(part, And | Or) else said(part)


def _bare(value: object) -> str:
    text = str(value)
    if _BARE.fullmatch(text) and text.lower() not in {"and", "or", "not", "in"}:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _parts(filter: Filter) -> Iterator[Filter]:
    """The parts of a conjunction, and of those among them."""
    if isinstance(filter, And):
        for part in filter.parts:
            yield from _parts(part)
    else:
        yield filter


def _named(filter: object) -> Iterator[str]:
    """The fields that a filter names."""
    if not isinstance(filter, Filter) or not is_dataclass(filter):
        return
    for one in fields(filter):
        value = getattr(filter, one.name)
        if one.name == "field" and isinstance(value, str):
            yield value
        for part in value if isinstance(value, tuple) else (value,):
            yield from _named(part)


def _sign(wanted: Mapping[str, Any], schema: IndexSchema) -> str:
    """What stands in the query for a clause that was read out of it."""
    (kind, inner), *_ = wanted.items()
    if kind == "dis_max":  # the same in every text, the whole one first
        return _sign(inner["queries"][0], schema)
    if kind == "bool" and isinstance(inner.get("filter"), list):
        return _sign(inner["filter"][0], schema)
    if kind in {"match", "match_phrase"}:
        text = next(iter(inner.values()))["query"]
        return f'"{text}"' if kind == "match_phrase" else str(text)
    path, value = next(iter(inner.items()))
    if kind in {"term", "range"} and isinstance(value, Mapping):
        name = _name_of(path, schema)
        return f"{_bare(name)}:{_bare(value.get('value', value.get('gte')))}"
    return str(dict(wanted))


def _name_of(path: str, schema: IndexSchema) -> str:
    """The user's name of the field at a path."""
    if schema.attached is not None:
        return next((name for name, at in schema.attached.paths.items() if at == path), path)
    return layout.unescape(path.partition(".")[2].removesuffix(f".{layout.EXACT}"))


def _paths(wanted: object, schema: IndexSchema) -> tuple[str, ...]:
    """The user's fields that a clause names."""
    text = str(wanted)
    return tuple(name for name in filter_kinds(schema) if f"'{layout.field_path(name, schema)}" in text)
