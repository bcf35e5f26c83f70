"""Comparisons of one field, as query clauses: the name checked against the index, the values read as records are."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from hybrid_search import fields
from hybrid_search.engine.layout import exact_path, field_path
from hybrid_search.errors import QueryError
from hybrid_search.fields import PLAIN, filter_kinds, shown
from hybrid_search.filter_dates import bound
from hybrid_search.filter_numbers import equals, needs_exact, one_of
from hybrid_search.filter_numbers import within as numbers_within
from hybrid_search.geo import Place, checked_place, meters, place
from hybrid_search.readings import boolean_in
from hybrid_search.records import FieldReading, IndexSchema

__all__ = [
    "MOST_HELD",
    "MOST_VALUES",
    "Against",
    "beginning",
    "equal",
    "existing",
    "holding",
    "inside",
    "listed",
    "near",
    "place_in",
    "shown",
    "within",
]

MOST_VALUES = 65_536
"""``index.max_terms_count`` of both engines."""

MOST_HELD = 100
"""Characters of a part that keywords are searched for: the engines' automaton for it grows with their square."""

Clause = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Against:
    """What a filter is made for: an index of this schema, and what ``now`` means there (epoch milliseconds)."""

    schema: IndexSchema
    now: int | None = None

    def kind(self, field: str) -> str:
        """``keyword``, ``number``, ``date`` or ``geo``.

        Raises:
            QueryError: the index cannot filter on this field; the nearest that it can is named.
        """
        kinds = filter_kinds(self.schema)
        if not isinstance(field, str):
            raise QueryError(f"{shown(field)} is no name of a field")
        if field not in kinds:
            near = get_close_matches(field, kinds, n=1)
            listed = ", ".join(sorted(kinds)) or "nothing"
            known = f"Did you mean {near[0]!r}?" if near else f"It can filter on: {listed}"
            raise QueryError(f"the index cannot filter on {field!r}", remedy=known)
        return kinds[field]

    def path(self, field: str) -> str:
        """Where the index has the field."""
        return field_path(field, self.schema)

    def reading(self, field: str) -> FieldReading:
        """How its values are read."""
        return self.schema.readings.get(field, PLAIN)


def listed(field: str, values: Any) -> Collection[Any]:
    """The values of a list, if it is one that an engine takes."""
    if not isinstance(values, tuple | list | set | frozenset):
        raise QueryError(f"{shown(values)} is no list of values", where=str(field), remedy="Give a tuple of them")
    if len(values) > MOST_VALUES:
        what = f"{len(values):,} values to compare with, and the engines take {MOST_VALUES:,}"
        raise QueryError(what, where=field, remedy="Combine several with |, or keep a field for the group they are")
    return values


def equal(field: str, values: Collection[Any], against: Against) -> list[Clause]:
    """Clauses of which one holds where the field has one of the values."""
    kind, path = against.kind(field), against.path(field)
    if kind == "date":
        days = dict.fromkeys(_date(field, value, against) for value in values)
        return [{"range": {path: {"gte": day, "lte": day, **_written(against)}}} for day in days]
    if kind == "number":
        numbers = [_number(field, value, against) for value in values]
        return equals(numbers, path, exact_path(field, against.schema) or path)
    if kind == "geo":
        raise QueryError("a place is not compared by its value", where=field, remedy=_areas(field))
    return one_of(path, [_keyword(field, value, against) for value in values])


def within(field: str, bounds: Mapping[str, Any], against: Against) -> list[Clause]:
    """Clauses of which one holds where the field has a value within the bounds (gt, gte, lt, lte)."""
    kind, path = against.kind(field), against.path(field)
    if kind == "keyword":
        raise QueryError("a keyword has no order", where=field, remedy="Make it a number or date field")
    if kind == "geo":
        raise QueryError("a place has no order", where=field, remedy=_areas(field))
    if not bounds:
        raise QueryError("a range without bounds", where=field, remedy="Give gt, gte, lt or lte")
    if kind == "date":
        days = {name: _date(field, value, against) for name, value in bounds.items()}
        return [{"range": {path: {**days, **_written(against)}}}]
    numbers = {name: _number(field, value, against) for name, value in bounds.items()}
    return numbers_within(numbers, path, exact_path(field, against.schema) or path)


def _written(against: Against) -> dict[str, str]:
    """How the dates of a filter are written, where an owner's field may be written in another way."""
    return {} if against.schema.attached is None else {"format": "strict_date_optional_time||epoch_millis"}


def beginning(field: str, value: Any, against: Against) -> Clause:
    """Holds where a keyword begins with the text."""
    text = _part(field, value, against)
    return {"prefix": {against.path(field): {"value": text}}} if text else existing(field, against)


