"""Rows of SQLite and DuckDB files, by a query; the files are opened for reading only."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote

from hybrid_search.errors import MissingExtraError, SourceError
from hybrid_search.read.columns import plain, rows_of_batch
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.raw import RawRecord, RawRecords

_TABLES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
_ROWS = 512


def read_sqlite(given: InputFile) -> RawRecords:
    """What a query gives, row by row; without one all rows of the only table.

    Raises:
        SourceError: no SQLite file, several tables and no query, or the query is refused.
    """
    given.check_is_file("SQLite")
    address = f"file:{quote(str(given.path.resolve()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
            tables = [row[0] for row in connection.execute(_TABLES)]
            cursor = connection.execute(_query(given, tables))
            names = _names([column[0] for column in cursor.description or ()], given)
            for number, row in enumerate(cursor, 1):
                yield _record(dict(zip(names, row, strict=True)), given, number)
    except sqlite3.Error as error:
        raise _refused(given, "SQLite", error) from error


def read_duckdb(given: InputFile) -> RawRecords:
    """The same for DuckDB, whose query may also read other files.

    Raises:
        SourceError: no DuckDB file, several tables and no query, or the query is refused.
        MissingExtraError: without ``duckdb``.
    """
    given.check_is_file("DuckDB")
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("Reading a DuckDB file", "duckdb") from None
    try:
        with closing(duckdb.connect(str(given.path), read_only=True)) as connection:
            tables = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
            reader = _reader(connection.sql(_query(given, tables)), given)
            _names(list(reader.schema.names), given)
            number = 0
            for batch in reader:
                for values in rows_of_batch(batch, given.dense):
                    number += 1
                    yield RawRecord(values, f"{given.place} row {number}")
    except duckdb.Error as error:
        raise _refused(given, "DuckDB", error) from error


def _reader(relation: Any, given: InputFile) -> Any:
    """Batches of Arrow of what a query gives."""
    if relation is None:
        raise SourceError("the query gives no rows", where=given.place, remedy="Begin it with SELECT")
    read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader  # the name before DuckDB 2
    return read(_ROWS)


def _query(given: InputFile, tables: list[str]) -> str:
    if given.query is not None:
        return given.query
    if len(tables) == 1:
        given.on_note(f"{given.place}: all rows of its only table {tables[0]!r} are read")
        return f'SELECT * FROM "{tables[0].replace(chr(34), chr(34) * 2)}"'  # noqa: S608 the name of a table that is there
    listed = f"has {len(tables)} tables ({', '.join(tables[:10])})" if tables else "has no table"
    remedy = 'Say which rows: --query "SELECT id, title, body FROM articles"'
    raise SourceError(listed, where=given.place, remedy=remedy)


def _names(names: list[str], given: InputFile) -> list[str]:
    repeated = {name for name in names if names.count(name) > 1}
    if repeated or not names:
        what = f"the query names {min(repeated)!r} twice" if repeated else "the query gives no rows"
        raise SourceError(what, where=given.place, remedy="Name the columns apart: SELECT a.id AS id, b.id AS other")
    return names


def _record(values: Mapping[str, Any], given: InputFile, number: int) -> RawRecord:
    cleaned = {name: plain(value) for name, value in values.items()}
    return RawRecord(
        {name: value for name, value in cleaned.items() if value is not None}, f"{given.place} row {number}"
    )


def _refused(given: InputFile, kind: str, error: Exception) -> SourceError:
    what = f"{kind} refuses it ({' '.join(str(error).split())})"
    return SourceError(what, where=given.place, remedy="Check --query, and that the file is what its name says")
