"""Maximal marginal relevance: a list whose hits are relevant and unlike each other.

Carbonell, Goldstein: The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries, SIGIR
1998. Of the hits not yet chosen, the next is the one with the largest

    (1 - weight) * relevance - weight * max(cosine to each of those above it)

``relevance`` is the hit's score, boosted and reranked, min-max over the window; the cosine is that of the stored
vectors of the passages that stand for the documents. Nothing is above the first. Equals keep their order.

Pure functions on numbers; the stage is in :mod:`hybrid_search.search.diversity`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hybrid_search.errors import QueryError
from hybrid_search.records import IndexSchema

MAX_WINDOW = 1000


@dataclass(frozen=True, slots=True)
class Mmr:
    """Spread the first ``window`` hits; ``weight`` is what unlikeness counts, 0 nothing, 1 everything.

    The window is the same for every page: hits beyond it keep their order.

    Raises:
        QueryError: a weight outside 0 to 1, a window below 1 or above MAX_WINDOW.
    """

    weight: float = 0.3
    window: int = 50

    def __post_init__(self) -> None:
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not 0 <= self.weight <= 1:
            remedy = "Give a number from 0 (relevance alone) to 1 (unlikeness alone); .3 is usual."
            raise QueryError(f"a diversity of {self.weight!r}", remedy=remedy)
        if isinstance(self.window, bool) or not isinstance(self.window, int) or not 1 <= self.window <= MAX_WINDOW:
            remedy = f"Give a number from 1 to {MAX_WINDOW}; 50 is usual."
            raise QueryError(f"a diversity window of {self.window!r} hits", remedy=remedy)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The place of a hit in the window, its largest cosine to one above it, and what it was chosen for."""

    place: int
    similarity: float
    score: float


def plan_diversity(given: float | Mmr | None, schema: IndexSchema) -> Mmr | None:
    """What was asked for as a whole; QueryError where the index has no vectors to compare."""
    if given is None:
        return None
    mmr = given if isinstance(given, Mmr) else Mmr(given)
    if schema.dense is None:
        remedy = "Use max_per, or index again with a dense model."
        raise QueryError("diversity compares dense vectors, of which the index holds none", remedy=remedy)
    return mmr


def chosen(
    relevance: Sequence[float],
    vectors: npt.NDArray[np.float64],
    weight: float,
    *,
    above: int = 0,
    may_follow: Callable[[int], bool] = lambda _: True,
) -> Iterator[Chosen]:
    """The hits in the order in which they are chosen.

    Args:
        relevance: from 0 to 1, in the order of rank.
        vectors: of shape (above + hits, dimension): those of hits that stand above in any case, then the hits'. A row
            of zeros, for a vector that is not there, is like no other.
        weight: what unlikeness counts.
        above: how many stand above in any case.
        may_follow: asked for each hit that would be next; one that may not is left out.
    """
    units = _units(vectors)
    values = np.asarray(relevance, dtype=np.float64)
    left = np.ones(len(values), dtype=bool)
    nearest = np.full(len(values), -np.inf)
    for row in units[:above]:
        nearest = np.maximum(nearest, units[above:] @ row)
    while left.any():
        similarity = np.where(np.isneginf(nearest), 0.0, nearest)
        scores = np.where(left, (1 - weight) * values - weight * similarity, -np.inf)
        place = int(np.argmax(scores))
        left[place] = False
        if may_follow(place):
            yield Chosen(place, float(similarity[place]), float(scores[place]))
            nearest = np.maximum(nearest, units[above:] @ units[above + place])


def _units(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
