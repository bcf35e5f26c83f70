"""What a reranker answers to a step that asks it."""

from __future__ import annotations

from typing import Any

from hybrid_search.encode.protocols import PairReranker, Reranker, StoredReranker, score_pairs
from hybrid_search.search.steps import Score, ScorePairs


def scored_by(reranker: Reranker, step: Score | ScorePairs) -> Any:
    """Scores of shape (n,), as the model gives them: of stored token states where the step has them."""
    if isinstance(step, ScorePairs):
        return score_pairs(reranker, step.pairs)
    if step.stored and isinstance(reranker, StoredReranker):
        return reranker.score_stored(step.query, step.stored)
    return reranker.score(step.query, step.passages)


def takes_pairs(reranker: Reranker | None) -> bool:
    """Whether it scores pairs of many queries together."""
    return isinstance(reranker, PairReranker)
