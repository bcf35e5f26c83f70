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
from hybrid_search.geo import is_pair, place
from hybrid_search.readings import amount_in, boolean_in, compact_date, is_missing, parts_of, written_date
from hybrid_search.records import Document, FieldReading, IndexSchema

MAX_KEYWORD_BYTES = 32_766
"""Lucene's limit for one term; both engines refuse the whole document for a longer one."""

_PARTIAL_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2]))?")
_BITS = 63
"""Of a moment, without its sign: engines refuse a longer one with the whole search, and JSON does not know it."""
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


def values_at(record: Mapping[str, Any], path: str, role: str = "keyword") -> list[Any]:
    """Every value of a field that is there: of names with dots, of objects, and of all items of lists on the way.

    For the ``role`` geo a list of two numbers is one value, and ``lat,lon`` stands for the two fields of a place.
    """
    if role == GEO and "," in path and path not in record:
        return _in_two_fields(record, *path.split(",", 1))
    values = _flat(record[path], is_pair if role == GEO else None) if path in record else []
    for head, rest in _splits(path):
        for inner in _flat(record.get(head)):
            if isinstance(inner, dict):
                values += values_at(inner, rest, role)
    return values


def _in_two_fields(record: Mapping[str, Any], latitude: str, longitude: str) -> list[Any]:
    """The place that two fields say together; none where both are empty."""
    said = [value_at(record, latitude.strip()), value_at(record, longitude.strip())]
    if all(_is_none(value) or is_missing(value) for value in said):
        return []
    return [dict(zip(("lat", "lon"), said, strict=True))]


@cache
def _splits(path: str) -> tuple[tuple[str, str], ...]:
    """``a.b.c`` as ``(a, b.c)`` and ``(a.b, c)``."""
    return tuple((path[: dot.start()], path[dot.end() :]) for dot in re.finditer(r"\.", path))


def _flat(value: Any, is_one: Callable[[Any], bool] | None = None) -> list[Any]:
    """All that is in a list and the lists within, but nulls and NaN, in order; a value that is no list is itself.

    So is a list of which ``is_one`` says that it is one value.
    """
    if not isinstance(value, list | tuple) or (is_one is not None and is_one(value)):
        return [] if _is_none(value) else [value]
    found: list[Any] = []
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list | tuple) and not (is_one is not None and is_one(item)):
            pending.extend(reversed(item))
        elif not _is_none(item):
            found.append(item)
    return found


def _is_none(value: Any) -> bool:
    """Whether a value is missing: null, or the NaN that stands for it in columns of numbers."""
    return value is None or (type(value) is float and value != value)  # noqa: PLR0124 only NaN differs from itself


def own_text(document: Document, name: str) -> str:
    """The text of a field that is searched on its own; empty where the document has none, or what is no text."""
    given = document.texts.get(name)
    return words_in(value_at(document.fields, name)) if given is None else given


def own_texts(document: Document, schema: IndexSchema) -> dict[str, str]:
    """The texts by name that the index searches on their own, and of the title before passages; those that are."""
    names = [one.name for one in schema.text_fields]
    heading = () if schema.passage_title is None or schema.passage_title in names else (schema.passage_title,)
    return {name: text for name in (*names, *heading) if (text := own_text(document, name)).strip()}


def words_in(value: Any) -> str:
    """The text in a value: a string or number, or a list of such, a line each; anything else holds none."""
    parts = value if isinstance(value, list | tuple) else [value]
    return "\n".join(str(part) for part in parts if isinstance(part, str | int | float) and str(part))


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


def number(value: Any, decimal: str = ".") -> int | float:
    """A finite number; text that holds one is read, also with signs of money and separators of thousands."""
    if isinstance(value, str):
        value = _number_in(value.strip(), decimal)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ValueError("a finite number")
    return value if isinstance(value, float) or -(2**63) <= value < 2**64 else float(value)


def _number_in(text: str, decimal: str) -> int | float | None:
    """The number that a text holds, None for other text; underscores are Python's, not a number's."""
    for kind in (int, float) if decimal == "." else (int,):
        try:
            return None if "_" in text else kind(text)
        except ValueError:
            continue
    return amount_in(text, decimal)


def moment(value: Any, order: str | None = None) -> str | int:
    """An ISO-8601 date in the form that both engines parse, or epoch milliseconds.

    ``2024``, ``2024-05``, ``20240517``, ``2024-05-17 10:00``, ``17.05.2024`` and ``May 17, 2024`` are all taken and
    written in the extended form; ``order`` is what comes first in ``05/07/2024``, ``day`` or ``month``.
    """
    if isinstance(value, str) and not _PARTIAL_DATE.fullmatch(value):
        value = _date_in(value.strip(), order)
    elif type(value) is int and value.bit_length() <= _BITS:
        value = compact_date(str(value)) or value
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("an ISO-8601 date or epoch milliseconds")  # noqa: TRY004 one exception for type and value
    if isinstance(value, int) and value.bit_length() > _BITS:
        raise ValueError("an ISO-8601 date or epoch milliseconds, in 64 bits")
    if isinstance(value, int) and abs(value) in _SECONDS:
        raise ValueError("epoch milliseconds, which this seems not to be (seconds?)")
    return value


def _date_in(text: str, order: str | None) -> str | int | None:
    """A date as the engines write it, None for a text that holds none."""
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return parse(text).isoformat()
        except ValueError:
            continue
    return int(text) if re.fullmatch(r"-?\d{9,}", text) else written_date(text, order)


def point(value: Any) -> dict[str, float]:
    """A place in the form that both engines take."""
    latitude, longitude = place(value)
    return {"lat": latitude, "lon": longitude}


