"""An index as a source: ``es:NAME`` of Elasticsearch, ``os:NAME`` of OpenSearch.

It is read as it was when it was first looked at (:mod:`hybrid_search.engine.snapshots`), shard by shard, in parts of
some ten thousand operations. A part is known again by its place and the number of its documents, so a load that was
broken off goes on although the index has changed: what is in an unchanged part is settled, what was written since is in
a part that is new, and what was changed has gone from its part, which is read anew.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybrid_search.engine import layout
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.foreign import FieldKind, ForeignIndex, SourceKept, foreign_indices, whole_source
from hybrid_search.engine.snapshots import KEPT, SEQUENCE, Held, PointExpiredError, Shard, Snapshots, within
from hybrid_search.errors import IndexMissingError, SettingsError, SourceChangedError, SourceError
from hybrid_search.read.raw import RawRecord, RawRecords
from hybrid_search.read.source_query import source_clause
from hybrid_search.records import ResumePoint
from hybrid_search.settings import DocumentSettings

PREFIXES = {"es:": "elasticsearch", "os:": "opensearch"}
"""How a source that is an index begins, and the engine that has it."""

KIND = "index"
"""Of the splits of such a source."""

OPERATION_BYTES = 3_200
"""What a document is taken for: a split of 64 MiB is some 20,000 operations of a shard."""
SPLIT_OPERATIONS = 20_000
COUNTED_AT_ONCE = 1 << 30
MOST_PARTS = 2_000
"""Of a shard; one that has had more operations is cut into larger ones."""

FIRST_PAGE, LARGEST_PAGE, PAGE_BYTES = 100, 2_000, 4 << 20
"""Documents of the first page, the most of any, and the bytes of an answer that pages are to have."""

REOPENED = 20
"""Points in time that may be lost in a row without a page between them."""


@dataclass(frozen=True, slots=True)
class Part:
    """Sequence numbers of a shard, from ``begin`` to before ``end``, and what they had of documents at the start."""

    index: str
    uuid: str
    shard: int
    begin: int
    end: int
    held: Held


def is_index(source: str | Path) -> bool:
    """Whether a source is an index; a file of such a name is written ``./es:name``."""
    return str(source)[:3] in PREFIXES


def index_of(source: str | Path) -> tuple[str, str]:
    """Engine and name.

    Raises:
        SourceError: there is no name.
    """
    text = str(source)
    if len(text) == 3:
        raise SourceError("names no index", where=text, remedy=f"Write {text}NAME")
    return PREFIXES[text[:3]], text[3:]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is read of an index: all that match a query, and which of the fields of vectors (None: each)."""

    source: str
    query: str | None = None
    vectors: frozenset[str] | None = None


