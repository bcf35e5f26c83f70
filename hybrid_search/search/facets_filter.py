"""Filters without the conditions on one field, so that its facet keeps the values that were not chosen.

Of a filter that asks for several things, those are left out that are about this field alone: ``brand=Sony and price<9``
without ``brand`` is ``price<9``. A condition that joins it to another field (``brand=Sony or price<9``) stays, for
nobody can say which of its documents the field let pass.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from hybrid_search.fields import PLAIN, filter_kinds, read_value
from hybrid_search.filters import And, Eq, Filter, In, Or
from hybrid_search.found import Value
from hybrid_search.records import IndexSchema


def without_field(given: Filter | None, field: str) -> tuple[Filter | None, list[Filter]]:
    """The filter without its conditions on ``field`` alone, and those."""
    kept: list[Filter] = []
    left_out: list[Filter] = []
    for condition in _conditions(given):
        (left_out if set(_fields(condition)) == {field} else kept).append(condition)
    if not left_out:
        return given, []
    return (None if not kept else kept[0] if len(kept) == 1 else And(tuple(kept))), left_out


def selected(conditions: list[Filter], field: str, schema: IndexSchema) -> frozenset[Value]:
    """The values that conditions on a field name, in the form in which the engine has them."""
    kind, reading = filter_kinds(schema)[field], schema.readings.get(field, PLAIN)
    found: set[Value] = set()
    for value in (value for condition in conditions for value in _named(condition)):
        try:
            read = read_value(value, kind, reading)
        except ValueError:
            continue  # the filter itself is refused for it
        if kind == "keyword":
            read = str(read).lower() if isinstance(read, bool) else unicodedata.normalize("NFC", str(read))
        found.add(int(read) if isinstance(read, float) and read.is_integer() else read)
    return frozenset(found)


def _conditions(given: Any) -> Iterator[Filter]:
    """What must all hold."""
    pending = [] if given is None else [given]
    while pending:
        one = pending.pop()
        if isinstance(one, And):
            pending.extend(reversed(one.parts))
        else:
            yield one


def _fields(given: Any) -> Iterator[str]:
    """The fields that a filter is about."""
    pending = [given]
    while pending:
        one = pending.pop()
        pending += [*getattr(one, "parts", ()), *([one.part] if hasattr(one, "part") else [])]
        if hasattr(one, "field"):
            yield one.field


def _named(condition: Filter) -> Iterator[Any]:
    """The values of which a document may have any."""
    match condition:
        case Eq(_, value):
            yield value
        case In(_, values):
            yield from values
        case Or(parts):
            for part in parts:
                yield from _named(part)
