"""Scores of queries and passages as the engines give them, over vectors in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybrid_search.records import SparseVector


def dense_scores(queries: NDArray[np.float32], passages: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(1 + cosine) / 2`` as both engines give it, (queries, passages), of vectors (n, dimension)."""
    units = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (queries, passages)]
    scores: NDArray[np.float32] = (1 + units[0] @ units[1].T) / 2
    return scores


def as_stored(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights as ``rank_features`` keep them: the rest of the mantissa behind 8 bits is cut (Lucene's FeatureField)."""
    return (weights.view(np.int32) >> 15 << 15).view(np.float32)


def sparse_scores(queries: Sequence[SparseVector], passages: Sequence[SparseVector]) -> NDArray[np.float32]:
    """Dot products of sparse vectors, those of passages as an index keeps them, (queries, passages)."""
    terms = {term: place for place, term in enumerate(dict.fromkeys(t for one in passages for t in one))}
    ids = np.array([terms[term] for one in passages for term in one], np.intp)
    weights = as_stored(np.array([weight for one in passages for weight in one.values()], np.float32))
    rows = np.repeat(np.arange(len(passages)), [len(one) for one in passages])
    scores = np.zeros((len(queries), len(passages)), np.float32)
    for place, query in enumerate(queries):
        wanted = np.zeros(len(terms), np.float32)
        for term, weight in query.items():
            if term in terms:
                wanted[terms[term]] = weight
        scores[place] = np.bincount(rows, weights * wanted[ids], len(passages))
    return scores
