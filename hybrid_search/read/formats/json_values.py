"""JSON that is not on lines, read as a stream: arrays, objects over several lines, and lists inside an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, BinaryIO

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.formats.nan import NanIsNull
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import OnBad, RawRecord, RawRecords

_BOM = b"\xef\xbb\xbf"
_SKIPPED = 16 * MAX_LINE
"""What may lie between two records, where only a part of the file is wanted."""
_KINDS = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


class _Bounded:
    """What is left of a stream, without byte order mark; it ends with an error where no record comes for too long."""

    def __init__(self, stream: BinaryIO, place: str, most: int) -> None:
        self._stream = stream
        self._place = place
        self._most = most
        self._since = 0
        self._is_first = True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        if self._is_first and size:
            data = data.removeprefix(_BOM) or self._stream.read(size)
            self._is_first = False
        self._since += len(data)
        if self._since > self._most:
            raise SourceError(
                f"has an object longer than {self._most} bytes",
                where=self._place,
                remedy="If it holds the records, say where: --records PATH",
            )
        return data

    def record_ended(self) -> None:
        self._since = 0


def read_items(stream: BinaryIO, path: str, place: str, on_bad: OnBad) -> RawRecords:
    """The objects at a path of ijson (``item``: those of an array, empty: whole values), of all values of the stream.

    What is not an object goes to ``on_bad``.

    Raises:
        SourceError: it is no JSON from some place on, is cut short, or has an object of more than 64 MiB.
    """
    import ijson

    bounded = _Bounded(stream, place, MAX_LINE if path in {"", "item"} else _SKIPPED)
    found = ijson.items(NanIsNull(bounded), path, multiple_values=True)
    yield from _records(_translated(found, place), place, on_bad, bounded)


def read_named(stream: BinaryIO, path: str, place: str, on_bad: OnBad) -> RawRecords:
    """The objects of an object at a path, their keys as ``_id`` where they have none."""
    import ijson

    bounded = _Bounded(stream, place, _SKIPPED)
    found = ijson.kvitems(NanIsNull(bounded), path, multiple_values=True)
    with_ids = ({"_id": key, **value} if isinstance(value, dict) else value for key, value in _translated(found, place))
    yield from _records(with_ids, place, on_bad, bounded)


def _records(found: Iterable[Any], place: str, on_bad: OnBad, bounded: _Bounded) -> RawRecords:
    for number, values in enumerate(found, 1):
        bounded.record_ended()
        where = f"{place} record {number}"
        if type(values) is dict:
            yield RawRecord(_with_floats(values), where)
        else:
            what = f"expected an object, got {_KINDS.get(type(values), 'a number')}"
            on_bad(RecordError(what, where=where, remedy="Each record must be one JSON object"), repr(values).encode())


def _translated(found: Iterable[Any], place: str) -> Iterator[Any]:
    import ijson

    number = 0
    try:
        for number, value in enumerate(found, 1):  # noqa: B007 used where the next one is broken
            yield value
    except (ijson.JSONError, ValueError) as error:  # of encodings, and of what is nested too deep
        what = f"broken JSON after record {number:,}: {' '.join(str(error).split())}"
        remedy = "What follows cannot be read: mend it, or write JSON lines, of which single ones can be skipped"
        raise SourceError(what, where=place, remedy=remedy) from None


def _with_floats(value: Any) -> Any:
    """Numbers with a point as floats, as JSON lines have them; whole numbers keep all of their digits."""
    if isinstance(value, dict):
        return {key: _with_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def path_in(given: InputFile) -> str:
    """The path of ijson to a list that ``--records`` names: ``data.rows``, ``pages[].rows``."""
    return (given.records_path or "").strip(".").replace("[]", ".item")
