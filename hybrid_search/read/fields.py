"""Values of a record's fields, by the role that the settings give them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from hybrid_search.errors import RecordError

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
    head, _, rest = path.partition(".")
    inner = record.get(head)
    return value_at(inner, rest) if isinstance(inner, dict) else None


def without(record: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The record without a field; the objects on the way to it are copied, never changed."""
    rest = {key: value for key, value in record.items() if key != path}
    head, dot, tail = path.partition(".")
    if dot and path not in record and isinstance(rest.get(head), dict):
        rest[head] = without(rest[head], tail)
    return rest


def put(record: dict[str, Any], path: str, value: Any) -> None:
    """Change the value of a field that the record has; the objects on the way to it are copied, never changed."""
    if path in record:
        record[path] = value
        return
    head, _, tail = path.partition(".")
    record[head] = dict(record[head])
    put(record[head], tail, value)


def text_of(value: Any, field: str) -> str:
    """The text in a field: a string, or a list of strings, which are joined by a newline.

    Raises:
        RecordError: any other type.
    """
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(part for part in value if part)
    remedy = "Leave the field out of documents.text, or write it as a string"
    raise RecordError(f"the text field {field!r} must be a string, got {value!r:.60}", remedy=remedy)


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


def checked(value: Any, field: str, role: str) -> Any:
    """The value of a field to filter on, or a list of such values, as the engine takes it.

    Raises:
        RecordError: the value is not what the role asks for.
    """
    read = ROLES[role]
    try:
        return read(value) if not isinstance(value, list) else [read(item) for item in value]
    except ValueError as error:
        what = f"the {role} field {field!r} must be {error}, got {value!r:.60}"
        remedy = f"Correct it, or leave the field out of documents.{role}"
        raise RecordError(what, remedy=remedy) from None
