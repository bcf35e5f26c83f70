"""Reads one vector back, early in a load: base64 in an order that the engine does not expect is taken without a word.

Elasticsearch 9.3+ reads big-endian float32, other engines and versions little-endian or bfloat16 (seen on 9.5.3: two
bytes a component are silently bfloat16). A vector that arrived as it was meant has a cosine of 1 with itself.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.layout import LOAD
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError
from hybrid_search.records import EncodedPassage, Vector

SEARCHES = 10
"""How often the vector is looked for; its passage may have been refused, or wait behind others."""

LOWEST = 0.9
"""Of ``(1 + cosine) / 2``: quantised vectors may be a little off, misread ones are anywhere."""


class _Sent(NamedTuple):
    id: str
    vector: Vector


class VectorReadBack:
    """Checks one vector that is written to ``index`` with the number of a load; nothing without base64.

    Safe to share between threads.
    """

    def __init__(self, connection: Connection, index: str, load: int) -> None:
        self._connection = connection
        self._index = index
        self._load = load
        self._sent: _Sent | None = None
        self._lock = threading.Lock()
        self._searches = SEARCHES if connection.dialect.capabilities.base64_vectors else 0

    def sends(self, encoded: EncodedPassage) -> None:
        """Remember this passage's vector if none is remembered."""
        if self._searches and self._sent is None and encoded.dense is not None:
            self._sent = _Sent(encoded.passage.id, encoded.dense)

    def check(self) -> None:
        """Search for the remembered vector, once it can be found; afterwards nothing is left to do.

        Raises:
            IndexMismatchError: the engine holds another vector than was sent.
            EngineError: it cannot be asked.
        """
        with self._lock:
            if self._searches and self._sent is not None:
                found = self._score(self._sent) is not None
                self._searches = 0 if found else self._searches - 1

    def _score(self, sent: _Sent) -> float | None:
        """The passage's score for its own vector; None where it is not in the index (refused, or not sent yet)."""
        indices.refresh(self._connection, self._index)
        # An older load may have written the passage with another vector, which is there until this one's arrives.
        written = {"bool": {"filter": [{"ids": {"values": [sent.id]}}, {"term": {LOAD: self._load}}]}}
        body = self._connection.dialect.exact_dense_search(sent.vector, filter=written)
        request = Request.json("POST", f"/{self._index}/_search", {**body, "size": 1, "_source": False})
        for hit in self._connection.send(request)["hits"]["hits"]:
            score = float(hit["_score"])
            if not score >= LOWEST:
                raise IndexMismatchError(
                    f"the vector of {sent.id} came back as another one: (1 + cosine) / 2 is {score:.3f}, not 1",
                    where=f"{self._connection.where}/{self._index}",
                    remedy="Report the engine's version: it reads base64 vectors in another way than it says",
                )
            return score
        return None