class Origin:
    """The cluster that sources are read from, and their shards as they were when each was first asked for.

    Safe to share between threads. Closing it closes the connection too.
    """

    def __init__(self, connection: Connection, kept: float = KEPT) -> None:
        self._connection = connection
        self._snapshots = Snapshots(connection, kept)
        self._known: dict[str, tuple[ForeignIndex, ...]] = {}

    @property
    def where(self) -> str:
        """The address without credentials."""
        return self._connection.where

    def close(self) -> None:
        """Let the engine forget what it kept, and close the connection."""
        self._snapshots.close()
        self._connection.close()

    def indices(self, source: str) -> tuple[ForeignIndex, ...]:
        """The indices that a source stands for, looked at once.

        Raises:
            SourceError: there is none, it keeps no documents, or holds passages of this package.
        """
        if source not in self._known:
            found = self._found(source)
            for one in found:
                _check_readable(one)
            self._known[source] = found
        return self._known[source]

    def count(self, asked: Asked) -> int:
        """How many documents are read."""
        return sum(part.held.count for part in self.parts(asked, COUNTED_AT_ONCE))

    def parts(self, asked: Asked, operations: int) -> list[Part]:
        """The parts that hold a document, in the order of reading."""
        query = self._clause(asked)
        return [
            part
            for one in self.indices(asked.source)
            for shard in range(one.shards)
            for part in self._of_shard(one, Shard(one.name, shard), query, operations)
        ]

    def records(self, part: Part, asked: Asked, start: ResumePoint | None = None) -> RawRecords:
        """The documents of a part, behind a place in it.

        Raises:
            SourceChangedError: it was lost, and has not the same documents any more.
        """
        index = next(one for one in self.indices(asked.source) if one.uuid == part.uuid)
        begin, number = (part.begin, 0) if start is None else (start.offset, start.line)
        decode = _Decoder(index, self._connection.dialect.engine)
        for hit in self._hits(part, begin, self._body(index, asked), self._clause(asked)):
            number += 1
            end = ResumePoint(hit["sort"][0] + 1, number)
            yield RawRecord(decode.values(hit), f"{asked.source} {hit['_id']!r}", None, end)

    def notes(self, asked: Asked) -> Iterator[str]:
        """What its owner should know of what is not read."""
        for one in self.indices(asked.source):
            if one.kept is SourceKept.PARTLY:
                absent = [path for path in one.fields if one.leaves_out(path) and one.fields[path].form_of is None]
                yield f"{one.name} keeps its documents without {', '.join(absent) or 'some fields'}"
            if one.kept is SourceKept.SYNTHETIC:
                yield f"{one.name} keeps no documents: the engine makes them of their fields, lists in their order"
            left = [field.path for field in _vectors(one) if not _is_wanted(field.path, asked)]
            if left:
                yield f"the vectors in {', '.join(left)} are not read: documents.dense and .sparse name those that are"

    def _found(self, source: str) -> tuple[ForeignIndex, ...]:
        engine, name = index_of(source)
        if engine != self._connection.dialect.engine:
            ours = next(prefix for prefix, kind in PREFIXES.items() if kind != engine)
            what = f"the cluster at {self.where} is {self._connection.dialect.engine}"
            raise SourceError(what, where=source, remedy=f"Write {ours}{name}, or name another cluster: --source-url")
        try:
            found = foreign_indices(self._connection, name)
        except IndexMissingError:
            found = ()
        if not found:
            remedy = "Check the name, and the cluster: --source-url"
            raise SourceError(f"no such index at {self.where}", where=source, remedy=remedy)
        return found

    def _clause(self, asked: Asked) -> dict[str, Any] | None:
        return None if asked.query is None else source_clause(asked.query, self.indices(asked.source))

    def _of_shard(
        self, one: ForeignIndex, shard: Shard, query: Mapping[str, Any] | None, operations: int
    ) -> Iterator[Part]:
        while True:
            try:
                end = self._snapshots.greatest(shard) + 1
                while end > operations * MOST_PARTS:
                    operations *= 2
                ranges = [(begin, min(begin + operations, end)) for begin in range(0, end, operations)]
                found = self._snapshots.held(shard, ranges, query)
            except PointExpiredError:
                continue
            for (begin, behind), held in zip(ranges, found, strict=True):
                if held.count:
                    yield Part(one.name, one.uuid, shard.number, begin, behind, held)
            return

    def _body(self, index: ForeignIndex, asked: Asked) -> dict[str, Any]:
        source = whole_source(self._connection.dialect)
        left = [field.path for field in _vectors(index) if not _is_wanted(field.path, asked)]
        if left:
            source = {**(source if isinstance(source, dict) else {}), "excludes": left}
        return {"_source": source, "sort": [{SEQUENCE: "asc"}], "track_total_hits": False}

    def _hits(
        self, part: Part, begin: int, body: Mapping[str, Any], query: Mapping[str, Any] | None
    ) -> Iterator[Mapping[str, Any]]:
        """The hits of a part from a sequence number on, page by page."""
        shard, size, lost = Shard(part.index, part.shard), FIRST_PAGE, 0
        must = [] if query is None else [query]
        while begin < part.end:
            asked = {**body, "size": size, "query": {"bool": {"filter": [within(begin, part.end), *must]}}}
            try:
                answer = self._snapshots.search(shard, asked)
            except PointExpiredError:
                lost += 1
                self._check_unchanged(part, shard, query, lost)
                continue
            lost, hits = 0, answer["hits"]["hits"]
            yield from hits
            if len(hits) < size:
                return
            begin = hits[-1]["sort"][0] + 1
            size = _next_size(hits, size)

    def _check_unchanged(self, part: Part, shard: Shard, query: Mapping[str, Any] | None, lost: int) -> None:
        """Raise SourceChangedError unless the shard as it is now has the same documents in a part."""
        what = "points in time are lost at once"
        while lost < REOPENED:
            try:
                held = self._snapshots.held(shard, [(part.begin, part.end)], query)
            except PointExpiredError:
                lost += 1
                continue
            if held == [part.held]:
                return
            what = "has changed since its point in time was lost"
            break
        remedy = "Run the same command again: it goes on with what was not loaded or has changed"
        raise SourceChangedError(what, where=str(shard), remedy=remedy)


