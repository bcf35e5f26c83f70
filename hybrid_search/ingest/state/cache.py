"""Vectors that were computed before, by content and models: loading unchanged text again encodes nothing.

One SQLite file. The key of a row is a hash over the fingerprints of both models and the text, so another model, prompt
or length limit finds nothing. Rows carry a checksum, and the day of their last use, for eviction and ``prune``.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from platformdirs import user_cache_path

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.errors import IngestError, counted
from hybrid_search.ingest.state.cache_file import FAULTS, CacheFile, is_broken
from hybrid_search.ingest.state.packed_weights import MARK, packed, unpacked
from hybrid_search.records import SparseVector, Vector

SECONDS_PER_DAY = 86_400
LOOKUP = 500
"""Keys per query, below SQLite's limit of variables."""
MAX_BYTES = 10_000_000_000
"""Three million texts: a row with 384 dimensions and 250 terms takes about 3.3 kB."""
KEPT = 0.9
"""Share of the limit that is left after an eviction, so that not every batch evicts."""
EVICTED = 1_000
"""Rows of one deletion."""


@dataclass(frozen=True, slots=True)
class CachedVectors:
    """The vectors of one text."""

    dense: Vector | None
    sparse: SparseVector | None
    late: bytes | None = None


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What is in the cache: texts, different pairs of models, the files' size and its limit in bytes."""

    path: Path
    texts: int
    models: int
    bytes: int
    max_bytes: int


