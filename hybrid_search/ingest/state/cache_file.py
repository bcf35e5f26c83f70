"""The SQLite file of the vector cache: known to be ours before it is written to, set aside when it is broken."""

from __future__ import annotations

import glob
import os
import re
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

from hybrid_search.errors import SettingsError
from hybrid_search.private_files import FILE, close, make_folder

BUSY_SECONDS = 30.0
APPLICATION = 0x68735643
"""SQLite's application id of our caches: ``hsVC``."""
VERSION = 3
"""Of the layout, in SQLite's user version; the first one had no checksums and left it at 0, the second packed no
weights, and its rows are read all the same."""
CHECKED = 2
"""The first version with checksums."""
PAGE = 16_384
"""Bytes of a page of a new file: rows have some 3 kB, of which few fit into a page without room to spare."""
RELEASED = b"key BLOB PRIMARY KEY, models BLOB NOT NULL, dense BLOB, sparse BLOB, day INTEGER"
"""In the schema of the first layout, which is on the first page."""

_PAGE = 4_096
_APPLICATION_AT = slice(68, 72)
_SURROUNDINGS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_PROTOCOL,
}
"""Of the errors that SQLite has, those that do not come from what the file holds."""
_BROKEN = re.compile(r"\.broken-(\d+)(?:-wal|-shm|-journal)?$")
_COMPANIONS = ("", "-wal", "-shm", "-journal")

SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY, models BLOB NOT NULL, dense BLOB, sparse BLOB, day INTEGER NOT NULL, checksum BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS vectors_by_day ON vectors (day);
"""


class BrokenCacheError(Exception):
    """The file is of a layout that this release does not know, by a later release or by a flipped bit."""


FAULTS = (sqlite3.Error, UnicodeDecodeError, BrokenCacheError)
"""What reading a broken file raises: SQLite's messages quote a broken schema, which may be no text."""


class CacheFile:
    """An open file with the current layout.

    Attributes:
        database: the connection.
        notes: what a person should know: a broken file that was set aside, an older one that was emptied.
    """

    def __init__(self, path: Path, *, is_own_place: bool) -> None:
        """Open or begin the file.

        Args:
            path: the file.
            is_own_place: whether nobody else has files of this name: what cannot be recognised is then a broken cache.

        Raises:
            SettingsError: the file is there and is no vector cache; it is left as it is.
            OSError, sqlite3.Error: it cannot be opened or written.
        """
        self.path = path
        self.notes: list[str] = []
        if not is_own_place:
            check_is_cache(path)
        make_folder(path.parent)
        if _exists(path) and not _is_ours(path):
            self._set_aside()
        self.database = self._opened()

    def set_aside(self) -> None:
        """Begin a new file in place of a broken one, which is kept under another name."""
        self.database.close()
        self._set_aside()
        self.database = self._opened()

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except FAULTS as error:
            if not is_broken(error):
                raise
        self._set_aside()
        return self._connected()

    def _connected(self) -> sqlite3.Connection:
        if not self.path.exists():
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE))
        for companion in _COMPANIONS:
            with suppress(FileNotFoundError):
                close(self.path.with_name(f"{self.path.name}{companion}"))
        database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._lay_out(database)
        except BaseException:
            database.close()
            raise
        return database

    def _lay_out(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise BrokenCacheError(f"format {version}")
        database.execute(f"PRAGMA page_size = {PAGE}")  # of a file that holds nothing yet
        # Before the write-ahead log is switched on, so that the file itself says whose it is.
        database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if CHECKED <= version < VERSION:
            database.execute(f"PRAGMA user_version = {VERSION}")
        elif version < VERSION:
            has_rows = database.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'vectors'").fetchone()[0]
            if has_rows:
                self.notes.append("the vector cache of an earlier release had no checksums: it is begun anew")
            database.executescript(f"BEGIN IMMEDIATE; DROP TABLE IF EXISTS vectors; {SCHEMA} COMMIT;")
            database.execute(f"PRAGMA user_version = {VERSION}")

    def _set_aside(self) -> None:
        """Keep the broken file under another name; the one that was set aside before it goes, for it may be large."""
        before = list(self.path.parent.glob(f"{glob.escape(self.path.name)}.broken-*"))
        numbers = [int(found[1]) for old in before if (found := _BROKEN.search(old.name))]
        name = f"{self.path.name}.broken-{max(numbers, default=0) + 1}"
        for old in before:
            if _BROKEN.search(old.name):
                old.unlink()
        for companion in _COMPANIONS:
            part = self.path.with_name(f"{self.path.name}{companion}")
            if part.exists():
                part.rename(self.path.with_name(f"{name}{companion}"))
        self.notes.append(f"the vector cache cannot be read: it is set aside as {name}, and begun anew")


def is_broken(error: Exception) -> bool:
    """Whether the file's content is the fault, rather than the disk, the rights or another process."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _SURROUNDINGS


def check_is_cache(path: Path) -> None:
    """Raise SettingsError where the file is there and is no vector cache; nothing is touched. OSError: not readable."""
    if _exists(path) and not _is_ours(path):
        raise SettingsError(
            "is not a vector cache, so it is left untouched",
            where=str(path),
            remedy="Name another file, remove this one yourself, or load with --no-cache",
        )


def _exists(path: Path) -> bool:
    """Whether there is content; SettingsError for what is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError("is not a file", where=str(path), remedy="Name another file for the vector cache")
    return status.st_size > 0


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_PAGE)
    return head[_APPLICATION_AT] == APPLICATION.to_bytes(4, "big") or RELEASED in head
