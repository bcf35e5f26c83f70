"""Fields of a record: those that are text, how those to filter on are read, and records without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybrid_search.errors import RecordError
from hybrid_search.records import FieldReading
from hybrid_search.settings import DocumentSettings


def without(record: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The record without a field, and without an object that held nothing else; objects are copied, never changed."""
    rest = {key: value for key, value in record.items() if key != path}
    head, dot, tail = path.partition(".")
    if dot and path not in record and isinstance(rest.get(head), dict):
        inner = without(rest[head], tail)
        if inner or not rest[head]:
            rest[head] = inner
        else:
            del rest[head]
    return rest


def text_of(value: Any, field: str, key: str = "documents.text") -> str:
    """The text in a field: a string, or a list of strings, which are joined by a newline.

    Raises:
        RecordError: any other type.
    """
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(part for part in value if part)
    remedy = f"Leave the field out of {key}, or write it as a string"
    raise RecordError(f"the text field {field!r} must be a string, got {value!r:.60}", remedy=remedy)


def field_readings(settings: DocumentSettings) -> dict[str, FieldReading]:
    """How the values of the fields to filter on are read, of those that are not plain."""
    named = {*settings.boolean, *settings.split, *settings.decimal, *settings.date_order, *settings.lenient}
    return {
        name: FieldReading(
            boolean=name in settings.boolean,
            separator=settings.split.get(name),
            decimal=settings.decimal.get(name, "."),
            date_order=settings.date_order.get(name),
            lenient=name in settings.lenient,
        )
        for name in sorted(named)
    }
