"""An index of ours that is copied from: as of one moment, with its vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from hybrid_search import build
from hybrid_search.copying.stored import Bulk, Facts, StoredPassage
from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.foreign import foreign_index, whole_source
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.engine.layout import DENSE, DOC_ID
from hybrid_search.engine.ranges import Part, hits_of, parts_of
from hybrid_search.engine.snapshots import Shard, Snapshots
from hybrid_search.errors import IndexMismatchError, IngestError
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.ingest.state.lease import is_loading
from hybrid_search.records import LAYOUT, ResumePoint
from hybrid_search.search.similar_held import dense_of

OPERATIONS = 10_000
"""Sequence numbers of a bulk; of passages with vectors some 50 MB."""

PASSAGES = {"exists": {"field": DOC_ID}}
COPY = "copy"
"""Where ``_meta`` says that an index is a copy, and whether it is whole."""
OF_ONE_INDEX = frozenset({"schema", "schema_version", indices.CURSOR_KEY, build.BUILD, build.WAS_LIVE, COPY})
"""Of ``_meta``: what is written anew, or says something of the index and not of what it holds."""


class IndexOrigin:
    """An index, or the one behind an alias.

    Raises:
        IndexMissingError: there is none.
        IndexMismatchError: not made by this package, or by release 0.1.
        IngestError: it is being loaded at this moment.
    """

    def __init__(self, connection: Connection, name: str, operations: int = OPERATIONS) -> None:
        self._connection = connection
        self._opened = indices.open_index(connection, name)
        self._operations = operations
        self.where = f"{connection.where}/{self._opened.name}"
        self.facts = _facts(connection, self._opened)
        self._snapshots = Snapshots(connection)

    def bulks(self) -> Sequence[Bulk]:
        """Ranges of its operations."""
        return [Bulk(part.key, (part.held.count, part.held.sum), part.held.count) for part in self._parts]

    def read(self, number: int, start: ResumePoint | None = None) -> Iterator[StoredPassage]:
        """The passages of a bulk, behind a place in it."""
        part = self._parts[number]
        begin, line = (part.begin, 0) if start is None else (start.offset, start.line)
        body = {"_source": whole_source(self._connection.dialect)}
        for hit in hits_of(self._snapshots, part, begin, body, PASSAGES):
            line += 1
            yield StoredPassage(hit["_id"], stored_values(hit), ResumePoint(hit["sort"][0] + 1, line))

    def close(self) -> None:
        """Let the engine forget what it kept."""
        self._snapshots.close()

    @cached_property
    def _parts(self) -> list[Part]:
        found = foreign_index(self._connection, self._opened.name)
        shards = (Shard(found.name, number) for number in range(found.shards))
        operations = self._operations
        return [part for shard in shards for part in parts_of(self._snapshots, shard, found.uuid, PASSAGES, operations)]


def stored_values(hit: Mapping[str, Any]) -> dict[str, Any]:
    """The ``_source`` of a passage, its dense vector as float32."""
    values = dict(hit["_source"])
    if values.get(DENSE) is not None:
        values[DENSE] = dense_of(values[DENSE])
    return values


def _facts(connection: Connection, opened: OpenedIndex) -> Facts:
    meta = indices.read_meta(connection, opened.name)
    if opened.schema.layout != LAYOUT:
        what = "the index was made by release 0.1, in another layout"
        raise IndexMismatchError(what, where=opened.where, remedy="Make it anew: hybrid-search reindex")
    if meta.get(COPY, {}).get("finished") is False:
        raise IngestError(
            "the index is itself a copy that was not finished",
            where=opened.where,
            remedy=f"Finish it first, by the same command: the copy of {meta[COPY].get('of')}",
        )
    state = read_state(connection, opened.name)
    if is_loading(connection, opened.name):
        raise IngestError("is being loaded at this moment", where=opened.where, remedy="Try again when that is done")
    rest = {name: value for name, value in meta.items() if name not in OF_ONE_INDEX}
    return Facts(opened.schema, dict(state.sources), state.last_load, rest)
