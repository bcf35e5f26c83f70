"""Whether a difference between two systems could be chance, and how large it may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

EXACT = 14
"""Queries up to which every assignment of signs is counted: 16,384 of them."""

ROUNDS = 20_000
RESAMPLES = 5_000
SEED = 20090719
CHUNK = 1_000


def randomisation_p(first: Mapping[str, float], second: Mapping[str, float], *, rounds: int = ROUNDS) -> float:
    """Two-sided p-value of a paired randomisation test on the difference of means.

    Under the null hypothesis each query's two values could as well be exchanged. Up to :data:`EXACT` queries all
    assignments are counted and the p-value is exact; beyond, the sign of every difference is drawn ``rounds`` times,
    the seed is fixed, and the observed assignment counts as one round. Smucker, Allan, Carterette: A Comparison of
    Statistical Significance Tests for Information Retrieval Evaluation, CIKM 2007.

    Args:
        first: the measure of one system by query id.
        second: that of the other, for the same queries.
        rounds: how often signs are drawn.
    """
    differences = _differences(first, second)
    observed = abs(differences.sum()) - 1e-12
    if len(differences) <= EXACT:
        sums = np.abs(_every_sign(len(differences)) @ differences)
        return float((sums >= observed).mean())
    generator = np.random.default_rng(SEED)
    as_extreme = 0
    for size in _chunks(rounds):
        signs = generator.integers(0, 2, size=(size, len(differences)), dtype=np.int8) * 2 - 1
        as_extreme += int((np.abs(signs @ differences) >= observed).sum())
    return (as_extreme + 1) / (rounds + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several comparisons, corrected so that the chance of any false finding keeps its level.

    In ascending order the i-th of m is multiplied by m - i + 1, and none is less than the one before or more than 1.
    Holm: A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6(2), 1979.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for passed, place in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - passed)))
        corrected[place] = largest
    return corrected


def difference_interval(
    first: Mapping[str, float], second: Mapping[str, float], *, level: float = 0.95, rounds: int = RESAMPLES
) -> tuple[float, float] | None:
    """A confidence interval of the difference of means: ``first - second``, by the paired bootstrap's percentiles.

    Queries are drawn with replacement ``rounds`` times. Sakai: Evaluating Evaluation Metrics based on the Bootstrap,
    SIGIR 2006. None for fewer than two queries, which say nothing about others.

    Args:
        first: the measure of one system by query id.
        second: that of the other, for the same queries.
        level: how often such an interval holds the true difference.
        rounds: how often queries are drawn.
    """
    differences = _differences(first, second)
    if len(differences) < 2:
        return None
    generator = np.random.default_rng(SEED)
    drawn = [
        differences[generator.integers(0, len(differences), size=(size, len(differences)))].mean(axis=1)
        for size in _chunks(rounds)
    ]
    low, high = np.percentile(np.concatenate(drawn), [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def _differences(first: Mapping[str, float], second: Mapping[str, float]) -> NDArray[np.float64]:
    return np.array([first[query_id] - second[query_id] for query_id in first], dtype=np.float64)


def _every_sign(count: int) -> NDArray[np.int8]:
    """All assignments of -1 and 1 to ``count`` differences, shape (2 ** count, count)."""
    bits = np.arange(2**count)[:, None] >> np.arange(count) & 1
    return (bits * 2 - 1).astype(np.int8)


def _chunks(rounds: int) -> Iterator[int]:
    return (min(CHUNK, rounds - begin) for begin in range(0, rounds, CHUNK))