GEO = "geo"
ROLES: Mapping[str, Callable[[Any], Any]] = {"keyword": keyword, "number": number, "date": moment, GEO: point}
PLAIN = FieldReading()


def read_value(value: Any, kind: str, reading: FieldReading = PLAIN) -> Any:
    """One value as the engine takes it; ValueError says what else it was."""
    if kind == "number":
        return number(value, reading.decimal)
    if kind == "date":
        return moment(value, reading.date_order)
    if kind == GEO:
        return point(value)
    if not reading.boolean:
        return keyword(value)
    found = boolean_in(value)
    if found is None:
        raise ValueError("yes or no, true or false, 1 or 0")
    return found


def check(value: Any, field: str, role: str, reading: FieldReading = PLAIN) -> None:
    """Raise RecordError for a value of a field to filter on that is not what the role asks for, unless it may be."""
    try:
        for part in () if reading.lenient else parts_of(value, reading.separator):
            if not _says_none(part, role, reading):
                read_value(part, role, reading)
    except ValueError as error:
        what = f"the {role} field {field!r} must be {error}, got {value!r:.60}"
        remedy = f"Correct it, or leave the field out of documents.{'boolean' if reading.boolean else role}"
        raise RecordError(what, remedy=remedy) from None


def filter_kinds(schema: IndexSchema) -> Mapping[str, str]:
    """Which fields can be filtered on, and as what: ``keyword``, ``number``, ``date`` or ``geo`` by the user's name."""
    return _kinds(schema.keyword_fields, schema.number_fields, schema.date_fields, schema.geo_fields)


@cache
def _kinds(
    keyword: tuple[str, ...], number: tuple[str, ...], date: tuple[str, ...], geo: tuple[str, ...]
) -> Mapping[str, str]:
    named = {"keyword": keyword, "number": number, "date": date, GEO: geo}
    return MappingProxyType({name: kind for kind, names in named.items() for name in names})


def described_kinds(schema: IndexSchema) -> dict[str, str]:
    """The same with how the values are read, for people and for comparisons: ``number (decimal=',', lenient)``."""
    return {
        name: f"{kind} ({said})" if (said := described(schema.readings.get(name, PLAIN))) else kind
        for name, kind in filter_kinds(schema).items()
    }


def described(reading: FieldReading) -> str:
    """What of a reading is not plain, in words."""
    pairs = [(name, getattr(reading, name)) for name in FieldReading.__dataclass_fields__]
    unusual = [(name, value) for name, value in pairs if value != getattr(PLAIN, name)]
    return ", ".join(name if value is True else f"{name}={value!r}" for name, value in unusual)


def filter_values(fields: Mapping[str, Any], schema: IndexSchema) -> dict[str, Any]:
    """What is written to filter on, by the user's names: one value, or a list where there are several.

    Keywords are written in Unicode's composed form (NFC), in which they are also asked for.
    """
    found = {name: _written_of(fields, name, kind, schema) for name, kind in filter_kinds(schema).items()}
    return {name: values[0] if len(values) == 1 else values for name, values in found.items() if values}


def _written_of(fields: Mapping[str, Any], name: str, kind: str, schema: IndexSchema) -> list[Any]:
    reading = schema.readings.get(name)
    if reading is None:
        values = [value for value in values_at(fields, name, kind) if not _says_none(value, kind)]
        return [_written(taken(value, kind), kind) for value in values]
    parts = [part for value in values_at(fields, name, kind) for part in parts_of(value, reading.separator)]
    return [_written(taken(part, kind, reading), kind) for part in parts if not _left_out(part, kind, reading)]


def _written(value: Any, kind: str) -> Any:
    if kind == "keyword" and isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, float) and kind == "number" and 2**53 <= abs(value) < 2**63:
        return int(value)  # a whole number, which the engine is to keep as one
    return value


def taken(value: Any, kind: str, reading: FieldReading = PLAIN) -> Any:
    """A value as the engine takes it; what it cannot be made of is left as it is, for the engine to refuse."""
    try:
        return read_value(value, kind, reading)
    except ValueError:
        return value


def _left_out(value: Any, kind: str, reading: FieldReading) -> bool:
    """Whether a value is stored and not filtered on."""
    if _says_none(value, kind, reading):
        return True
    if not reading.lenient:
        return False
    try:
        read_value(value, kind, reading)
    except ValueError:
        return True
    return False


def _says_none(value: Any, kind: str, reading: FieldReading = PLAIN) -> bool:
    """Whether a text says that there is no number, date, yes or no; a label may be such a word."""
    return (kind != "keyword" or reading.boolean) and is_missing(value)


def strays(fields: Mapping[str, Any], schema: IndexSchema) -> dict[str, list[Any]]:
    """The values, by field, that are stored and not filtered on because they cannot be read; words for none are not."""
    kinds = filter_kinds(schema)
    found = {
        name: [
            part
            for value in values_at(fields, name, kinds.get(name, "keyword"))
            for part in parts_of(value, reading.separator)
            if _left_out(part, kinds[name], reading) and not is_missing(part)
        ]
        for name, reading in schema.readings.items()
        if reading.lenient and name in kinds
    }
    return {name: values for name, values in found.items() if values}


def with_taken_values(fields: Mapping[str, Any], schema: IndexSchema) -> Mapping[str, Any]:
    """The fields as layout 1 stores them, which filters on what is stored: with values that the engine takes."""
    changed = dict(fields)
    for name, kind in filter_kinds(schema).items():
        value = value_at(changed, name)
        if value is not None:
            put(changed, name, [taken(v, kind) for v in value] if isinstance(value, list) else taken(value, kind))
    return changed


def shown(value: object) -> str:
    """The beginning of a value, for messages."""
    try:
        return f"{value!r:.60}"
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
