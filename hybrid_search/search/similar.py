"""Documents like one of the index: ``client.more_like(doc_id)``, by what is stored of it, with nothing encoded again.

Dense: the stored vector; of several passages the mean of their unit vectors, which points where they point together.
Sparse: the stored weights; of several passages the largest of each term, as SPLADE pools over tokens. BM25: the words
that set the document apart, by term frequency times inverse document frequency, which the engine picks
(``more_like_this``) out of all passages. The document itself is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hybrid_search.engine import layout
from hybrid_search.errors import HybridSearchError, QueryError
from hybrid_search.records import IndexSchema, Query, SearchResult, SparseVector, Vector
from hybrid_search.search import legs, procedure
from hybrid_search.search.asking import Budget
from hybrid_search.search.cursor_seal import refuse_cursor
from hybrid_search.search.plan import check_query
from hybrid_search.search.query_syntax import ReadQuery
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.retrieve import passing
from hybrid_search.search.searcher import Searcher
from hybrid_search.search.similar_held import HeldPassage, check_document_id, held_passages, nearest_ids
from hybrid_search.search.steps import Steps
from hybrid_search.search_warnings import SearchWarning, WarningCode

WORDS = 25
"""Words of a document that BM25 searches for: ``max_query_terms`` of both engines by default."""

LEAST_PASSAGES = 2
"""A word that no other passage has finds nothing."""


def more_like(searcher: Searcher, id_: str, request: SearchRequest) -> Steps[SearchResult]:
    """The procedure that finds documents like one; reranked only where ``rerank`` is asked for.

    Raises:
        QueryError: an id that no document could have, or an option that a search refuses, before anything is sent; or
            the index has no such document: ids that look like it are named.
        EngineError: nothing could be searched.
    """
    check_document_id(id_)
    refuse_cursor(request, "Leave it out: offset gives further pages")
    request = replace(request, rerank=False if request.rerank is None else request.rerank, syntax="text")
    plan, target, given = searcher.planned(request)
    passing(given, target.schema)  # what it refuses is refused before anything is sent
    budget = Budget(plan.timeout)
    passages = yield from held_passages(id_, target, budget)
    if not passages:
        near = yield from nearest_ids(id_, target, budget)
        remedy = f"Did you mean {', '.join(map(repr, near))}?" if near else None
        raise QueryError(f"no document has the id {id_!r}", where=target.where, remedy=remedy)
    query = replace(likeness(id_, passages, target.schema), filter=given.filter, now=given.now)
    has_words = bool(query.text.strip())  # an image without a caption has none
    able = tuple(
        leg
        for leg in plan.legs
        if leg.part is None or (has_words if leg.part == "text" else getattr(query, leg.part) is not None)
    )
    plan = replace(plan, legs=able)
    check_query(query, plan, target.schema, ())
    [found] = yield from procedure.search([query], plan, target, reranker=searcher.reranker_name, budget=budget)
    if isinstance(found, HybridSearchError):
        raise found
    return replace(found, warnings=(*_cut(passages), *found.warnings))


def likeness(id_: str, passages: Sequence[HeldPassage], schema: IndexSchema) -> Query:
    """What is searched for: a query with vectors, whose words BM25 takes from the stored passages."""
    dense = [passage.dense for passage in passages if passage.dense is not None]
    sparse = [passage.sparse for passage in passages if passage.sparse is not None]
    text = passages[0].text
    read = ReadQuery(text, "", scored=(words_of(passages, schema),), excluded=(layout.document_clause(id_, schema),))
    return Query(text, mean(dense) if dense else None, largest(sparse) if sparse else None, id=id_, read=read)


def words_of(passages: Sequence[HeldPassage], schema: IndexSchema) -> legs.Body:
    """The clause of BM25: any of the words that set the passages apart, as their own analyzer makes them."""
    return {
        "more_like_this": {
            "fields": layout.whole_text_paths(schema),
            "like": [{"_id": one.id} if schema.attached is None else one.text for one in passages],
            "max_query_terms": WORDS,
            "min_term_freq": 1,
            "min_doc_freq": LEAST_PASSAGES,
            "minimum_should_match": "1",
        }
    }


def mean(vectors: Sequence[Vector]) -> Vector:
    """The mean of the unit vectors, float32 of shape (dimension,); the first one where they cancel each other out."""
    stacked = np.stack(vectors).astype(np.float64)
    middle = (stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).mean(axis=0).astype(np.float32)
    return middle if middle.any() else vectors[0]


def largest(vectors: Sequence[SparseVector]) -> dict[str, float]:
    """For each term its largest weight."""
    found: dict[str, float] = {}
    for vector in vectors:
        for term, weight in vector.items():
            found[term] = max(weight, found.get(term, 0.0))
    return found


def _cut(passages: Sequence[HeldPassage]) -> list[SearchWarning]:
    looked_at, there = len(passages), passages[0].of
    if there <= looked_at:
        return []
    return [SearchWarning(f"looked at the first {looked_at} of its {there:,} passages", WarningCode.QUERY_CUT)]
