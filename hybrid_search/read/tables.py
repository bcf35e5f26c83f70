"""CSV and TSV: one record on each row, named by the header."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from hybrid_search.errors import RecordError, counted
from hybrid_search.read.headers import header_names
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import OnBad, OnNote, RawRecord, RawRecords, changed, unheard
from hybrid_search.records import ResumePoint

MAX_ROW = 1 << 24
"""16 MiB: a row over several lines that is longer has a quote that was never closed."""
_DELIMITERS = ",;|\t"
_BOM = b"\xef\xbb\xbf"
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_SEP = re.compile(r"\ufeff?\"?sep=(.)\"?\r?\n?", re.IGNORECASE | re.DOTALL)
_NAMES = {"\t": "tabs", ";": "';'", "|": "'|'", ",": "commas"}
_SUSPICIOUS = 10
"""Lines within one cell that are looked at: text seldom has as many commas in each as the table has columns."""


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How cells are separated, and whether quotes are more than text."""

    delimiter: str
    quoted: bool
    remedy: str

    def rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        if self.quoted:
            return csv.reader(lines, delimiter=self.delimiter, strict=True)
        return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)

    def width(self, line: str) -> int:
        """The number of cells that a line has by itself, 0 where it is no row."""
        try:
            return len(next(self.rows(iter([line])), []))
        except csv.Error:
            return 0


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
        self._again: deque[str] = deque()
        self._size = 0
        self.number = 0
        self.row: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.row and self._size > MAX_ROW:
            raise csv.Error(f"it is longer than {MAX_ROW} bytes")
        line = self._again.popleft() if self._again else self._text.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        self.row.append(line)
        self._size += len(line)
        return line

    def again(self) -> None:
        """Read all lines of the row once more."""
        self.number -= len(self.row)
        self._again.extendleft(reversed(self.row))
        self._next_row()

    def resume_after_first(self) -> None:
        """Read all lines of the row but its first one again."""
        self.number -= len(self.row) - 1
        self._again.extendleft(reversed(self.row[1:]))
        del self.row[1:]

    def _next_row(self) -> None:
        self.row.clear()
        self._size = 0

    def taken(self) -> bytes:
        """The bytes of the row that was just read; the next one begins."""
        data = "".join(self.row).encode("utf-8", "surrogateescape")
        self._offset += len(data)
        self._next_row()
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


def read_csv(
    stream: BinaryIO, place: str, on_bad: OnBad, *, start: ResumePoint | None = None, on_note: OnNote = unheard
) -> RawRecords:
    """Rows of CSV (RFC 4180): quoted cells may hold delimiters, quotes and line breaks; a byte order mark is dropped.

    The delimiter is the one of ``, ; |`` and tab that the header has most of, or that a first line ``sep=;`` names.
    Empty cells are left out. After a row whose quote is never closed reading goes on behind its first line. Rows behind
    ``start`` are read; a stream that can seek says the place behind each.

    Raises:
        SourceError: the header is broken, or no row ends at ``start``.
    """
    lines = _Lines(stream)
    header = next(lines, "")
    if said := _SEP.fullmatch(header):
        lines.taken()
        header = next(lines, "")
    delimiter = said[1] if said else max(_DELIMITERS, key=header.count)
    if delimiter != ",":
        why = " (its first line says so)" if said else ""
        on_note(f"{place}: cells are separated by {_NAMES.get(delimiter, repr(delimiter))}{why}")
    lines.again()
    dialect = _Dialect(delimiter, quoted=True, remedy="Quote cells that hold the delimiter, a quote or a line break")
    yield from _records(dialect, lines, place, on_bad, on_note, start=start)


def read_tsv(
    stream: BinaryIO, place: str, on_bad: OnBad, *, start: ResumePoint | None = None, on_note: OnNote = unheard
) -> RawRecords:
    """Rows of TSV (IANA text/tab-separated-values): a tab always separates, and quotes are part of the text.

    For ``start`` and what is raised see :func:`read_csv`.
    """
    dialect = _Dialect("\t", quoted=False, remedy="TSV cells hold no tab and no line break: write CSV")
    yield from _records(dialect, _Lines(stream), place, on_bad, on_note, start=start)


def _records(
    dialect: _Dialect, lines: _Lines, place: str, on_bad: OnBad, on_note: OnNote, *, start: ResumePoint | None
) -> RawRecords:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))  # the default of 128 KiB is less than a long document
    rows = dialect.rows(lines)
    try:
        header = header_names(rows, place, on_note)
        lines.taken()
        if start is not None and start.offset:
            lines.go_on(place, start)
        while True:
            where = f"{place}:{lines.number + 1}"
            try:
                cells = next(rows, None)
                if cells is None:
                    return
                cells = _fitted(cells, len(header))
                _check_encloses_no_rows(lines.row, dialect, len(header), len(cells))
            except csv.Error as error:
                rows = _reported(error, dialect, lines, where, on_bad)
                continue
            data = lines.taken()
            try:
                values = _named(header, cells, where, dialect.remedy) if cells else {}
            except RecordError as error:
                on_bad(error, data)
                continue
            if cells:
                yield RawRecord(values, where, data, lines.point)
    finally:
        lines.detach()


def _reported(error: csv.Error, dialect: _Dialect, lines: _Lines, where: str, on_bad: OnBad) -> Iterator[list[str]]:
    """Report a broken row, of one over several lines the first alone; the reader of those behind it."""
    remedy = dialect.remedy
    if len(lines.row) > 1:
        behind = counted(len(lines.row) - 1, "line", "lines")
        remedy = f"{remedy}; this line opens a quote that {behind} further is not closed"
        lines.resume_after_first()
    on_bad(RecordError(f"broken row: {error}", where=where, remedy=remedy), lines.taken())
    return dialect.rows(lines)


def _fitted(cells: list[str], width: int) -> list[str]:
    """Without the empty cells beyond the header that a comma at the end of each row makes."""
    return cells[:width] if len(cells) > width and not any(cells[width:]) else cells


def _check_encloses_no_rows(row: list[str], dialect: _Dialect, width: int, cells: int) -> None:
    """Raise csv.Error for a row over several lines that seem to be rows."""
    if len(row) > 1 and _swallows(row, dialect, width, cells):
        raise csv.Error(f"its quotes enclose {len(row) - 1:,} lines that are rows")


def _swallows(row: list[str], dialect: _Dialect, width: int, cells: int) -> bool:
    """Whether a row over several lines holds other rows, because a quote was not closed where it should have been."""
    inner = row[1:]
    if cells != width:
        return dialect.width(inner[0]) == width
    if len(inner) < _SUSPICIOUS or width < 2:
        return False
    looked_at = inner[: _SUSPICIOUS * 10][:-1]
    return sum(dialect.width(line) == width for line in looked_at) >= 0.95 * len(looked_at)


def _named(header: list[str], cells: list[str], where: str, remedy: str) -> dict[str, Any]:
    if len(cells) != len(header):
        raise RecordError(f"expected {len(header)} cells, got {len(cells)}", where=where, remedy=remedy)
    values = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    for name, cell in values.items():
        if not cell.isascii() and _NOT_UTF8.search(cell):
            advice = "Write the file in UTF-8: iconv -t UTF-8"
            raise RecordError(f"the cell {name!r} is not UTF-8", where=where, remedy=advice)
    return values
