"""Request bodies of a search, as pure functions: one per leg, the ``_msearch`` that carries them, and the fetch.

A leg answers with passage ids and scores alone; the passages that will be shown or reranked are fetched afterwards
by id, some 10 instead of 400. One round trip with everything in it takes 2.1 to 2.5 times as long as these two
(benchmarks/search/round_trips.py: NFCorpus in passages of 128 tokens, two legs, OpenSearch 3.6.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from hybrid_search.engine import layout
from hybrid_search.engine.nested import best_inner
from hybrid_search.engine.protocols import NDJSON, Dialect, Request
from hybrid_search.records import SparseVector, Vector
from hybrid_search.search.scored_text import WHOLE_TEXT, ScoredText, words_query, words_together

Body = dict[str, Any]
Filter = Mapping[str, Any] | None

RANK_FEATURES, SPARSE_VECTOR = "rank_features", "sparse_vector"
"""The types of the sparse field: the schema's ``sparse_index``."""

TIES_BY_ID = [{"_score": "desc"}, {layout.DOC_ID: "asc"}, {layout.PASSAGE: "asc"}]
"""By score, equal ones by document (as bytes of UTF-8, which is the order of Python's strings too) and passage."""

RESCORED = 5
"""How many times the passages that are wanted get the products of the light terms, as in OpenSearch's processor."""

MAX_CLAUSES = 1000
"""Both engines allow a query at least 1,024 clauses; some are left for the filter."""


def bm25(
    text: str,
    *,
    filter: Filter = None,
    also: Sequence[Body] = (),
    scored: ScoredText = WHOLE_TEXT,
    combined: bool = True,
    near: bool = True,
) -> Body:
    """Query of the BM25 leg: any word of ``text`` may match, the analyzer of the index decides what a word is.

    Args:
        text: what is searched for.
        filter: what passages must pass.
        also: further clauses of which any may match.
        scored: the texts that are searched, and their weights.
        combined: whether the engine has ``combined_fields``, see :func:`hybrid_search.search.scored_text.words_query`.
        near: whether words that stand together count as ``scored`` says.
    """
    words = words_query(text, scored, combined=combined)
    if near and (closer := words_together(text, scored)):
        words = {"bool": {"must": [words], "should": closer}}
    if also:
        words = {"bool": {"should": [*([words] if text else []), *also], "minimum_should_match": 1}}
    return filtered(words, filter)


def dense(
    vector: Vector,
    dialect: Dialect,
    *,
    size: int,
    candidates: int,
    filter: Filter = None,
    oversample: float | None = None,
    field: layout.VectorField = layout.OWN_DENSE,
) -> Body:
    """Query of the dense leg: the ``size`` nearest passages, by a graph search of width ``candidates``.

    ``vector`` is float32 of shape (dimension,). The filter applies while the graph is searched, not afterwards.
    ``oversample`` is for quantised vectors alone.
    """
    width = max(size, candidates)
    return dialect.dense_search(vector, size=size, candidates=width, filter=filter, oversample=oversample, field=field)


def sparse(
    vector: SparseVector,
    *,
    filter: Filter = None,
    field_type: str = RANK_FEATURES,
    field: layout.VectorField = layout.OWN_SPARSE,
) -> Body:
    """Query of the sparse leg: the dot product of ``vector`` with each passage's term weights, to 9 bits.

    One ``rank_feature`` clause with ``linear`` per term: its score is boost times the stored weight. Formal and
    Piwowarski: SPLADE, SIGIR 2021, arXiv 2107.05720. ``vector`` must not be empty.

    A ``sparse_vector`` field (Elasticsearch 8.15+) has a query of its own, which means the same and is asked not to
    prune: from 9.2 on it would leave out frequent terms by default.
    """
    if field_type == SPARSE_VECTOR:
        terms = {layout.escape(term): weight for term, weight in vector.items()}
        found = {"sparse_vector": {"field": field.path, "query_vector": terms, "prune": False}}
        return filtered(best_inner(found, field), filter)
    clauses = [
        {"rank_feature": {"field": layout.feature_path(term, field.path), "linear": {}, "boost": weight}}
        for term, weight in vector.items()
    ]
    scored: Body = {"should": clauses, "minimum_should_match": 1}
    if field.within is not None:
        return filtered(best_inner({"bool": scored}, field), filter)
    return {"query": {"bool": scored if filter is None else {**scored, "filter": [filter]}}}


def sparse_in_two_phases(
    vector: SparseVector, *, share: float, size: int, filter: Filter = None, field_type: str = RANK_FEATURES
) -> Body:
    """The same by the strongest terms first: those that weigh at least ``share`` of the heaviest find passages.

    The best :data:`RESCORED` times ``size`` of them get the products of the other terms as well, so that their scores
    are those of :func:`sparse`. What holds light terms alone is not found. The idea is that of OpenSearch's
    ``neural_sparse_two_phase_processor`` (2.15), whose usual share is .4; here both engines do it.
    """
    least = share * max(vector.values())
    strong = {term: weight for term, weight in vector.items() if weight >= least}
    light = {term: weight for term, weight in vector.items() if weight < least}
    found = sparse(strong, filter=filter, field_type=field_type)
    if not light:
        return found
    rest = sparse(light, field_type=field_type)["query"]
    window = min(RESCORED * size, layout.RESULT_WINDOW)
    return {**found, "rescore": {"window_size": window, "query": {"rescore_query": rest}}}


def filtered(query: Body, filter: Filter) -> Body:
    """A query whose hits pass the filter too, which does not score."""
    return {"query": query if filter is None else {"bool": {"must": [query], "filter": [filter]}}}