@dataclass(frozen=True, slots=True)
class _Decoder:
    """Makes records of hits: a dense vector may be stored as text."""

    index: ForeignIndex
    engine: str

    def values(self, hit: Mapping[str, Any]) -> dict[str, Any]:
        """The values by name, with the id under ``_id``."""
        source = hit.get("_source") or {}
        for field in self.index.of_kind(FieldKind.DENSE):
            source = self._with_numbers(source, field.path)
        return {"_id": hit["_id"], **source}

    def _with_numbers(self, source: dict[str, Any], path: str) -> dict[str, Any]:
        head, _, rest = path.partition(".")
        value = source.get(path, source.get(head))
        if isinstance(value, str) and (path in source or not rest):
            return {**source, (path if path in source else head): _numbers(value, self.engine)}
        if rest and isinstance(value, dict):
            return {**source, head: self._with_numbers(value, rest)}
        return source


def _numbers(text: str, engine: str) -> Any:
    """The components of a vector in base64: Elasticsearch's bytes are big-endian; what is none stays, for an error."""
    try:
        data = base64.b64decode(text, validate=True)
        return np.frombuffer(data, dtype=">f4" if engine == "elasticsearch" else "<f4").astype(np.float32).tolist()
    except (binascii.Error, ValueError):
        return text


def _next_size(hits: Sequence[Mapping[str, Any]], size: int) -> int:
    """Documents of the next page: by the length of some of these."""
    some = hits[:: max(1, len(hits) // 8)]
    average = sum(len(str(hit.get("_source"))) for hit in some) / len(some)
    return max(1, min(2 * size, LARGEST_PAGE, int(PAGE_BYTES / max(1.0, average))))


def _vectors(index: ForeignIndex) -> list[Any]:
    return index.of_kind(FieldKind.DENSE, FieldKind.SPARSE)


def _is_wanted(path: str, asked: Asked) -> bool:
    return asked.vectors is None or path in asked.vectors


def _check_readable(index: ForeignIndex) -> None:
    if index.kept is SourceKept.NOTHING:
        raise SourceError(
            "the index keeps no documents: its mapping says _source.enabled = false",
            where=index.name,
            remedy="Load what it was made of",
        )
    if index.is_ours and layout.DOC_ID in index.fields and layout.PASSAGE in index.fields:
        raise SourceError(
            "the index holds passages that hybrid-search made",
            where=index.name,
            remedy="Copy it, with its vectors: hybrid-search copy; or load what it was made of",
        )


def needed(source: str | Path, origin: Origin | None) -> Origin:
    """The cluster of a source that is an index.

    Raises:
        SettingsError: there is none.
    """
    if origin is None:
        raise SettingsError("is an index, and no cluster is given to read it from", where=str(source))
    return origin


def vectors_of(settings: DocumentSettings) -> frozenset[str]:
    """The fields of vectors that settings name."""
    return frozenset(name for name in (settings.dense, settings.sparse) if name is not None)
