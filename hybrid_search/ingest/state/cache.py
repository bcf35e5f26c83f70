"""Vectors that were computed before, by content and models: loading unchanged text again encodes nothing.

One SQLite file. The key of a row is a hash over the fingerprints of both models and the text, so another model, prompt
or length limit finds nothing. Rows carry the day of their last use, for ``prune``.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from platformdirs import user_cache_path

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.errors import IngestError
from hybrid_search.records import SparseVector, Vector

SECONDS_PER_DAY = 86_400
BUSY_SECONDS = 30.0
LOOKUP = 500
"""Keys per query, below SQLite's limit of variables."""

TABLE = """
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY, models BLOB NOT NULL, dense BLOB, sparse BLOB, day INTEGER NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class CachedVectors:
    """The vectors of one text."""

    dense: Vector | None
    sparse: SparseVector | None


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What is in the cache: texts, different pairs of models, and the file's size in bytes."""

    path: Path
    texts: int
    models: int
    bytes: int


class VectorCache:
    """An open cache. Errors of its file are IngestErrors that say what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(TABLE)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def get(self, models: bytes, texts: Sequence[str]) -> list[CachedVectors | None]:
        """The vectors of each text, None where they are not known."""
        keys = [_key(models, text) for text in texts]
        found: dict[bytes, CachedVectors] = {}
        try:
            for start in range(0, len(keys), LOOKUP):
                found |= self._rows(keys[start : start + LOOKUP])
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return [found.get(key) for key in keys]

    def put(self, models: bytes, texts: Sequence[str], vectors: Sequence[CachedVectors]) -> None:
        """Remember the vectors of texts."""
        day = _today()
        rows = [
            (_key(models, text), models, _dense_bytes(one.dense), _sparse_bytes(one.sparse), day)
            for text, one in zip(texts, vectors, strict=True)
        ]
        try:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def info(self) -> CacheInfo:
        """What is in the cache."""
        texts, models = self._database.execute("SELECT count(*), count(DISTINCT models) FROM vectors").fetchone()
        return CacheInfo(self.path, texts, models, self.path.stat().st_size)

    def prune(self, *, unused_days: int) -> int:
        """Forget what was not used for so many days (0: everything) and give the room back; how many texts went."""
        gone = self._database.execute("DELETE FROM vectors WHERE day <= ?", (_today() - unused_days,)).rowcount
        self._database.execute("VACUUM")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def _rows(self, keys: Sequence[bytes]) -> dict[bytes, CachedVectors]:
        # The marks are question marks only; the keys are bound.
        marks = ",".join("?" * len(keys))
        rows = self._database.execute(f"SELECT key, dense, sparse FROM vectors WHERE key IN ({marks})", keys).fetchall()  # noqa: S608
        used = f"UPDATE vectors SET day = ? WHERE day <> ? AND key IN ({marks})"  # noqa: S608
        if rows:
            self._database.execute(used, (_today(), _today(), *keys))
        return {key: CachedVectors(_dense(dense), _sparse(sparse)) for key, dense, sparse in rows}

    def _unusable(self, error: Exception) -> IngestError:
        return IngestError(
            f"the vector cache cannot be used: {error}",
            where=str(self.path),
            remedy="Make room, or load with --no-cache",
        )


def default_path() -> Path:
    """The cache of this user."""
    return user_cache_path("hybrid-search") / "vectors.sqlite"


def models_key(encoder: TextEncoder) -> bytes:
    """16 bytes that stand for both models of an encoder."""
    fingerprints = msgspec.json.encode([encoder.dense, encoder.sparse], order="deterministic")
    return hashlib.blake2b(fingerprints, digest_size=16).digest()


def _key(models: bytes, text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=models).digest()


def _today() -> int:
    return int(time.time()) // SECONDS_PER_DAY


def _dense_bytes(vector: Vector | None) -> bytes | None:
    return None if vector is None else np.ascontiguousarray(vector, dtype="<f4").tobytes()


def _dense(data: bytes | None) -> Vector | None:
    return None if data is None else np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)


def _sparse_bytes(weights: SparseVector | None) -> bytes | None:
    return None if weights is None else msgspec.msgpack.encode(dict(weights))


def _sparse(data: bytes | None) -> SparseVector | None:
    return None if data is None else msgspec.msgpack.decode(data, type=dict[str, float])
