"""Comparisons of numbers that are right for whole numbers beyond 2^53 too, where neighbours are one double.

A number field is indexed as a double and, where it is a whole number of 64 bits with sign, also as a ``long``. A value
or a bound from 2^53 on, in either direction, is compared with the second; what that lacks, fractions and numbers
beyond 64 bits, with the first. Numbers beyond 64 bits are doubles and no more exact than these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

Number = int | float
Clause = dict[str, Any]

EXACT = 2**53
"""From here on doubles lack whole numbers."""
_MOST = 2**63 - 1
_LEAST = -(2**63)
_ROUNDED = 512
"""Longs that are so near to an end are one double with 2^63 or -2^63."""


def needs_exact(value: Number) -> bool:
    """Whether doubles cannot tell this whole number from its neighbours, and longs can."""
    return abs(value) >= EXACT and _LEAST <= value <= _MOST


def equals(values: Iterable[Number], double: str, exact: str) -> list[Clause]:
    """Clauses of which one holds where the field has one of the values.

    ``double`` and ``exact`` are the paths of the two fields.
    """
    given = list(values)
    doubles = one_of(double, [float(value) for value in given if not needs_exact(value)])
    return doubles + one_of(exact, [int(value) for value in given if needs_exact(value)])


def one_of(path: str, values: Iterable[Number | str]) -> list[Clause]:
    """The clause that holds where the field at this path has one of the values; no clause for none."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) > 1:
        return [{"terms": {path: distinct}}]
    return [{"term": {path: {"value": value}}} for value in distinct]


def within(bounds: Mapping[str, Number], double: str, exact: str) -> list[Clause]:
    """Clauses of which one holds where the field has a value within ``bounds`` (gt, gte, lt, lte)."""
    if not any(map(needs_exact, bounds.values())):
        return [{"range": {double: {name: float(bound) for name, bound in bounds.items()}}}]
    strict = _one_of_each(bounds)
    return [
        {"range": {exact: dict(_whole(name, bound) for name, bound in strict.items())}},
        {"range": {double: dict(_beside(name, bound) for name, bound in strict.items())}},
    ]


def _one_of_each(bounds: Mapping[str, Number]) -> dict[str, Number]:
    """At most one lower and one upper bound, the stricter of two."""
    kept = dict(bounds)
    if "gt" in kept and "gte" in kept:
        del kept["gte" if kept["gt"] >= kept["gte"] else "gt"]
    if "lt" in kept and "lte" in kept:
        del kept["lte" if kept["lt"] <= kept["lte"] else "lt"]
    return kept


def _whole(name: str, bound: Number) -> tuple[str, int]:
    """The bound for whole numbers of 64 bits: the same ones are within."""
    if bound > _MOST:
        return ("gt" if name.startswith("g") else "lte"), _MOST
    if bound < _LEAST:
        return ("gte" if name.startswith("g") else "lt"), _LEAST
    return name, math.ceil(bound) if name in {"gte", "lt"} else math.floor(bound)


def _beside(name: str, bound: Number) -> tuple[str, float]:
    """The bound for what longs lack: fractions, all nearer to 0 than 2^53, and numbers beyond 64 bits."""
    if not needs_exact(bound):
        return name, float(bound)
    if (bound > 0) == name.startswith("g"):  # nothing but what lies beyond 64 bits
        end = bound > _MOST - _ROUNDED or bound < _LEAST + _ROUNDED
        return f"{name[0]}t{'' if end else 'e'}", math.copysign(2.0**63, bound)
    return f"{name[0]}t", math.copysign(2.0**53, bound)
