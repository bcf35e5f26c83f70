"""CSV and TSV: one record on each row, named by the header."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from hybrid_search.errors import RecordError
from hybrid_search.read.headers import header_names
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import OnBad, OnNote, RawRecord, RawRecords, unheard

MAX_ROW = 1 << 24
"""16 MiB: a row over several lines that is longer has a quote that was never closed."""
_DELIMITERS = ",;|\t"
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

    def next_row(self) -> None:
        """Forget the row that was read."""
        self.row.clear()
        self._size = 0

    def resume_after_first(self) -> None:
        """Read all lines of the row but its first one again."""
        self.number -= len(self.row) - 1
        self._again.extendleft(reversed(self.row[1:]))
        del self.row[1:]

    def taken(self) -> bytes:
        """The bytes of the row that was just read."""
        return "".join(self.row).encode("utf-8", "surrogateescape")

    def detach(self) -> None:
        """Leave the stream open when this is dropped."""
        self._text.detach()


def read_csv(stream: BinaryIO, place: str, on_bad: OnBad, *, on_note: OnNote = unheard) -> RawRecords:
    """Rows of CSV (RFC 4180): quoted cells may hold delimiters, quotes and line breaks; a byte order mark is dropped.

    The delimiter is the one of ``, ; |`` and tab that the header has most of, or that a first line ``sep=;`` names.
    Empty cells are left out. After a row whose quote is never closed reading goes on behind its first line.
    """
    lines = _Lines(stream)
    header = next(lines, "")
    if said := _SEP.fullmatch(header):
        lines.next_row()
        header = next(lines, "")
    delimiter = said[1] if said else max(_DELIMITERS, key=header.count)
    if delimiter != ",":
        why = " (its first line says so)" if said else ""
        on_note(f"{place}: cells are separated by {_NAMES.get(delimiter, repr(delimiter))}{why}")
    lines.number -= len(lines.row)
    lines.next_row()
    lines._again.appendleft(header)  # noqa: SLF001 the header is read once more, as a row
    dialect = _Dialect(delimiter, quoted=True, remedy="Quote cells that hold the delimiter, a quote or a line break")
    yield from _records(dialect, lines, place, on_bad, on_note)


def read_tsv(stream: BinaryIO, place: str, on_bad: OnBad, *, on_note: OnNote = unheard) -> RawRecords:
    """Rows of TSV (IANA text/tab-separated-values): a tab always separates, and quotes are part of the text."""
    dialect = _Dialect("\t", quoted=False, remedy="TSV cells hold no tab and no line break: write CSV")
    yield from _records(dialect, _Lines(stream), place, on_bad, on_note)


def _records(dialect: _Dialect, lines: _Lines, place: str, on_bad: OnBad, on_note: OnNote) -> RawRecords:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))  # the default of 128 KiB is less than a long document
    rows = dialect.rows(lines)
    try:
        header = header_names(rows, place, on_note)
        while True:
            lines.next_row()
            where = f"{place}:{lines.number + 1}"
            try:
                cells = next(rows, None)
                if cells is None:
                    return
                if cells:
                    cells = _fitted(cells, len(header))
                    _check_encloses_no_rows(lines.row, dialect, len(header), len(cells))
                    yield RawRecord(_named(header, cells, where, dialect.remedy), where, lines.taken())
            except csv.Error as error:
                rows = _reported(error, dialect, lines, where, on_bad)
            except RecordError as error:
                on_bad(error, lines.taken())
    finally:
        lines.detach()


def _reported(error: csv.Error, dialect: _Dialect, lines: _Lines, where: str, on_bad: OnBad) -> Iterator[list[str]]:
    """Report a broken row, of one over several lines the first alone; the reader of those behind it."""
    remedy = dialect.remedy
    if len(lines.row) > 1:
        remedy = f"{remedy}; this line opens a quote that {len(lines.row) - 1:,} lines further is not closed"
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
