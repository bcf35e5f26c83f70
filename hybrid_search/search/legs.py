"""Request bodies of a search, as pure functions: one per leg, the ``_msearch`` that carries them, and the fetch.

A leg answers with passage ids and scores alone; the passages that will be shown or reranked are fetched afterwards
by id, some 10 instead of 400. One round trip with everything in it takes 2.1 to 2.5 times as long as these two
(benchmarks/search/round_trips.py: NFCorpus in passages of 128 tokens, two legs, OpenSearch 3.6.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from hybrid_search.engine import layout
from hybrid_search.engine.protocols import NDJSON, Dialect, Request
from hybrid_search.records import SparseVector, Vector

Body = dict[str, Any]
Filter = Mapping[str, Any] | None

RANK_FEATURES, SPARSE_VECTOR = "rank_features", "sparse_vector"
"""The types of the sparse field: the schema's ``sparse_index``."""

MAX_CLAUSES = 1000
"""Both engines allow a query at least 1,024 clauses; some are left for the filter."""


def bm25(text: str, *, filter: Filter = None) -> Body:
    """Query of the BM25 leg: any word of ``text`` may match, the analyzer of the index decides what a word is."""
    return _filtered({"match": {layout.TEXT: {"query": text, "operator": "or"}}}, filter)


def dense(vector: Vector, dialect: Dialect, *, size: int, candidates: int, filter: Filter = None) -> Body:
    """Query of the dense leg: the ``size`` nearest passages, by a graph search of width ``candidates``.

    ``vector`` is float32 of shape (dimension,). The filter applies while the graph is searched, not afterwards.
    """
    return dialect.dense_search(vector, size=size, candidates=max(size, candidates), filter=filter)


def sparse(vector: SparseVector, *, filter: Filter = None, field_type: str = RANK_FEATURES) -> Body:
    """Query of the sparse leg: the dot product of ``vector`` with each passage's term weights, to 9 bits.

    One ``rank_feature`` clause with ``linear`` per term: its score is boost times the stored weight. Formal and
    Piwowarski: SPLADE, SIGIR 2021, arXiv 2107.05720. ``vector`` must not be empty.

    A ``sparse_vector`` field (Elasticsearch 8.15+) has a query of its own, which means the same and is asked not to
    prune: from 9.2 on it would leave out frequent terms by default.
    """
    if field_type == SPARSE_VECTOR:
        terms = {layout.escape(term): weight for term, weight in vector.items()}
        return _filtered({"sparse_vector": {"field": layout.SPARSE, "query_vector": terms, "prune": False}}, filter)
    clauses = [
        {"rank_feature": {"field": layout.feature_path(term), "linear": {}, "boost": weight}}
        for term, weight in vector.items()
    ]
    scored: Body = {"should": clauses, "minimum_should_match": 1}
    return {"query": {"bool": scored if filter is None else {**scored, "filter": [filter]}}}


def _filtered(query: Body, filter: Filter) -> Body:
    return {"query": query if filter is None else {"bool": {"must": [query], "filter": [filter]}}}


def heaviest(vector: SparseVector, limit: int = MAX_CLAUSES) -> dict[str, float]:
    """The ``limit`` heaviest terms as plain floats, heaviest first, ties by term."""
    ordered = sorted(vector.items(), key=lambda term: (-term[1], term[0]))
    return {term: float(weight) for term, weight in ordered[:limit]}


def passage_search(query: Body, *, size: int, timeout: float) -> Body:
    """A whole search body that answers with at most ``size`` passage ids and scores, within ``timeout`` seconds."""
    return {
        **query,
        "size": size,
        "_source": False,
        "track_total_hits": False,
        "timeout": f"{round(timeout * 1000)}ms",
    }


def passage_fetch(passage_ids: Sequence[str], *, timeout: float) -> Body:
    """A whole search body that answers with the stored passages of these ids, in no particular order."""
    return {
        "query": {"ids": {"values": list(passage_ids)}},
        "size": len(passage_ids),
        "_source": {"includes": list(layout.STORED)},
        "track_total_hits": False,
        "timeout": f"{round(timeout * 1000)}ms",
    }


def multi_search(index: str, bodies: Iterable[Body], *, timeout: float) -> Request:
    """The searches of ``bodies`` in one request, run side by side by the engine, answered in order."""
    lines = b"".join(b"{}\n" + orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n" for body in bodies)
    return Request("POST", f"/{quote(index, safe='')}/_msearch", body=lines, content_type=NDJSON, timeout=timeout)
