"""At most n hits of one value of a field: of one brand, one author, one site.

The list is walked from the top; a hit is left out when one of its values has had its number. It holds for the whole
list, not for each page, so that pages are slices of one list. A document without a value is one of its own. Pinned
documents are counted, and never left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hybrid_search.errors import QueryError
from hybrid_search.fields import filter_kinds
from hybrid_search.records import IndexSchema
from hybrid_search.search.boosts import check_field
from hybrid_search.search.request import SearchRequest

Limits = tuple[tuple[str, int], ...]
"""Fields by the user's names, and how many hits may share a value of theirs."""

COUNTED = ("keyword", "number", "date")
"""Kinds of fields with values that documents share."""

_WHERE = "max_per"
_NUMBERED = re.compile(r"(.+)=\s*(\d{1,9})\s*", re.DOTALL)


def limits_of(request: SearchRequest) -> Limits:
    """The limits of ``{"brand": 2}``, ``"brand"`` (one), ``"brand=2"``, or several of these.

    Raises:
        QueryError: what is none, a number below 1, a field twice.
    """
    given: Any = request.max_per
    if given is None:
        return ()
    items = given.items() if isinstance(given, Mapping) else [given] if isinstance(given, str) else given
    limits = tuple(_limit(item) for item in items)
    for field, most in limits:
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise QueryError(f"at most {most!r} of one {field}", where=_WHERE, remedy="Give a number of 1 or more.")
    if twice := next((name for name, count in Counter(name for name, _ in limits).items() if count > 1), None):
        raise QueryError(f"{twice!r} is given twice", where=_WHERE, remedy="Give each field one number.")
    return limits


def plan_limits(request: SearchRequest, schema: IndexSchema) -> Limits:
    """The same, of fields whose values the index has; QueryError names the nearest."""
    limits = limits_of(request)
    kinds = filter_kinds(schema)
    for field, _ in limits:
        check_field(field, schema, _WHERE)
        if kinds[field] not in COUNTED:
            raise QueryError(f"the field {field!r} is a {kinds[field]}", where=_WHERE, remedy="Name a keyword.")
    return limits


def limited_fields(request: SearchRequest) -> tuple[str, ...]:
    """The fields whose values are counted."""
    return tuple(field for field, _ in limits_of(request))


def _limit(item: Any) -> tuple[str, Any]:
    if isinstance(item, str):
        match = _NUMBERED.fullmatch(item)
        return (item, 1) if match is None else (match[1].strip(), int(match[2]))
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str):
        return item[0], item[1]
    raise QueryError(f"{item!r} is no limit", where=_WHERE, remedy='Write it so: {"brand": 2}, or brand=2.')


class Counts:
    """How many hits of each value stand in the list so far."""

    def __init__(self, limits: Limits, values: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        self._limits, self._values = limits, values
        self._counts: Counter[tuple[str, Any]] = Counter()
        self.left_out = 0

    def add(self, id_: str) -> None:
        """A hit that stands in the list, whatever its values."""
        self._counts.update((field, value) for field, _, found in self._shared(id_) for value in found)

    def admits(self, id_: str) -> bool:
        """Whether the hit may follow; it is added if it may."""
        if any(self._counts[field, value] >= most for field, most, found in self._shared(id_) for value in found):
            self.left_out += 1
            return False
        self.add(id_)
        return True

    def _shared(self, id_: str) -> Iterable[tuple[str, int, set[Any]]]:
        values = self._values.get(id_, {})
        return ((field, most, set(values.get(field, ()))) for field, most in self._limits)
