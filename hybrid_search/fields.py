"""Values of the fields that are filtered on: where a record has them, and what the engines take of them.

The readers check them, the bulk dialect writes them, and the filters compare with them: one reading for all three.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from types import MappingProxyType
from typing import Any

from hybrid_search.errors import RecordError
from hybrid_search.records import IndexSchema

MAX_KEYWORD_BYTES = 32_766
"""Lucene's limit for one term; both engines refuse the whole document for a longer one."""

_PARTIAL_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2]))?")
_SECONDS = range(10**8, 10**11)
"""Numbers that are dates of 1973 to 5138 in seconds, and of the first three years of the epoch in milliseconds."""


def value_at(record: Mapping[str, Any], path: str) -> Any:
    """The value of a field, None where it is missing; a dot reaches into an object unless the name itself has it."""
    value = record.get(path)
    if value is not None or "." not in path or path in record:
        return value
    for head, rest in _splits(path):
        inner = record.get(head)
        if isinstance(inner, dict) and (value := value_at(inner, rest)) is not None:
            return value
    return None


def values_at(record: Mapping[str, Any], path: str) -> list[Any]:
    """Every value of a field that is not null: of names with dots, of objects, and of all items of lists on the way."""
    values = _flat(record[path]) if path in record else []
    for head, rest in _splits(path):
        for inner in _flat(record.get(head)):
            if isinstance(inner, dict):
                values += values_at(inner, rest)
    return values


@cache
def _splits(path: str) -> tuple[tuple[str, str], ...]:
    """``a.b.c`` as ``(a, b.c)`` and ``(a.b, c)``."""
    return tuple((path[: dot.start()], path[dot.end() :]) for dot in re.finditer(r"\.", path))


def _flat(value: Any) -> list[Any]:
    """All that is in a list and the lists within, but nulls, in order; a value that is no list is itself."""
    if not isinstance(value, list | tuple):
        return [] if value is None else [value]
    found: list[Any] = []
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list | tuple):
            pending.extend(reversed(item))
        elif item is not None:
            found.append(item)
    return found


def put(record: dict[str, Any], path: str, value: Any) -> None:
    """Change the value of a field that the record has; the objects on the way to it are copied, never changed."""
    if path in record:
        record[path] = value
        return
    for head, rest in _splits(path):
        inner = record.get(head)
        if isinstance(inner, dict) and value_at(inner, rest) is not None:
            record[head] = dict(inner)
            put(record[head], rest, value)
            return


def keyword(value: Any) -> Any:
    """A string, whole number or boolean as it is; ValueError says what else it was."""
    if not isinstance(value, str | int):
        raise ValueError("a string, a whole number or a boolean")  # noqa: TRY004 one exception for type and value
    if isinstance(value, str) and len(value) * 4 > MAX_KEYWORD_BYTES and len(value.encode()) > MAX_KEYWORD_BYTES:
        raise ValueError(f"a string of at most {MAX_KEYWORD_BYTES} bytes")
    return value


def number(value: Any) -> int | float:
    """A finite number; text that holds one is read."""
    if isinstance(value, str):
        value = _number_in(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ValueError("a finite number")
    return value if isinstance(value, float) or -(2**63) <= value < 2**64 else float(value)


def _number_in(text: str) -> int | float | None:
    """The number that a text holds, None for other text; underscores are Python's, not a number's."""
    for kind in (int, float):
        try:
            return None if "_" in text else kind(text)
        except ValueError:
            continue
    return None


def moment(value: Any) -> str | int:
    """An ISO-8601 date in the form that both engines parse, or epoch milliseconds.

    ``2024``, ``2024-05``, ``20240517``, ``2024-05-17 10:00`` are all taken and written in the extended form.
    """
    if isinstance(value, str) and not _PARTIAL_DATE.fullmatch(value):
        value = _date_in(value.strip())
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("an ISO-8601 date or epoch milliseconds")  # noqa: TRY004 one exception for type and value
    if isinstance(value, int) and abs(value) in _SECONDS:
        raise ValueError("epoch milliseconds, which this seems not to be (seconds?)")
    return value


def _date_in(text: str) -> str | int | None:
    """A date as the engines write it, None for a text that holds none."""
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return parse(text).isoformat()
        except ValueError:
            continue
    return int(text) if re.fullmatch(r"-?\d{9,}", text) else None


ROLES: Mapping[str, Callable[[Any], Any]] = {"keyword": keyword, "number": number, "date": moment}


def check(value: Any, field: str, role: str) -> None:
    """Raise RecordError for a value of a field to filter on that is not what the role asks for."""
    try:
        ROLES[role](value)
    except ValueError as error:
        what = f"the {role} field {field!r} must be {error}, got {value!r:.60}"
        remedy = f"Correct it, or leave the field out of documents.{role}"
        raise RecordError(what, remedy=remedy) from None


def filter_kinds(schema: IndexSchema) -> Mapping[str, str]:
    """Which fields can be filtered on, and as what: ``keyword``, ``number`` or ``date`` by the user's name."""
    return _kinds(schema.keyword_fields, schema.number_fields, schema.date_fields)


@cache
def _kinds(keyword: tuple[str, ...], number: tuple[str, ...], date: tuple[str, ...]) -> Mapping[str, str]:
    named = {"keyword": keyword, "number": number, "date": date}
    return MappingProxyType({name: kind for kind, names in named.items() for name in names})


def filter_values(fields: Mapping[str, Any], schema: IndexSchema) -> dict[str, Any]:
    """What is written to filter on, by the user's names: one value, or a list where there are several.

    Keywords are written in Unicode's composed form (NFC), in which they are also asked for.
    """
    found = {name: [_written(v, kind) for v in values_at(fields, name)] for name, kind in filter_kinds(schema).items()}
    return {name: values[0] if len(values) == 1 else values for name, values in found.items() if values}


def _written(value: Any, kind: str) -> Any:
    value = taken(value, kind)
    if kind == "keyword" and isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, float) and kind == "number" and 2**53 <= abs(value) < 2**63:
        return int(value)  # a whole number, which the engine is to keep as one
    return value


def taken(value: Any, kind: str) -> Any:
    """A value as the engine takes it; what it cannot be made of is left as it is, for the engine to refuse."""
    try:
        return ROLES[kind](value)
    except ValueError:
        return value


def with_taken_values(fields: Mapping[str, Any], schema: IndexSchema) -> Mapping[str, Any]:
    """The fields as layout 1 stores them, which filters on what is stored: with values that the engine takes."""
    changed = dict(fields)
    for name, kind in filter_kinds(schema).items():
        value = value_at(changed, name)
        if value is not None:
            put(changed, name, [taken(v, kind) for v in value] if isinstance(value, list) else taken(value, kind))
    return changed
