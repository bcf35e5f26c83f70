"""CSV and TSV: one record on each row, named by the header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import OnBad, RawRecord, RawRecords, changed
from hybrid_search.records import ResumePoint

_DELIMITERS = ",;|\t"
_BOM = b"\xef\xbb\xbf"
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


class _Lines:
    """Decodes the lines of a stream for the csv module, and keeps those of the row that is being read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._can_seek = stream.seekable()
        self._offset = 0
        if self._can_seek:
            self._offset = len(_BOM) if stream.read(len(_BOM)) == _BOM else 0
            stream.seek(0)
        # Bad bytes come through as lone surrogates, so that one bad row does not end the reading.
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self.number = 0
        self.row: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        self.row.append(line)
        return line

    def taken(self) -> bytes:
        """The bytes of the row that was just read; the next one begins."""
        data = "".join(self.row).encode("utf-8", "surrogateescape")
        self._offset += len(data)
        self.row.clear()
        return data

    @property
    def point(self) -> ResumePoint | None:
        """The place behind the row that was taken last."""
        return ResumePoint(self._offset, self.number) if self._can_seek else None

    def go_on(self, place: str, start: ResumePoint) -> None:
        """Continue behind a row; SourceError where none ends there."""
        stream = self._text.detach()
        stream.seek(start.offset - 1)
        before, behind = stream.read(1), stream.read(1)
        stream.seek(start.offset)
        self._text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
        # Behind a last row without its end there is nothing more.
        if not before or (before not in {b"\n", b"\r"} and behind):
            raise changed(place, start)
        self._offset, self.number = start.offset, start.line

    def detach(self) -> None:
        """Leave the stream open when this is dropped."""
        self._text.detach()


def read_csv(stream: BinaryIO, place: str, on_bad: OnBad, *, start: ResumePoint | None = None) -> RawRecords:
    """Rows of CSV (RFC 4180): quoted cells may hold delimiters, quotes and line breaks; a byte order mark is dropped.

    The delimiter is the one of ``, ; |`` and tab that the header has most of. Empty cells are left out. Rows behind
    ``start`` are read; a stream that can seek says the place behind each.

    Raises:
        SourceError: the header is broken, or no row ends at ``start``.
    """
    lines = _Lines(stream)
    header = next(lines, "")
    lines.row.clear()
    delimiter = max(_DELIMITERS, key=header.count)
    rows = csv.reader(_chained(header, lines), delimiter=delimiter, strict=True)
    remedy = "Quote cells that hold the delimiter, a quote or a line break"
    yield from _records(rows, lines, place, on_bad, remedy, start=start)


def read_tsv(stream: BinaryIO, place: str, on_bad: OnBad, *, start: ResumePoint | None = None) -> RawRecords:
    """Rows of TSV (IANA text/tab-separated-values): a tab always separates, and quotes are part of the text.

    For ``start`` and what is raised see :func:`read_csv`.
    """
    lines = _Lines(stream)
    rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    yield from _records(rows, lines, place, on_bad, "TSV cells hold no tab and no line break: write CSV", start=start)


def _chained(header: str, lines: _Lines) -> Iterator[str]:
    if header:
        lines.row.append(header)
        yield header
    yield from lines


def _records(
    rows: Iterator[list[str]], lines: _Lines, place: str, on_bad: OnBad, remedy: str, *, start: ResumePoint | None
) -> RawRecords:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))  # the default of 128 KiB is less than a long document
    try:
        header = _header(rows, place)
        lines.taken()
        if start is not None and start.offset:
            lines.go_on(place, start)
        while True:
            where = f"{place}:{lines.number + 1}"
            try:
                cells = next(rows, None)
            except csv.Error as error:
                on_bad(RecordError(f"broken row: {error}", where=where, remedy=remedy), lines.taken())
                continue
            if cells is None:
                return
            data = lines.taken()
            try:
                values = _named(header, cells, where, remedy) if cells else {}
            except RecordError as error:
                on_bad(error, data)
                continue
            if cells:
                yield RawRecord(values, where, data, lines.point)
    finally:
        lines.detach()


def _header(rows: Iterator[list[str]], place: str) -> list[str]:
    try:
        names = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise SourceError(f"the header is broken: {error}", where=f"{place}:1", remedy="Quote its names") from None
    repeated = {name for name in names if names.count(name) > 1}
    if repeated or not all(names):
        problem = f"names {min(repeated)!r} twice" if repeated and all(names) else "has an empty name"
        raise SourceError(f"the header {problem}", where=f"{place}:1", remedy="Give every column its own name")
    return names


def _named(header: list[str], cells: list[str], where: str, remedy: str) -> dict[str, str]:
    if len(cells) != len(header):
        raise RecordError(f"expected {len(header)} cells, got {len(cells)}", where=where, remedy=remedy)
    values = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    for name, cell in values.items():
        if not cell.isascii() and _NOT_UTF8.search(cell):
            advice = "Write the file in UTF-8: iconv -t UTF-8"
            raise RecordError(f"the cell {name!r} is not UTF-8", where=where, remedy=advice)
    return values
