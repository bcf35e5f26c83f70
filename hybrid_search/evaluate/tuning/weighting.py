"""The ways to fuse that tuning looks at: a method, a rank constant, a window, and weights that sum to 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hybrid_search.search.fusion import METHODS, RANK_CONSTANT, Fusion
from hybrid_search.search.rerank import Reranking
from hybrid_search.weight_rules import Signals, WeightRule

STEPS = 20
"""Steps between 0 and 1 in which weights are tried: .05."""

RANK_CONSTANTS = (5, 10, 20, 40, 60, 100)
WINDOWS = (50, 100, 200)

OTHER_METHOD = 0.5
OTHER_CONSTANT = 0.1
OTHER_WINDOW = 0.1
OTHER_RULE = 0.1
"""How far apart two weightings are that differ in nothing else, where weights that share no leg are 2 apart."""


@dataclass(frozen=True, slots=True)
class Weighting:
    """One way to fuse.

    Attributes:
        method: one of :data:`~hybrid_search.search.fusion.METHODS`.
        weights: a share for each leg, in the order of the legs; they sum to 1.
        rank_constant: of reciprocal ranks; of no matter for other methods.
        window: documents that each leg ranks.
        reranking: of the fused ranking; None for none.
        rules: that give some queries other weights; those too sum to 1, where tuning made them.
    """

    method: str
    weights: tuple[float, ...]
    rank_constant: int = RANK_CONSTANT
    window: int = 100
    reranking: Reranking | None = None
    rules: tuple[WeightRule, ...] = ()

    @property
    def shape(self) -> Weighting:
        """What decides what each rank is worth: everything but the weights."""
        return replace(self, weights=(), rules=())

    def fusion(self, legs: Sequence[str]) -> Fusion:
        """The fusion that searches take."""
        return Fusion(self.method, dict(zip(legs, self.weights, strict=True)), self.rank_constant, self.rules)

    def for_query(self, signals: Signals, legs: Sequence[str]) -> Weighting:
        """The weighting of one query, without rules."""
        if not self.rules:
            return self
        weights = self.fusion(legs).for_query(signals, legs).weights
        return replace(self, weights=tuple(weights[leg] for leg in legs), rules=())

    def distance(self, other: Weighting) -> float:
        """How much a user would see change: from 0 for the same, 2 for weights that share no leg, more for more."""
        weights = sum(abs(mine - its) for mine, its in zip(self.weights, other.weights, strict=True))
        constants = self.rank_constant != other.rank_constant
        differs = (
            OTHER_METHOD * (self.method != other.method)
            + OTHER_CONSTANT * (self.method == other.method == "rrf" and constants)
            + OTHER_WINDOW * (self.window != other.window)
        )
        return weights + differs + _reranked_apart(self.reranking, other.reranking) + _ruled_apart(self, other)


def _reranked_apart(mine: Reranking | None, its: Reranking | None) -> float:
    """A reranker's share counts like that of a leg; no reranking is a share of 0."""
    if mine is None or its is None:
        return sum(one.weight for one in (mine, its) if one is not None)
    return abs(mine.weight - its.weight) + OTHER_WINDOW * (mine.window != its.window)


def _ruled_apart(mine: Weighting, its: Weighting) -> float:
    """Rules count for being there, and by how far their weights are from those of all other queries."""
    if mine.rules == its.rules:
        return 0.0
    return OTHER_RULE + sum(
        abs(weight - usual)
        for one in (mine, its)
        for rule in one.rules
        for (_, weight), usual in zip(rule.weights, one.weights, strict=False)  # those of tuning name all legs
    )


def weighting_of(fusion: Fusion, legs: Sequence[str], window: int) -> Weighting:
    """What a fusion does with ``legs``, its weights scaled to sum to 1, which changes no ranking."""
    shares = fusion.shares(legs)
    total = sum(shares.values())
    weights = tuple(shares[leg] / total for leg in legs)
    constant = fusion.rank_constant if fusion.by_ranks else RANK_CONSTANT
    return Weighting(fusion.method, weights, constant, window, rules=_scaled(fusion.among(legs), total))


def _scaled(fusion: Fusion, total: float) -> tuple[WeightRule, ...]:
    """The rules, their weights scaled as those of all queries are, which they may be mixed with."""
    return tuple(
        replace(rule, weights=tuple((leg, weight / total) for leg, weight in rule.weights)) for rule in fusion.rules
    )


def weightings(
    legs: int, *, steps: int = STEPS, windows: Sequence[int] = WINDOWS, methods: Sequence[str] = tuple(METHODS)
) -> list[Weighting]:
    """Every method with every window and all weights on the grid: 231 for three legs and steps of .05.

    Args:
        legs: how many legs there are.
        steps: how many steps there are between a weight of 0 and one of 1.
        windows: documents that each leg ranks.
        methods: names of fusion methods.
    """
    grid = list(simplex(legs, steps))
    shapes = [
        (method, constant)
        for method in methods
        for constant in (RANK_CONSTANTS if method == "rrf" else (RANK_CONSTANT,))
    ]
    return [
        Weighting(method, weights, constant, window)
        for (method, constant), window, weights in product(shapes, windows, grid)
    ]


def simplex(legs: int, steps: int) -> Iterator[tuple[float, ...]]:
    """All weights of ``legs`` legs that are multiples of ``1 / steps`` and sum to 1."""
    for parts in _parts(legs, steps):
        yield tuple(part / steps for part in parts)


def _parts(count: int, total: int) -> Iterator[tuple[int, ...]]:
    if count == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _parts(count - 1, total - first):
            yield (first, *rest)


def matrix(some: Sequence[Weighting]) -> NDArray[np.float64]:
    """The weights of weightings, shape (weightings, legs)."""
    return np.array([one.weights for one in some], dtype=np.float64)
