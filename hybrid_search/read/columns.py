"""Parquet, read a few hundred rows at a time."""

from __future__ import annotations

import base64
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hybrid_search.errors import SourceError
from hybrid_search.read.objects import is_object
from hybrid_search.read.raw import OnNote, RawRecord, RawRecords, changed, unheard
from hybrid_search.read.storage import open_binary, shown_path
from hybrid_search.records import ResumePoint

if TYPE_CHECKING:  # pyarrow takes a third of a second to import
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS = 512
"""Rows in memory at a time: of 384-dimensional vectors and 1 KiB of text about 1.3 MiB."""
_NEAR, _FAR = 1 << 20, 4 << 20
"""Bytes that are read at once of a column of a file, and of an object, where each request costs a round trip."""


def read_parquet(
    path: Path,
    *,
    dense: str | None = None,
    start: ResumePoint | None = None,
    end: int | None = None,
    on_note: OnNote = unheard,
    version: str | None = None,
) -> RawRecords:
    """Rows of a Parquet file; missing values and bytes that are no text are left out, dates become strings.

    Args:
        path: the file; Parquet cannot be read from a pipe.
        dense: a column of lists of floats that is wanted as numpy arrays of float32, which saves nine tenths of the
            time that a dense vector takes.
        start: where reading begins; whole row groups before it are not decoded. The place behind each row is said.
        end: the number of rows before that which is not read any more.
        on_note: told of columns that hold bytes.
        version: of an object, the one that is wanted.

    Raises:
        SourceError: the file is missing, cut short, no Parquet, names a column twice, or has no row at ``start``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    row, wanted, place = 0, 0 if start is None else start.offset, shown_path(path)
    buffer = _FAR if is_object(path) else _NEAR
    try:
        with (
            open_binary(path, version) as stream,
            pq.ParquetFile(stream, pre_buffer=False, buffer_size=buffer) as file,
        ):
            if start is not None and wanted > file.metadata.num_rows:
                raise changed(place, start)
            _check_columns(file.schema_arrow, place, on_note, dense)
            groups, row = _groups_between(file.metadata, wanted, end)
            for batch in file.iter_batches(batch_size=_ROWS, row_groups=groups, use_threads=False):
                skipped = min(len(batch), max(0, wanted - row))
                row += skipped
                for values in rows_of_batch(batch.slice(skipped), dense):
                    if row == end:
                        return
                    row += 1
                    yield RawRecord(values, f"{place}:{row}", None, ResumePoint(row, row))
    except FileNotFoundError:
        raise SourceError("no such file or folder", where=place, remedy="Check the path") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        what = f"cannot be read as Parquet ({str(error).splitlines()[0]})"
        raise SourceError(what, where=f"{place}:{row + 1}", remedy="Write the file again, or give --format") from error


class RowGroup(NamedTuple):
    """How many rows it has, and which bytes of the file: the first, and how many."""

    rows: int
    begin: int
    size: int


def row_groups(path: Path, version: str | None = None) -> tuple[str, list[RowGroup]]:
    """The schema of a file in words, and its row groups.

    Raises:
        SourceError: the file is missing or no Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_binary(path, version) as stream:  # pyarrow takes a path for an address, and knows no names but UTF-8
            metadata = pq.read_metadata(stream)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        what = f"cannot be read as Parquet ({str(error).splitlines()[0]})"
        raise SourceError(what, where=shown_path(path), remedy="Write the file again, or give --format") from error
    groups = [_group(metadata.row_group(number)) for number in range(metadata.num_row_groups)]
    return str(metadata.schema.to_arrow_schema()), groups


def _group(group: pq.RowGroupMetaData) -> RowGroup:
    columns = [group.column(number) for number in range(group.num_columns)]
    begins = [
        place for column in columns for place in (column.dictionary_page_offset, column.data_page_offset) if place
    ]
    return RowGroup(group.num_rows, min(begins, default=0), sum(column.total_compressed_size for column in columns))


