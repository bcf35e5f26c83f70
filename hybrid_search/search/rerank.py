"""Reranking that does not throw the first stage away.

A reranker alone can be worse than the fusion that fed it (MaxSim over MiniLM loses .009 nDCG@10 on SciFact). Its
scores are therefore combined with the fused ones; a weight of 1 replaces them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid_search.errors import ModelError, QueryError
from hybrid_search.records import RerankScore
from hybrid_search.search.fusion import Fused

MAX_WINDOW = 1000

_ANOTHER = "Look at the model, or set rerank.model to another or to none"


@dataclass(frozen=True, slots=True)
class Reranking:
    """Rerank the first ``window`` hits; ``weight`` is the reranker's share of the combined score, 1 replaces.

    ``stored`` is set by a search whose index has the token states that its reranker compares, ``together`` by one whose
    reranker takes pairs of many queries.

    Raises:
        QueryError: a window below 1 or above MAX_WINDOW, a weight outside 0 to 1.
    """

    window: int = 50
    weight: float = 0.5
    stored: bool = False
    together: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.window <= MAX_WINDOW:
            raise QueryError(
                f"a rerank window of {self.window} hits", remedy=f"Give a number from 1 to {MAX_WINDOW}; 50 is usual."
            )
        if not 0 <= self.weight <= 1:
            raise QueryError(
                f"a rerank weight of {self.weight}", remedy="Give a number from 0 (first stage only) to 1 (replace)."
            )


@dataclass(frozen=True, slots=True)
class Reranked:
    """A fused hit after reranking; ``rerank`` is None below the window."""

    hit: Fused
    score: float
    rerank: RerankScore | None


def combine(fused: Sequence[Fused], scores: Sequence[float], weight: float, *, above: int = 0) -> list[Reranked]:
    """The fused ranking with its first ``len(scores)`` hits reranked, by descending combined score.

    Within the window ``combined = (1 - weight) * first + weight * reranker``, both min-max over the window. Hits
    below it keep their order and score ``(1 - weight) * first``, which is at most 0: the same line drawn on, with
    the reranker's worst score. Ties keep the order of the first stage.

    Args:
        fused: the first stage, in rank order.
        scores: the reranker's scores of ``fused[:len(scores)]``, higher is better.
        weight: the reranker's share, from 0 to 1.
        above: hits that stand above these and are not reranked.
    """
    window = len(scores)
    first = unit_scaled([hit.score for hit in fused], window)
    scores = [float(score) for score in scores]  # they may be numpy's, which JSON does not know
    second = unit_scaled(scores, window)
    combined = [(1 - weight) * f + weight * s for f, s in zip(first, second, strict=False)]
    within = [
        Reranked(hit, value, RerankScore(rank_before=rank, score=score, combined=value))
        for rank, (hit, value, score) in enumerate(zip(fused, combined, scores, strict=False), start=above + 1)
    ]
    below = [
        Reranked(hit, (1 - weight) * value, None) for hit, value in zip(fused[window:], first[window:], strict=True)
    ]
    return sorted(within, key=lambda hit: -hit.score) + below


def lines_below(ranked: Sequence[Reranked], hits: Sequence[Fused], weight: float) -> list[Reranked]:
    """Further hits of the first stage, in its order: below reranked ones on the line that :func:`combine` draws on."""
    window = [one.hit.score for one in ranked if one.rerank is not None]
    if not window:
        return [Reranked(hit, hit.score, None) for hit in hits]
    low, span = min(window), max(window) - min(window)
    factor = (1 - weight) / span if span > 0 else 0.0
    return [Reranked(hit, hit.score if hit.placed else factor * (hit.score - low), None) for hit in hits]


def checked_scores(scores: Any, count: int) -> list[float]:
    """A reranker's scores of ``count`` passages as plain floats.

    Raises:
        ModelError: there are more or fewer, in another shape, or one is no finite number.
    """
    try:
        found = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the reranker gave no numbers: {error}", remedy=_ANOTHER) from error
    if found.shape != (count,):
        raise ModelError(f"the reranker gave scores of shape {found.shape} for {count} passages", remedy=_ANOTHER)
    if wrong := int((~np.isfinite(found)).sum()):
        raise ModelError(f"the reranker gave {wrong} of {count} scores that are not finite", remedy=_ANOTHER)
    return [float(score) for score in found]


def unit_scaled(values: Sequence[float], window: int) -> list[float]:
    """``values`` scaled so that the first ``window`` of them span 0 to 1 (all 0 where they are equal)."""
    low, high = min(values[:window], default=0.0), max(values[:window], default=0.0)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]
