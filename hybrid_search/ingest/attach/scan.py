"""Every document of an index as it was at one moment, in an order of one's own, however many there are.

Each shard is read from a point in time of its own, sorted down to its sequence numbers, which no two documents of a
shard share: so that pages neither overlap nor leave anything out, on every version of both engines. The shards are
merged as they are read.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError

PAGE = 200
"""Documents of a shard that are read at once, with their texts."""

KEPT = "30m"
"""How long a point in time outlives the last page that was read: a slow encoder works through one in minutes."""

NEWEST = "newest"

Hit = Mapping[str, Any]

_LOST = re.compile(r"search_context_missing|No search context found|all shards failed", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read.

    Attributes:
        query: which documents.
        source: what of them, as ``_source`` of a search says it.
        first: what comes first: :data:`NEWEST`, those written last, or a field, its greatest values.
    """

    query: Mapping[str, Any]
    source: Any
    first: str = NEWEST


def documents(connection: Connection, index: str, shards: int, wanted: Wanted) -> Iterator[Hit]:
    """The documents as they were when this was called, each with its sequence number and term.

    Raises:
        EngineError: the cluster refuses, or cannot be reached.
    """
    refresh(connection, index)
    readers = [_Shard(connection, index, shard, wanted) for shard in range(shards)]
    try:
        for one in readers:
            one.open()
        yield from heapq.merge(*(one.hits() for one in readers), key=_Place)
    finally:
        for one in readers:
            one.close()


class _Shard:
    """One shard, read page by page."""

    def __init__(self, connection: Connection, index: str, shard: int, wanted: Wanted) -> None:
        self._connection = connection
        self._index = index
        self._shard = shard
        self._wanted = wanted
        self._is_opensearch = connection.dialect.engine == "opensearch"
        self._point: str | None = None

    def open(self) -> None:
        """Take the point in time."""
        path = "_search/point_in_time" if self._is_opensearch else "_pit"
        asked = Request.json(
            "POST", f"/{quote(self._index, safe='')}/{path}", keep_alive=KEPT, preference=f"_shards:{self._shard}"
        )
        self._point = str(self._connection.send(asked)["pit_id" if self._is_opensearch else "id"])

    def close(self) -> None:
        """Give the point in time back; one that is lost, or whose cluster is gone, goes by itself."""
        if self._point is None:
            return
        path, name = ("/_search/point_in_time", "pit_id") if self._is_opensearch else ("/_pit", "id")
        point: Any = [self._point] if self._is_opensearch else self._point
        try:
            self._connection.transport.send(Request.json("DELETE", path, {name: point}))
        except EngineError:
            return
        finally:
            self._point = None

    def hits(self) -> Iterator[Hit]:
        """All that is wanted of the shard, in order."""
        after: Sequence[Any] | None = None
        while hits := self._page(after):
            yield from hits
            if len(hits) < PAGE:
                return
            after = hits[-1]["sort"]

    def _page(self, after: Sequence[Any] | None) -> Sequence[Hit]:
        first = self._wanted.first
        named = [] if first == NEWEST else [{first: {"order": "desc", "missing": "_last"}}]
        body: dict[str, Any] = {
            "pit": {"id": self._point, "keep_alive": KEPT},
            "query": {"bool": {"filter": [self._wanted.query]}},
            "size": PAGE,
            "sort": [*named, {"_seq_no": "desc"}],
            "seq_no_primary_term": True,
            "track_total_hits": False,
            "_source": self._wanted.source,
        }
        if after is not None:
            body["search_after"] = after
        answer = self._send(body)
        hits: Sequence[Hit] = answer["hits"]["hits"]
        return hits

    def _send(self, body: dict[str, Any]) -> Any:
        """The answer; a point in time that a restarted node has lost is taken anew, and reading goes on from there."""
        try:
            return self._connection.send(Request.json("POST", "/_search", body))
        except EngineError as error:
            if not _LOST.search(error.what):
                raise
            self.open()
            body["pit"]["id"] = self._point
            return self._connection.send(Request.json("POST", "/_search", body))


@total_ordering
class _Place:
    """Where a hit stands among those of all shards: the greatest values first, those without any last."""

    def __init__(self, hit: Hit) -> None:
        self._values = hit["sort"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Place) and self._values == other._values

    def __lt__(self, other: _Place) -> bool:
        for mine, theirs in zip(self._values, other._values, strict=True):
            if mine != theirs:
                return theirs is None or (mine is not None and mine > theirs)
        return False

    __hash__ = None  # type: ignore[assignment]  # only compared