def _groups_between(metadata: pq.FileMetaData, row: int, end: int | None) -> tuple[list[int], int]:
    """The row groups that reach beyond a row and begin before another, and the number of rows before them."""
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    ends = list(accumulate(sizes))
    first = bisect_right(ends, row)
    last = len(sizes) if end is None else bisect_left(ends, end) + 1
    return list(range(first, min(last, len(sizes)))), sum(sizes[:first])


def _check_columns(schema: pa.Schema, place: str, on_note: OnNote, dense: str | None) -> None:
    """Raise SourceError for two columns of one name, of which one would be lost; say which columns hold bytes."""
    import pyarrow.types as kinds

    repeated = {name for name in schema.names if schema.names.count(name) > 1}
    if repeated:
        what = f"the columns name {min(repeated)!r} twice"
        raise SourceError(what, where=place, remedy="Give every column its own name")
    packed = [field.name for field in schema if kinds.is_binary(field.type) or kinds.is_large_binary(field.type)]
    if names := [name for name in packed if name != dense]:
        on_note(f"{place}: of columns of bytes ({', '.join(names)}) only those values are read that are text")


def rows_of_batch(batch: pa.RecordBatch, dense: str | None) -> list[dict[str, Any]]:
    """The rows of a batch, values that are missing left out."""
    names = batch.schema.names
    columns = [
        _dense(column) if name == dense else _values(column) for name, column in zip(names, batch.columns, strict=True)
    ]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*columns, strict=True)
    ]


def _dense(column: pa.Array) -> Sequence[Any]:
    """Arrays of lists of floats, base64 of bytes; for the rest what any column gives."""
    import pyarrow.types as kinds

    if _holds_vectors(column):
        return _vectors(column)
    if kinds.is_binary(column.type) or kinds.is_large_binary(column.type):
        return [None if value is None else _text_or_base64(value) for value in column.to_pylist()]
    return _values(column)


def _holds_vectors(column: pa.Array) -> bool:
    import pyarrow.types as kinds

    is_list = kinds.is_list(column.type) or kinds.is_large_list(column.type) or kinds.is_fixed_size_list(column.type)
    return bool(is_list and kinds.is_floating(column.type.value_type))


def _vectors(column: pa.Array) -> Sequence[Any]:
    """One array of float32 for each list, None where there is none; a missing component becomes NaN."""
    lengths = np.asarray(column.value_lengths().fill_null(0), dtype=np.int64)
    flat = np.asarray(column.flatten(), dtype=np.float32)
    present = column.is_valid().to_pylist()
    return [
        part if there else None for part, there in zip(np.split(flat, np.cumsum(lengths)[:-1]), present, strict=True)
    ]


def _values(column: pa.Array) -> Sequence[Any]:
    """Python values that JSON can hold; NaN is a missing value."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    kind = column.type
    if kinds.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)  # datetime holds no nanoseconds
    if kinds.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    values: list[Any] = column.to_pylist()
    is_plain = kinds.is_string(kind) or kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)
    return values if is_plain else [plain(value) for value in values]


def plain(value: Any) -> Any:
    """A value as JSON can hold it: dates in ISO-8601, decimals and bytes as text, None for NaN and other bytes."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, date | time | Decimal):
        return str(value) if isinstance(value, Decimal) else value.isoformat()
    if isinstance(value, float | timedelta):
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        return None if math.isnan(seconds) else seconds
    return _text_in(value) if isinstance(value, bytes | bytearray | memoryview) else value


def _text_in(value: bytes | bytearray | memoryview) -> str | None:
    """Older writers store text without saying that it is text; what is none is an image or the like."""
    try:
        text = bytes(value).decode()
    except UnicodeDecodeError:
        return None
    return None if "\x00" in text else text


def _text_or_base64(value: bytes) -> str:
    """A vector as text, or the base64 of its bytes."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode("ascii")