def both(first: Filter, second: Filter) -> Filter:
    """A filter that passes what both pass; None passes everything."""
    given = [one for one in (first, second) if one is not None]
    return {"bool": {"filter": given}} if len(given) > 1 else next(iter(given), None)


def heaviest(vector: SparseVector, limit: int = MAX_CLAUSES) -> dict[str, float]:
    """The ``limit`` heaviest terms as plain floats, heaviest first, ties by term."""
    ordered = sorted(vector.items(), key=lambda term: (-term[1], term[0]))
    return {term: float(weight) for term, weight in ordered[:limit]}


def passage_search(
    query: Body, *, size: int, timeout: float, carried: Sequence[Body] = (), attached: bool = False
) -> Body:
    """A whole search body that answers with at most ``size`` passage ids and scores, within ``timeout`` seconds.

    Equal scores are in the order of document and passage, also where ``size`` cuts them: an engine's own order is that
    of writing, shard by shard. Among equal neighbours the graph search has chosen before it is sorted. A search that
    the server fuses cannot be sorted so (:func:`fused_search`). ``carried`` are doc values that the hits bring along.
    ``attached`` documents have no ids that can be sorted by: the client puts equal scores in order.
    """
    if attached:
        return {**_document_search(query, size=size, timeout=timeout), "docvalue_fields": list(carried)}
    if "rescore" in query:  # which no engine sorts: the client puts equal scores in order
        return fused_search(query, size=size, timeout=timeout, carried=carried)
    body = {**_ranked(query, size=size, timeout=timeout), "sort": TIES_BY_ID}
    return {**body, "docvalue_fields": list(carried)} if carried else body


def fused_search(query: Body, *, size: int, timeout: float, carried: Sequence[Body] = ()) -> Body:
    """The same for a search that the server fuses, in the server's own order."""
    return {
        **_ranked(query, size=size, timeout=timeout),
        "docvalue_fields": [*({"field": name} for name in (layout.DOC_ID, layout.PASSAGE)), *carried],
    }


def _document_search(query: Body, *, size: int, timeout: float) -> Body:
    return {
        **query,
        "size": size,
        "_source": False,
        "track_total_hits": False,
        "timeout": f"{round(timeout * 1000)}ms",
    }


def _ranked(query: Body, *, size: int, timeout: float) -> Body:
    """The common part: no stored field is read, not even ``_id``, for one is in the same block as the whole source.

    The name of a passage is made of doc values (:func:`passage_id`). With two hundred hits of passages that carry
    vectors a leg takes 2.3 to 3.8 times as long where ``_id`` is read (OpenSearch 3.6), 1.6 times on Elasticsearch 9.5
    (``benchmarks/search/sparse.py``).
    """
    return {
        **query,
        "size": size,
        "stored_fields": "_none_",
        "_source": False,
        "track_total_hits": False,
        "timeout": f"{round(timeout * 1000)}ms",
    }


def passage_id(hit: Mapping[str, Any]) -> str:
    """The id of a hit of these searches: as the engine gives it, or of the doc values that it is sorted by or carries.

    What another program wrote has no document's name: it gets an id that no passage has.
    """
    if "_id" in hit:
        return str(hit["_id"])
    if "sort" in hit:
        _, document, number = hit["sort"]
    else:
        document, number = (hit["fields"].get(name, [""])[0] for name in (layout.DOC_ID, layout.PASSAGE))
    return f"{document or ''}#{number}"


def passage_fetch(passage_ids: Sequence[str], *, timeout: float, copies: int = 1) -> Body:
    """A whole search body that answers with the stored passages of these ids, in no particular order.

    Each of so many indices may have one of an id.
    """
    return {
        "query": {"ids": {"values": list(passage_ids)}},
        "size": min(len(passage_ids) * max(1, copies), layout.RESULT_WINDOW),
        "_source": {"includes": [*layout.STORED, layout.SHOWN_PATH]},
        "track_total_hits": False,
        "timeout": f"{round(timeout * 1000)}ms",
    }


def thumbnail_fetch(ids: Sequence[str], *, timeout: float) -> Body:
    """A whole search body for the thumbnails of documents: a first passage has that of the first image."""
    return {
        "query": {"ids": {"values": [f"{id_}#0" for id_ in ids]}},
        "size": len(ids),
        "_source": {"includes": [layout.DOC_ID, layout.THUMBNAIL_PATH]},
        "track_total_hits": False,
        "timeout": f"{round(timeout * 1000)}ms",
    }


def search_header(*, preference: str | None, dfs: bool) -> dict[str, str]:
    """The line before a search of an ``_msearch``.

    ``preference`` is a name for whose searches go to the same copies of the shards, which differ in deleted documents.
    ``dfs`` asks all shards for the frequencies of the terms first, so that equal documents score alike in all of them.
    """
    kind = {"search_type": "dfs_query_then_fetch"} if dfs else {}
    return kind if preference is None else {**kind, "preference": preference}


def multi_search(
    index: str, bodies: Sequence[Body], *, timeout: float, headers: Sequence[Mapping[str, str]] | None = None
) -> Request:
    """The searches of ``bodies`` in one request, run side by side by the engine, answered in order."""
    heads = [orjson.dumps(header) for header in headers or [{}] * len(bodies)]
    searches = [orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY) for body in bodies]
    lines = b"".join(b"%s\n%s\n" % pair for pair in zip(heads, searches, strict=True))
    return Request("POST", f"/{quote(index, safe='')}/_msearch", body=lines, content_type=NDJSON, timeout=timeout)
