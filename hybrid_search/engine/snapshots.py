"""Shards of an index as they are at one moment, read by the numbers of their operations.

Every write to a shard takes the next sequence number, and a document has that of its last write. So the documents of a
range of numbers below the greatest can only become fewer: while they are as many, they are the very same ones. A
point in time keeps a shard as it was for as long as it is asked for; where it was lost, their count tells whether
another one will do in its place.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from hybrid_search.engine.answers import failure
from hybrid_search.engine.connection import AnswerBody, Connection, checked
from hybrid_search.engine.point_in_time import closing_point, opened_point
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError, UnsupportedError

SEQUENCE = "_seq_no"
KEPT = 600.0
"""Seconds for which an engine keeps what nobody asks for: after a kill, what it holds back from merging is freed."""

EXPIRED = "search_context_missing_exception"
READ_TIMEOUT = 120.0
COUNTED = 500
"""Ranges that are counted with one request."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A primary shard of an index."""

    index: str
    number: int

    def __str__(self) -> str:
        return f"{self.index}[{self.number}]"


@dataclass(frozen=True, slots=True)
class Held:
    """The documents of a range: how many, and the sum of their numbers.

    The sum is for a write that was on its way when they were counted: it may come in the place of a deleted one.
    """

    count: int
    sum: int


class PointExpiredError(Exception):
    """The engine has given up a point in time: it was not asked for too long, or its node has gone."""


class Snapshots:
    """Points in time of shards, each opened when it is first asked for, kept until closed; safe between threads."""

    def __init__(self, connection: Connection, kept: float = KEPT) -> None:
        self._connection = connection
        self._kept = kept
        self._lock = threading.Lock()
        self._points: dict[Shard, str] = {}
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def search(self, shard: Shard, body: Mapping[str, Any]) -> AnswerBody:
        """The answer of a search in a shard as it was when it was first asked.

        Raises:
            PointExpiredError: that is not known any more; the next search sees the shard as it is then.
            EngineError: the engine refuses, or cannot be reached.
        """
        point = self._point(shard)
        try:
            return self._asked(point, body)
        except PointExpiredError:
            with self._lock:
                if self._points.get(shard) == point:
                    del self._points[shard]
            raise

    def greatest(self, shard: Shard, query: Mapping[str, Any] | None = None) -> int:
        """The greatest sequence number of a document that matches; -1 where there is none.

        Raises:
            UnsupportedError: the index keeps no sequence numbers.
        """
        body: dict[str, Any] = {"size": 1, "sort": [{SEQUENCE: "desc"}], "_source": False, "track_total_hits": False}
        if query is not None:
            body["query"] = query
        hits = self.search(shard, body)["hits"]["hits"]
        if not hits:
            return -1
        found = hits[0]["sort"][0]
        if not isinstance(found, int) or found < 0:
            remedy = "Copy it into an index that keeps them: _reindex"
            raise UnsupportedError("the index keeps no sequence numbers", where=str(shard), remedy=remedy)
        return found

    def held(self, shard: Shard, ranges: Sequence[tuple[int, int]], query: Mapping[str, Any] | None) -> list[Held]:
        """What each range of numbers (from, to, the last not in it) has of documents that match."""
        found: list[Held] = []
        for begin in range(0, len(ranges), COUNTED):
            asked = ranges[begin : begin + COUNTED]
            filters = {str(number): within(*one) for number, one in enumerate(asked)}
            sums = {"sum": {"sum": {"field": SEQUENCE}}}
            body: dict[str, Any] = {"size": 0, "aggs": {"ranges": {"filters": {"filters": filters}, "aggs": sums}}}
            if query is not None:
                body["query"] = query
            buckets = self.search(shard, body)["aggregations"]["ranges"]["buckets"]
            in_order = (buckets[str(number)] for number in range(len(asked)))
            found += [Held(bucket["doc_count"], int(bucket["sum"]["value"])) for bucket in in_order]
        return found

    def close(self) -> None:
        """Let the engine forget them."""
        self._closed.set()
        with self._lock:
            points, self._points = [*self._points.values()], {}
        for point in points:
            with suppress(EngineError):  # it gives them up by itself
                self._connection.send(closing_point(self._connection, point))
        if self._keeper is not None and self._keeper is not threading.current_thread():
            self._keeper.join()

    def _point(self, shard: Shard) -> str:
        with self._lock:
            if shard not in self._points:
                where = {"keep_alive": f"{self._kept:.0f}s", "preference": f"_shards:{shard.number}"}
                self._points[shard] = opened_point(self._connection, shard.index, **where)
                if self._keeper is None and not self._closed.is_set():
                    self._keeper = threading.Thread(target=self._keep, name="keep points in time", daemon=True)
                    self._keeper.start()
            return self._points[shard]

    def _asked(self, point: str, body: Mapping[str, Any]) -> AnswerBody:
        pit = {"id": point, "keep_alive": f"{self._kept:.0f}s"}
        request = Request.json("POST", "/_search", {**body, "pit": pit}, timeout=READ_TIMEOUT)
        answer = self._connection.transport.send(request)
        if answer.status == 404 and failure(answer.status, answer.body).type == EXPIRED:
            raise PointExpiredError
        found: AnswerBody = checked(answer, request, self._connection.where)
        return found

    def _keep(self) -> None:
        """Ask for each now and then: a reader may wait for its models longer than an engine does."""
        while not self._closed.wait(self._kept / 3):
            with self._lock:
                points = [*self._points.values()]
            for point in points:
                with suppress(EngineError, PointExpiredError):  # the reader will see for itself
                    self._asked(point, {"size": 0, "track_total_hits": False})


def within(begin: int, end: int) -> dict[str, Any]:
    """A query for documents by their sequence numbers, from ``begin`` to before ``end``."""
    return {"range": {SEQUENCE: {"gte": begin, "lt": end}}}
