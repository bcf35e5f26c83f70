"""What a reader hands on: one record as it came, before it is a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.records import ResumePoint

OnBad = Callable[[RecordError, bytes], None]
"""Told of a bad record: the error, and the record's bytes as the source holds them."""

OnNote = Callable[[str], None]
"""Told of what was detected or left out, a sentence."""

Open = Callable[[], AbstractContextManager[BinaryIO]]


class RawRecord(NamedTuple):
    """One record: its values by field name, its place (``file:line``), and its bytes where the source has lines.

    ``end`` is where reading goes on behind it, None where the source cannot go on. ``image`` is the picture that it is.
    """

    values: dict[str, Any]
    where: str
    data: bytes | None = None
    end: ResumePoint | None = None
    image: Path | None = None

    def as_bytes(self) -> bytes:
        """The record for a file of skipped ones: its own bytes, or one line of JSON."""
        return (
            orjson.dumps(self.values, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
            if self.data is None
            else self.data
        )


RawRecords = Iterator[RawRecord]


def behind_last(records: RawRecords, end: ResumePoint | None) -> RawRecords:
    """Records of one place, behind the last of which reading goes on at ``end``; behind the others it cannot."""
    before: RawRecord | None = None
    for record in records:
        if before is not None:
            yield before
        before = record._replace(end=None)
    if before is not None:
        yield before._replace(end=end)


def refuse(error: RecordError, _data: bytes) -> None:
    """The strict ``on_bad``: the first bad record ends the reading."""
    raise error


def unheard(_note: str) -> None:
    """The ``on_note`` of those who do not want to know."""


def changed(place: str, start: ResumePoint) -> SourceError:
    """The error for a file that has no such place any more."""
    return SourceError(
        f"has changed since it was read to line {start.line:,}",
        where=place,
        remedy="Load it from the beginning: remove the journal",
    )


def excerpt(text: str, column: int, width: int = 40) -> str:
    """At most ``width`` characters around a column (from 0), with an ellipsis where something is cut off."""
    start = max(0, min(column - width // 2, len(text) - width))
    piece = text[start : start + width]
    return f"{'…' if start else ''}{piece}{'…' if start + width < len(text) else ''}"
