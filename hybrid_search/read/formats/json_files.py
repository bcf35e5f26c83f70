"""JSON in whatever layout: which reader a file needs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from hybrid_search.errors import SourceError
from hybrid_search.read.encodings import encoding_of
from hybrid_search.read.formats.bulk import read_bulk, read_console, unwrapped
from hybrid_search.read.formats.frames import rows_of_frame
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.formats.json_layout import Layout, is_response, layout_of
from hybrid_search.read.formats.json_values import path_in, read_items, read_named
from hybrid_search.read.jsonl import read_jsonl
from hybrid_search.read.raw import RawRecord, RawRecords, behind_last
from hybrid_search.read.storage import open_binary

_HEAD = 1 << 16
WHOLE = "."
"""What ``--records`` says for: the objects themselves are the records, whatever lists they hold."""


def read_json(given: InputFile) -> RawRecords:
    """Objects of lines, arrays, concatenated or pretty-printed values, ``_bulk`` bodies, hits and a console's export.

    Raises:
        SourceError: nothing is where ``--records`` says, or one object holds the records and nobody says where.
    """
    if given.records_path not in {None, WHOLE}:
        yield from _at_path(given)
        return
    with given.opened() as stream:
        layout = layout_of(cast("Any", stream).peek(_HEAD)[:_HEAD])
        found = _in_layout(layout, stream, given)
        if given.is_whole and given.records_path is None and _may_be_container(given, layout):
            found = _checked(found, given)
        for record in found:
            yield from _unwrapped(record)


def _unwrapped(record: RawRecord) -> RawRecords:
    """The documents of a hit, or of a whole answer to a search; any other record as it is."""
    values = record.values
    if "_source" in values:
        yield record._replace(values=unwrapped(values))
    elif "hits" in values and is_response(values):
        hits = (record._replace(values=unwrapped(hit)) for hit in values["hits"]["hits"])
        yield from behind_last(hits, record.end)
    else:
        yield record


def _in_layout(layout: Layout, stream: BinaryIO, given: InputFile) -> RawRecords:
    place, on_bad = given.place, given.on_bad
    if layout != Layout.LINES:
        given.on_note(f"{place}: is read as {layout}")
    if layout == Layout.LINES:
        return read_jsonl(stream, place, on_bad, start=given.start, end=given.stop)
    if layout == Layout.BULK:
        lines = read_jsonl(stream, place, on_bad, start=given.start)
        return read_bulk(lines, place, on_bad, given.on_note)
    if layout == Layout.CONSOLE:
        return read_console(stream, place, on_bad, given.on_note)
    paths = {Layout.ARRAY: "item", Layout.VALUES: "", Layout.RESPONSES: "hits.hits.item"}
    return read_items(stream, paths[layout], place, on_bad)


def is_lines(path: Path, version: str | None = None) -> bool:
    """Whether a file that is not compressed is one object a line in UTF-8, so that it can be cut at line ends."""
    with open_binary(path, version) as file:
        return layout_of(cast("Any", file).peek(_HEAD)[:_HEAD]) == Layout.LINES and encoding_of(file) is None


def _at_path(given: InputFile) -> RawRecords:
    """The objects of the list, or of the object, that a path leads to."""
    path, count = path_in(given), 0
    for read, place in ((read_items, f"{path}.item"), (read_named, path)):
        with given.opened() as stream:
            for record in read(stream, place, given.place, given.on_bad):
                count += 1
                yield record._replace(values=unwrapped(record.values))
        if count:
            return
    remedy = "Name the list of records by its keys, joined by dots: --records data.rows"
    raise SourceError(f"holds no record at {given.records_path!r}", where=given.place, remedy=remedy)


def _may_be_container(given: InputFile, layout: Layout) -> bool:
    return layout == Layout.VALUES or (layout == Layout.LINES and ".json" in map(str.lower, given.path.suffixes))


def _checked(found: RawRecords, given: InputFile) -> Iterator[RawRecord]:
    """The records, unless there is only one that holds all: a frame, or a list of objects, whose name is asked for."""
    first = list(islice(found, 2))
    rows = rows_of_frame(first[0].values) if len(first) == 1 else None
    if rows is not None:
        given.on_note(f"{given.place}: is read as a frame of pandas, row by row")
        yield from (RawRecord(row, f"{given.place} record {number}") for number, row in enumerate(rows, 1))
        return
    lists = _lists_of_objects(first[0].values) if len(first) == 1 else {}
    if lists:
        name, size = max(lists.items(), key=lambda item: item[1])
        raise SourceError(
            f"holds one object, whose {name!r} is a list of {size:,} objects",
            where=given.place,
            remedy=f"If these are the records: --records {name}; if the object is one: --records {WHOLE}",
        )
    yield from chain(first, found)


def _lists_of_objects(values: dict[str, Any], prefix: str = "", depth: int = 3) -> dict[str, int]:
    """Sizes of lists of at least two objects by their paths, to a depth."""
    found: dict[str, int] = {}
    for name, value in values.items():
        if isinstance(value, list) and len(value) > 1 and all(isinstance(item, dict) for item in value):
            found[prefix + name] = len(value)
        elif isinstance(value, dict) and depth:
            found |= _lists_of_objects(value, f"{prefix}{name}.", depth - 1)
    return found
