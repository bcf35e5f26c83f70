"""The ids of a source's documents, in a temporary file: flat memory however many there are."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from typing import Self

CACHE_KIBIBYTES = 4_096


class SeenIds:
    """A set of ids on the disk, safe to share between threads; it is gone when closed."""

    def __init__(self) -> None:
        # An empty name is a private database in a temporary file, behind a cache of the given size.
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE ids (id BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, id_: str) -> bool:
        """Add an id; False when it was there."""
        with self._lock:
            return self._database.execute("INSERT OR IGNORE INTO ids VALUES (?)", (_key(id_),)).rowcount == 1

    def missing(self, ids: Iterable[str]) -> Iterator[str]:
        """Those of ``ids`` that are not in the set."""
        for id_ in ids:
            with self._lock:
                found = self._database.execute("SELECT 1 FROM ids WHERE id = ?", (_key(id_),)).fetchone()
            if found is None:
                yield id_


def _key(id_: str) -> bytes:
    """Bytes, for an id with a lone surrogate is no text to SQLite."""
    return id_.encode("utf-8", "surrogatepass")
