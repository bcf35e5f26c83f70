"""An index as it is at one moment, to be read page by page: both engines keep it for as long as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError

KEPT = "5m"
"""How long after a page the next may be asked for."""

Hits = list[dict[str, Any]]


class PointInTime:
    """What an index held at a moment."""

    def __init__(self, connection: Connection, id_: str) -> None:
        self._connection = connection
        self.id = id_

    def pages(self, body: Mapping[str, Any]) -> Iterator[Hits]:
        """The hits of a search body that has a ``size`` and a ``sort`` without ties, page by page; none is empty."""
        after: Sequence[Any] | None = None
        while True:
            asked = {**body, "pit": {"id": self.id, "keep_alive": KEPT}, "track_total_hits": False}
            if after is not None:
                asked["search_after"] = after
            answer = self._connection.send(Request.json("POST", "/_search", asked))
            self.id = answer.get("pit_id", self.id)
            hits: Hits = answer["hits"]["hits"]
            if hits:
                yield hits
            if len(hits) < body["size"]:
                return
            after = hits[-1]["sort"]


@contextmanager
def point_in_time(connection: Connection, index: str) -> Iterator[PointInTime]:
    """The index, or what an alias shows of one, as it is now; given up at the end of the block.

    Raises:
        IndexMissingError: no such index or alias.
        EngineError: the engine refuses.
    """
    opensearch = connection.dialect.engine == "opensearch"
    path, key = ("_search/point_in_time", "pit_id") if opensearch else ("_pit", "id")
    opened = connection.send(Request.json("POST", f"/{quote(index, safe='')}/{path}", keep_alive=KEPT))
    point = PointInTime(connection, opened[key])
    try:
        yield point
    finally:
        ids = {"pit_id": [point.id]} if opensearch else {"id": point.id}
        with suppress(EngineError):  # the engine gives it up by itself
            connection.send(Request.json("DELETE", f"/{path}", ids))
