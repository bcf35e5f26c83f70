"""Whether a difference between two systems could be chance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

ROUNDS = 20_000
SEED = 20090719
CHUNK = 1_000


def randomisation_p(first: Mapping[str, float], second: Mapping[str, float], *, rounds: int = ROUNDS) -> float:
    """Two-sided p-value of a paired randomisation test on the difference of means.

    Under the null hypothesis each query's two values could as well be exchanged: the sign of every difference is
    drawn ``rounds`` times. Smucker, Allan, Carterette: A Comparison of Statistical Significance Tests for
    Information Retrieval Evaluation, CIKM 2007. The seed is fixed; the observed assignment counts as one round.

    Args:
        first: the measure of one system by query id.
        second: that of the other, for the same queries.
        rounds: how often signs are drawn.
    """
    differences = np.array([first[query_id] - second[query_id] for query_id in first])
    observed = abs(differences.sum())
    generator = np.random.default_rng(SEED)
    as_extreme = 0
    for begin in range(0, rounds, CHUNK):
        shape = (min(CHUNK, rounds - begin), len(differences))
        signs = generator.integers(0, 2, size=shape, dtype=np.int8) * 2 - 1
        as_extreme += int((np.abs(signs @ differences) >= observed - 1e-12).sum())
    return (as_extreme + 1) / (rounds + 1)
