"""JSON lines: one object on each line."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, BinaryIO

import orjson

from hybrid_search.errors import RecordError
from hybrid_search.read.formats.nan import without_nan
from hybrid_search.read.raw import OnBad, RawRecord, RawRecords, changed, excerpt
from hybrid_search.records import ResumePoint

MAX_LINE = 1 << 26
"""64 MiB: far beyond any document, and what keeps a file without line breaks from filling the memory."""
_HOLDERS = (dict, list)
BEYOND = float(1 << 63)
"""From here on a double may stand for a whole number that a long cannot hold."""
_BOM = b"\xef\xbb\xbf"


def read_jsonl(
    stream: BinaryIO, place: str, on_bad: OnBad, *, start: ResumePoint | None = None, end: int | None = None
) -> RawRecords:
    """The objects of a stream of JSON lines; empty lines are passed over, a byte order mark is taken off.

    The ``NaN`` that Python writes is a missing value. A line that is not UTF-8, not JSON, not an object or longer than
    64 MiB goes to ``on_bad``. Lines are read that begin from ``start`` on and before the byte ``end``; a stream that
    can seek says the place behind each record.

    Raises:
        SourceError: no line begins at ``start``.
    """
    start = start or ResumePoint()
    can_seek = stream.seekable()
    offset = _sought(stream, place, start) if start.offset else 0
    lines = iter(partial(stream.readline, MAX_LINE), b"")
    for number, line in enumerate(lines, start.line + 1):
        if end is not None and offset >= end:
            return
        where = f"{place}:{number}"
        offset += len(line)
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            offset += _skip_line(stream)
            remedy = "Write one JSON object on each line"
            on_bad(RecordError(f"the line is longer than {MAX_LINE} bytes", where=where, remedy=remedy), line)
            continue
        data = line.removeprefix(_BOM) if number == 1 else line
        try:
            values = orjson.loads(data) if b"NaN" not in data else orjson.loads(without_nan(data))
        except orjson.JSONDecodeError as error:
            if data.strip():
                on_bad(_broken(data, error, where), line)
            continue
        if type(values) is dict:
            if _may_be_rounded(values):
                values = _exact(data, values)
            yield RawRecord(values, where, line, ResumePoint(offset, number) if can_seek else None)
        else:
            on_bad(_no_object(values, where), line)


def _may_be_rounded(values: dict[str, Any] | list[Any]) -> bool:
    """Whether a number is there that may have been a whole one of more than 64 bits, of which orjson makes a double."""
    for value in values.values() if isinstance(values, dict) else values:
        if isinstance(value, float):
            if not -BEYOND < value < BEYOND:
                return True
        elif isinstance(value, _HOLDERS) and _may_be_rounded(value):
            return True
    return False


def _exact(data: bytes, values: dict[str, Any]) -> dict[str, Any]:
    """The same object with all digits of its whole numbers; what cannot hold them refuses it, rather than round."""
    try:
        exact = json.loads(data)
    except (ValueError, RecursionError):
        return values
    return exact if type(exact) is dict else values


def _sought(stream: BinaryIO, place: str, start: ResumePoint) -> int:
    stream.seek(start.offset - 1)
    before = stream.read(1)
    # Behind a last line without its end there is nothing more.
    if not before or (before != b"\n" and stream.read(1)):
        raise changed(place, start)
    return stream.seek(start.offset)


def _skip_line(stream: BinaryIO) -> int:
    """Read to the end of the line; how many bytes that were."""
    skipped = 0
    while rest := stream.readline(MAX_LINE):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped


def _broken(data: bytes, error: orjson.JSONDecodeError, where: str) -> RecordError:
    try:
        text = data.decode()
    except UnicodeDecodeError as bad:
        what = f"byte {bad.start + 1} is {data[bad.start]:#04x}, which is not UTF-8"
        return RecordError(what, where=where, remedy="Write the file in UTF-8: iconv -t UTF-8")
    column = min(error.pos, len(text.rstrip()))
    what = f"broken JSON at column {column + 1}: {error.msg}, near {excerpt(text.rstrip(), column)!r}"
    return RecordError(what, where=where, remedy=_remedy(text, column))


def _remedy(text: str, column: int) -> str:
    if text[column:].startswith(("Infinity", "-Infinity")):
        return "JSON has no Infinity: leave the value out, or write null"
    if text.lstrip().startswith("[") and not text.rstrip().endswith("]"):
        return "The file looks like one JSON array; turn it into lines: jq -c '.[]'"
    return "Each line must be one whole JSON object"


def _no_object(values: Any, where: str) -> RecordError:
    kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    remedy = "Each line must be one JSON object"
    if isinstance(values, list):
        remedy = "Turn the array into lines: jq -c '.[]'"
    return RecordError(f"expected an object, got {kinds.get(type(values), 'a number')}", where=where, remedy=remedy)