class VectorCache:
    """An open cache.

    It never stops a load by what is in it: a row whose checksum is wrong counts as unknown and is removed, a broken
    file is set aside and begun anew; ``notes`` says so. Only a disk that is full or fails raises IngestError.

    Attributes:
        wrong: rows whose checksum was wrong.
        is_full: whether it was full of what was used today, so that nothing more was kept. A load that is larger than
            the cache would push out what it has put in, and find nothing of it when it is repeated.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        """Open or begin a cache.

        Args:
            path: its file.
            max_bytes: where it stops growing: the texts that were not used for longest are then forgotten.

        Raises:
            SettingsError: the file is there and is no vector cache.
            IngestError: it cannot be opened or written.
        """
        self.path = path
        self.max_bytes = max_bytes
        self.wrong = 0
        self.is_full = False
        try:
            self._file = CacheFile(path, is_own_place=path == default_path())
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    @property
    def notes(self) -> list[str]:
        """What a person should know of this opening, a sentence each."""
        one, several = "vector of the cache was broken, and is", "vectors of the cache were broken, and are"
        wrong = f"{counted(self.wrong, one, several)} computed anew"
        return [*self._file.notes, *([wrong] if self.wrong else [])]

    @property
    def full(self) -> str | None:
        """A sentence for a load that had no room in it; None where it had."""
        size = f"{self.max_bytes / 1e9:,.0f} GB, all of it used today"
        return f"the vector cache is full ({size}): no more vectors were kept" if self.is_full else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.database.close()

    def get(self, models: bytes, texts: Sequence[str]) -> list[CachedVectors | None]:
        """The vectors of each text, None where they are not known."""
        keys = [_key(models, text) for text in texts]
        found: dict[bytes, CachedVectors] = {}
        with self._mending():
            for start in range(0, len(keys), LOOKUP):
                found |= self._rows(keys[start : start + LOOKUP])
        return [found.get(key) for key in keys]

    def put(self, models: bytes, texts: Sequence[str], vectors: Sequence[CachedVectors]) -> None:
        """Remember the vectors of texts; over the limit those not used for longest are forgotten, none of today."""
        if self.is_full:
            return
        day = _today()
        rows = []
        for text, one in zip(texts, vectors, strict=True):
            key, dense, sparse = _key(models, text), _dense_bytes(one.dense), _sparse_bytes(one.sparse, one.late)
            rows.append((key, models, dense, sparse, day, _checksum(key, dense, sparse)))
        with self._mending(), self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?, ?)", rows)
        with self._mending():
            self._evict()

    def info(self) -> CacheInfo:
        """What is in the cache."""
        texts = models = 0
        with self._mending():
            query = "SELECT count(*), count(DISTINCT models) FROM vectors"
            texts, models = self._file.database.execute(query).fetchone()
        return CacheInfo(self.path, texts, models, sum(map(_size, self._files())), self.max_bytes)

    def prune(self, *, unused_days: int) -> int:
        """Forget what was not used for so many days (0: everything) and give the room back; how many texts went."""
        gone = 0
        with self._mending():
            database = self._file.database
            gone = database.execute("DELETE FROM vectors WHERE day <= ?", (_today() - unused_days,)).rowcount
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def _rows(self, keys: Sequence[bytes]) -> dict[bytes, CachedVectors]:
        # The marks are question marks only; the keys are bound.
        marks, database = ",".join("?" * len(keys)), self._file.database
        wanted = f"SELECT key, dense, sparse, checksum FROM vectors WHERE key IN ({marks})"  # noqa: S608
        rows = database.execute(wanted, keys).fetchall()
        right = [row for row in rows if _is_right(*row)]
        if len(right) < len(rows):
            self.wrong += len(rows) - len(right)
            broken = [(row[0],) for row in rows if not _is_right(*row)]
            with self._transaction():
                database.executemany("DELETE FROM vectors WHERE key = ?", broken)
        if right:
            used = f"UPDATE vectors SET day = ? WHERE day <> ? AND key IN ({marks})"  # noqa: S608
            database.execute(used, (_today(), _today(), *keys))
        return {key: CachedVectors(_dense(dense), *_sparse(sparse)) for key, dense, sparse, _ in right}

    def _evict(self) -> None:
        """Forget the rows of the earliest days, of one day the ones written first, until there is room again."""
        if self._used() <= self.max_bytes:
            return
        chosen, database = "SELECT rowid FROM vectors WHERE day < ? ORDER BY day, rowid LIMIT ?", self._file.database
        oldest = f"DELETE FROM vectors WHERE rowid IN ({chosen})"  # noqa: S608  # no value is in it
        while self._used() > KEPT * self.max_bytes and database.execute(oldest, (_today(), EVICTED)).rowcount > 0:
            pass
        self.is_full = self._used() > self.max_bytes

    def _used(self) -> int:
        """The bytes of the pages that hold something; the others are written again before the file grows."""
        pages, free, size = (
            self._file.database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _files(self) -> list[Path]:
        return [self.path, self.path.with_name(f"{self.path.name}-wal")]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._file.database as database:
            database.execute("BEGIN IMMEDIATE")
            yield database

    @contextmanager
    def _mending(self) -> Iterator[None]:
        """Set a broken file aside, as if it had held nothing."""
        try:
            try:
                yield
            except FAULTS as error:
                if not is_broken(error):
                    raise
                self._file.set_aside()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

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
    """16 bytes that stand for both models of an encoder, and for the token states that it gives beside, if any."""
    late = getattr(encoder, "late", None)
    models = [encoder.dense, encoder.sparse, *([] if late is None else [late])]
    fingerprints = msgspec.json.encode(models, order="deterministic")
    return hashlib.blake2b(fingerprints, digest_size=16).digest()


def _key(models: bytes, text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=models).digest()


def _checksum(key: bytes, dense: bytes | None, sparse: bytes | None) -> bytes:
    """8 bytes over all that a row is read for; ``None`` differs from no bytes."""
    lengths = repr([None if part is None else len(part) for part in (dense, sparse)])
    return hashlib.blake2b(b"".join((key, lengths.encode(), dense or b"", sparse or b"")), digest_size=8).digest()


def _is_right(key: object, dense: object, sparse: object, checksum: object) -> bool:
    """Whether a row is as it was written; SQLite gives any type back if a bit of its own is flipped."""
    if not isinstance(key, bytes) or not all(isinstance(part, bytes | None) for part in (dense, sparse)):
        return False
    return _checksum(key, dense, sparse) == checksum  # type: ignore[arg-type]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _today() -> int:
    return int(time.time()) // SECONDS_PER_DAY


def _dense_bytes(vector: Vector | None) -> bytes | None:
    return None if vector is None else np.ascontiguousarray(vector, dtype="<f4").tobytes()


def _dense(data: bytes | None) -> Vector | None:
    return None if data is None else np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)


def _sparse_bytes(weights: SparseVector | None, late: bytes | None) -> bytes | None:
    """The weights; with token states, a pair of both, whose rows have keys of their own (:func:`models_key`)."""
    if late is not None:
        return msgspec.msgpack.encode((None if weights is None else dict(weights), late))
    return None if weights is None else packed(weights) or msgspec.msgpack.encode(dict(weights))


def _sparse(data: bytes | None) -> tuple[SparseVector | None, bytes | None]:
    """Weights and token states."""
    if data is None:
        return None, None
    if data[:1] == bytes((MARK,)):
        return unpacked(data), None
    found = msgspec.msgpack.decode(data, type=dict[str, float] | tuple[dict[str, float] | None, bytes])
    return found if isinstance(found, tuple) else (found, None)
