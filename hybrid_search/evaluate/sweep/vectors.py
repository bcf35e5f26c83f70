"""The vectors that are swept over, as the index holds them, and the exact answers to compare with.

They are read once, in a random order that is the same in every call as long as the index does not change, and kept in
memory: ``passages x dimension x 4`` bytes and the terms. Nothing is encoded, and nothing of the index is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from hybrid_search.engine import layout
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.foreign import whole_source
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import InputError
from hybrid_search.records import IndexSchema, Leg, SparseVector
from hybrid_search.search.similar_held import dense_of

SEED = 17
NUMBERS = 400_000
"""Components of the vectors of a page: some 5 MB of JSON."""

MOST_ROWS = 2_000
READ_TIMEOUT = 120.0
"""Seconds for a page: a random order has to score every passage."""

TIES = 1e-6
"""Relative difference of two exact scores below which either passage is as good: float32 keeps no more."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Passages with what is searched of them.

    Attributes:
        ids: (document, number) of each passage.
        dense: float32 of shape (passages, dimension), of length 1; None where the index has no dense leg.
        sparse: term weights of each passage; None where the index has no sparse leg.
        total: passages of the index.
    """

    ids: list[tuple[str, int]]
    dense: NDArray[np.float32] | None
    sparse: list[SparseVector] | None
    total: int

    @property
    def is_whole(self) -> bool:
        """Whether it is nearly all of the index: nine tenths."""
        return 10 * len(self.ids) >= 9 * self.total

    def legs(self) -> list[Leg]:
        """The legs that there are vectors of."""
        held = {Leg.DENSE: self.dense, Leg.SPARSE: self.sparse}
        return [leg for leg, vectors in held.items() if vectors is not None]

    def split(self, count: int) -> tuple[Sample, Sample]:
        """The first ``count`` passages, and all others."""
        return self._part(slice(0, count)), self._part(slice(count, None))

    def _part(self, part: slice) -> Sample:
        dense = None if self.dense is None else self.dense[part]
        sparse = None if self.sparse is None else self.sparse[part]
        return Sample(self.ids[part], dense, sparse, self.total)


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries as vectors: one or both of the parts of a :class:`Sample`, and whether passages take their place."""

    dense: NDArray[np.float32] | None
    sparse: list[SparseVector] | None
    are_passages: bool = False

    def __len__(self) -> int:
        return len(self.sparse or []) if self.dense is None else len(self.dense)


def read_sample(connection: Connection, index: str, schema: IndexSchema, count: int) -> Sample:
    """At most ``count`` passages of an index, or of what an alias shows of it, in a random order.

    Raises:
        InputError: no passage has a vector.
        EngineError: the engine refuses, or does not answer in time.
    """
    found: list[Mapping[str, Any]] = []
    total = _count(connection, index, schema)
    for hits in _pages(connection, index, schema, count):
        found += hits
    if not found or (schema.dense is None and schema.sparse is None):
        raise InputError("no passage with a vector", where=index, remedy="Load documents with a model first")
    sources = [hit["_source"] for hit in found]
    ids = [(str(source[layout.DOC_ID]), int(source[layout.PASSAGE])) for source in sources]
    dense = None if schema.dense is None else _directions([dense_of(source.get(layout.DENSE)) for source in sources])
    sparse = None if schema.sparse is None else [_terms(source.get(layout.SPARSE)) for source in sources]
    return Sample(ids, dense, sparse, total)


def asked_of(sample: Sample) -> Asked:
    """Passages as queries."""
    return Asked(sample.dense, sample.sparse, are_passages=True)


def _passing(schema: IndexSchema) -> dict[str, Any]:
    """Every passage, of those that should have a dense vector the ones that have it."""
    field = layout.DOC_ID if schema.dense is None else layout.DENSE
    return {"bool": {"filter": [{"exists": {"field": layout.DOC_ID}}, {"exists": {"field": field}}]}}


def _count(connection: Connection, index: str, schema: IndexSchema) -> int:
    path = f"/{quote(index, safe='')}/_count"
    return int(connection.send(Request.json("POST", path, {"query": _passing(schema)}))["count"])


def _pages(connection: Connection, index: str, schema: IndexSchema, count: int) -> Iterator[list[Mapping[str, Any]]]:
    dimension = 1 if schema.dense is None else schema.dense.dimension or 1
    size = min(MOST_ROWS, max(1, NUMBERS // dimension), count)
    order = {"seed": SEED, "field": "_seq_no"}
    body: dict[str, Any] = {
        "query": {"function_score": {"query": _passing(schema), "random_score": order, "boost_mode": "replace"}},
        "sort": [{"_score": "desc"}, {layout.DOC_ID: "asc"}, {layout.PASSAGE: "asc"}],
        "_source": whole_source(connection.dialect, [layout.DOC_ID, layout.PASSAGE, layout.DENSE, layout.SPARSE]),
        "track_total_hits": False,
    }
    read = 0
    while read < count:
        body["size"] = min(size, count - read)
        request = Request.json("POST", f"/{quote(index, safe='')}/_search", body, timeout=READ_TIMEOUT)
        hits: list[Mapping[str, Any]] = connection.send(request)["hits"]["hits"]
        if not hits:
            return
        yield hits
        read += len(hits)
        body["search_after"] = hits[-1]["sort"]


def _directions(vectors: Sequence[Any]) -> NDArray[np.float32]:
    stacked = np.stack(vectors).astype(np.float32)
    directions: NDArray[np.float32] = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
    return directions


def _terms(value: Mapping[str, float] | None) -> SparseVector:
    return {layout.unescape(term): float(weight) for term, weight in (value or {}).items()}


def exact_scores(leg: Leg, asked: Asked, sample: Sample) -> NDArray[np.float64]:
    """Cosines, or dot products of term weights: float64 of shape (queries, passages); -inf without a common term."""
    if leg == Leg.DENSE and asked.dense is not None and sample.dense is not None:
        cosines: NDArray[np.float64] = asked.dense.astype(np.float64) @ sample.dense.astype(np.float64).T
        return cosines
    return _products(asked.sparse or [], sample.sparse or [])


def _products(queries: Sequence[SparseVector], passages: Sequence[SparseVector]) -> NDArray[np.float64]:
    """Term by term over lists of the passages that have it."""
    held: dict[str, list[tuple[int, float]]] = {}
    for row, passage in enumerate(passages):
        for term, weight in passage.items():
            held.setdefault(term, []).append((row, weight))
    lists = {term: (np.array([r for r, _ in found]), np.array([w for _, w in found])) for term, found in held.items()}
    scores = np.zeros((len(queries), len(passages)))
    for number, query in enumerate(queries):
        for term, weight in query.items():
            if term in lists:
                rows, weights = lists[term]
                scores[number, rows] += weight * weights
    return np.where(scores > 0, scores, -np.inf)


def recall(found: Sequence[Sequence[int]], exact: NDArray[np.float64], k: int) -> float:
    """Mean share of the exact ``k`` best that are among the first ``k`` found; equal scores are equally good.

    Args:
        found: rows of the passages of each query, best first.
        exact: scores of shape (queries, passages); those of -inf are never hits.
        k: how many count.
    """
    shares = []
    for rows, scores in zip(found, exact, strict=True):
        wanted = min(k, int(np.isfinite(scores).sum()))
        if wanted:
            least = np.partition(scores, -wanted)[-wanted]
            good = sum(scores[row] >= least - TIES * abs(least) for row in rows[:wanted])
            shares.append(good / wanted)
    return float(np.mean(shares)) if shares else 1.0