def holding(field: str, value: Any, against: Against, *, ignore_case: bool = False) -> Clause:
    """Holds where a keyword holds the text, in which no character is a wildcard."""
    text = _part(field, value, against)
    if len(text) > MOST_HELD:
        what = f"a part of {len(text):,} characters, and the engines take {MOST_HELD}"
        raise QueryError(what, where=field, remedy="Give its first characters, or compare the whole value with =")
    if not text:
        return existing(field, against)
    escaped = "".join(f"\\{character}" if character in "*?\\" else character for character in text)
    how = {"case_insensitive": True} if ignore_case else {}
    return {"wildcard": {against.path(field): {"value": f"*{escaped}*", **how}}}


def near(field: str, around: Place, distance: Any, against: Against) -> Clause:
    """Holds where a place is at most so far away."""
    latitude, longitude = _place(field, *around, against)
    try:
        most = meters(distance)
    except ValueError as error:
        raise QueryError(f"{shown(distance)} is no distance: give {error}", where=field) from None
    return {"geo_distance": {"distance": f"{most!r}m", against.path(field): {"lat": latitude, "lon": longitude}}}


def inside(field: str, southwest: Place, northeast: Place, against: Against) -> Clause:
    """Holds where a place is in the box, its edges included."""
    south, west = _place(field, *southwest, against)
    north, east = _place(field, *northeast, against)
    if south >= north or west == east:
        what = f"a box from {south:g},{west:g} to {north:g},{east:g}"
        raise QueryError(what, where=field, remedy="Give its corner in the southwest, then that in the northeast")
    corners = {"top_left": {"lat": north, "lon": west}, "bottom_right": {"lat": south, "lon": east}}
    return {"geo_bounding_box": {against.path(field): corners}}


def existing(field: str, against: Against) -> Clause:
    """Holds where the field has any value."""
    against.kind(field)
    return {"exists": {"field": against.path(field)}}


def place_in(field: str, text: str) -> Place:
    """The place that a text says, as records may have it.

    Raises:
        QueryError: it says none, or one that is out of range.
    """
    try:
        return place(text)
    except ValueError as error:
        raise QueryError(f"{shown(text)} is no place: give {error}", where=field) from None


def _place(field: str, latitude: Any, longitude: Any, against: Against) -> Place:
    if (kind := against.kind(field)) != "geo":
        what = f"a {kind} is no place"
        raise QueryError(what, where=field, remedy="Name it in documents.geo, and index again")
    try:
        return checked_place(latitude, longitude)
    except ValueError as error:
        raise QueryError(f"{shown((latitude, longitude))} is no place: give {error}", where=field) from None


def _areas(field: str) -> str:
    return f"Write {field} within 5km of 48.1,11.5, or {field} within 48,11 to 49,12"


def _part(field: str, value: Any, against: Against) -> str:
    """Text that keywords are to begin with or to hold."""
    if (kind := against.kind(field)) != "keyword":
        raise QueryError(f"a {kind} has no beginning and no parts", where=field, remedy="They are for keywords")
    if against.reading(field).boolean:
        raise QueryError("yes or no has no beginning and no parts", where=field, remedy="Write true or false")
    return _keyword(field, value, against)


def _keyword(field: str, value: Any, against: Against) -> str:
    """As it is written: composed, which layout 1 did not do; a word for yes or no as what it says."""
    reading = against.reading(field)
    if reading.boolean and boolean_in(value) is None:
        raise QueryError(f"{shown(value)} is neither yes nor no", where=field, remedy="Write true or false")
    try:
        read = fields.read_value(value, "keyword", reading)
        text = str(read).lower() if isinstance(read, bool) else str(read)
        text.encode()
    except UnicodeEncodeError:
        raise QueryError("half a surrogate pair is no text, so the value is no keyword", where=field) from None
    except ValueError:
        raise QueryError(f"{shown(value)} is no keyword", where=field, remedy="Give a string") from None
    kept = against.schema.layout == 1 or against.schema.attached is not None  # as others have written it
    return text if kept else unicodedata.normalize("NFC", text)


def _number(field: str, value: Any, against: Against) -> int | float:
    try:
        number = fields.number(value, against.reading(field).decimal)
    except ValueError:
        raise QueryError(f"{shown(value)} is no number", where=field) from None
    if against.schema.layout == 1 and isinstance(number, int) and needs_exact(number):
        what = f"whole numbers from 2^53 on, such as {number}, are not told apart by this index, which release 0.1 made"
        raise QueryError(what, where=field, remedy="Make a new one: hybrid-search reindex")
    return number


def _date(field: str, value: Any, against: Against) -> str | int:
    return bound(field, value, against.reading(field).date_order, against.now)
