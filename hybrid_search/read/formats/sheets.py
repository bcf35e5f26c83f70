"""Spreadsheets, sheet by sheet: the first row of each that is filled names its columns."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from hybrid_search.errors import MissingExtraError, SourceError
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.headers import named_columns
from hybrid_search.read.raw import RawRecord, RawRecords

MAX_UNPACKED = 1 << 30
"""1 GiB: the bytes of all parts of a workbook, which is held in memory while it is read."""
SHEET = "sheet"
"""The field that says which sheet a record is from, where there are several."""


def read_sheets(given: InputFile) -> RawRecords:
    """Records of the sheets of a workbook (.xlsx, .xlsm, .xlsb, .xls, .ods), those that are hidden left out.

    Dates are ISO-8601, whole numbers without a point; empty cells and rows are left out.

    Raises:
        SourceError: it cannot be read, is larger than 1 GiB unpacked, or names a column twice.
        MissingExtraError: without ``python-calamine``.
    """
    given.check_is_file("a spreadsheet")
    _check_size(given)
    workbook, names = _opened(given)
    counts = dict.fromkeys(names, 0)
    for name in names:
        for record in _records(workbook.get_sheet_by_name(name), name, given):
            counts[name] += 1
            yield record if len(names) == 1 else record._replace(values={SHEET: name, **record.values})
    if len(names) > 1:
        told = ", ".join(f"{name!r} {count:,}" for name, count in counts.items())
        given.on_note(f"{given.place}: records by sheet: {told}")


def _check_size(given: InputFile) -> None:
    if not zipfile.is_zipfile(given.path):
        return
    with zipfile.ZipFile(given.path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > MAX_UNPACKED:
        what = f"has {size:,} bytes unpacked, more than {MAX_UNPACKED:,}"
        raise SourceError(what, where=given.place, remedy="Save its sheets as CSV")


def _opened(given: InputFile) -> tuple[Any, list[str]]:
    """The workbook, and the sheets that are shown and hold something."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum
    except ImportError:
        raise MissingExtraError("Reading a spreadsheet", "sheets") from None
    try:
        workbook = CalamineWorkbook.from_path(str(given.path))
    except (CalamineError, OSError, ValueError) as error:
        what = f"cannot be read as a spreadsheet ({error})"
        raise SourceError(what, where=given.place, remedy="Save it anew, or as CSV") from error
    found = workbook.sheets_metadata
    sheets = [sheet.name for sheet in found if sheet.typ == SheetTypeEnum.WorkSheet]
    hidden = [sheet.name for sheet in found if sheet.visible != SheetVisibleEnum.Visible and sheet.name in sheets]
    if hidden:
        given.on_note(f"{given.place}: hidden sheets are left out: {', '.join(hidden)}")
    return workbook, [name for name in sheets if name not in hidden and workbook.get_sheet_by_name(name).total_height]


def _records(sheet: Any, name: str, given: InputFile) -> Iterator[RawRecord]:
    header: list[str] | None = None
    begin = sheet.start[0] if sheet.start else 0
    for number, row in enumerate(sheet.to_python(skip_empty_area=True), begin + 1):
        cells = [_plain(cell) for cell in row]
        if all(cell == "" for cell in cells):
            continue
        if header is None:
            header = named_columns([str(cell) for cell in cells], f"{given.place} {name}", given.on_note)
            continue
        where = f"{given.place} {name}:{number}"
        # All rows of a sheet have the same number of cells.
        yield RawRecord({column: cell for column, cell in zip(header, cells, strict=True) if cell != ""}, where)


def _plain(cell: Any) -> Any:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    return cell.total_seconds() if isinstance(cell, timedelta) else cell
