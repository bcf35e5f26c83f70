"""What the rest of the package asks of an engine: pure builders in a dialect, thin senders in a transport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from hybrid_search.engine.layout import OWN_DENSE, VectorField
from hybrid_search.records import IndexSchema, Vector

JSON = "application/json"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, without host and credentials; ``timeout`` in seconds, None for the transport's default.

    ``headers`` go beside those that the transport itself sends, and take the place of none of them.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = JSON
    timeout: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, method: str, path: str, body: Any = None, *, timeout: float | None = None, **params: str) -> Request:
        """A request with a JSON body."""
        encoded = None if body is None else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        return cls(method, path, params, encoded, JSON, timeout)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status: ``body`` is decoded JSON, or text where it is not; header names in lower case."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Sends requests over a vendor's client; safe to share between threads.

    ``send`` returns an answer for every HTTP status but a redirect, and raises only when there is none:
    EngineUnreachableError, EngineTimeoutError, ClientVersionError, RequestRefusedError (a redirect, more bytes than
    :data:`~hybrid_search.engine.bounds.MAX_ANSWER_BYTES`). The timeout is that of the whole answer.
    """

    @property
    def where(self) -> str:
        """The address without credentials, for messages."""
        ...

    def send(self, request: Request) -> Answer: ...

    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """The same with awaitables."""

    @property
    def where(self) -> str: ...

    async def send(self, request: Request) -> Answer: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this engine, version and licence can do."""

    dense_index_types: frozenset[str]
    sparse_index_types: frozenset[str]
    base64_vectors: bool
    server_rrf: bool
    combined_fields: bool
    sparse_measured: frozenset[str] = frozenset()
    """Kinds of sparse index that a sweep measures and no index is made with."""


class Dialect(Protocol):
    """Everything that differs between the engines, as pure functions."""

    @property
    def engine(self) -> str:
        """``opensearch`` or ``elasticsearch``."""
        ...

    @property
    def version(self) -> tuple[int, int, int]: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def index_body(self, schema: IndexSchema) -> dict[str, Any]:
        """Body of ``PUT /index``: settings, mappings and ``_meta``. UnsupportedError for what the version lacks."""
        ...

    def dense_search(
        self,
        vector: Vector,
        *,
        size: int,
        candidates: int,
        filter: Mapping[str, Any] | None,
        oversample: float | None = None,
        field: VectorField = OWN_DENSE,
    ) -> dict[str, Any]:
        """The part of a search body that finds ``size`` nearest neighbours (query or knn section, size not included).

        ``candidates`` is the width of the graph search (num_candidates / ef_search), at least ``size``. Where vectors
        are quantised, ``oversample`` times ``size`` of what they find is scored again by the whole vectors: 0 for
        none, None for what the mapping says. UnsupportedError where this version cannot be asked so. Vectors of a
        nested ``field`` find the documents that they lie in, each by its best one.
        """
        ...

    def exact_dense_search(
        self, vector: Vector, *, filter: Mapping[str, Any] | None, field: VectorField = OWN_DENSE
    ) -> dict[str, Any]:
        """The same by comparing with every vector: the measure of what the graph costs."""
        ...

    def dense_value(self, vector: Vector) -> Any:
        """The vector for orjson to write: base64 text where the server takes it, else a float32 array."""
        ...

    def load_settings(self) -> dict[str, Any]:
        """Index settings for the time of a load (refresh off, ...)."""
        ...

    def server_fusion(
        self,
        legs: Mapping[str, Mapping[str, Any]],
        *,
        window: int,
        rank_constant: int,
        weights: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """The part of a search body that lets the server fuse the search bodies of ``legs`` by reciprocal ranks.

        UnsupportedError where this version cannot; the server itself refuses what its licence lacks.
        """
        ...
