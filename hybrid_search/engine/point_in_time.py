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
    point = PointInTime(connection, opened_point(connection, index, keep_alive=KEPT))
    try:
        yield point
    finally:
        with suppress(EngineError):  # the engine gives it up by itself
            connection.send(closing_point(connection, point.id))


def opened_point(connection: Connection, index: str, **parameters: Any) -> str:
    """The id of a new point in time; ``parameters`` are ``keep_alive`` and ``preference``."""
    is_opensearch = connection.dialect.engine == "opensearch"
    path, key = ("_search/point_in_time", "pit_id") if is_opensearch else ("_pit", "id")
    return str(connection.send(Request.json("POST", f"/{quote(index, safe='')}/{path}", **parameters))[key])


def closing_point(connection: Connection, id_: str) -> Request:
    """What gives a point in time up."""
    if connection.dialect.engine == "opensearch":
        return Request.json("DELETE", "/_search/point_in_time", {"pit_id": [id_]})
    return Request.json("DELETE", "/_pit", {"id": id_})
