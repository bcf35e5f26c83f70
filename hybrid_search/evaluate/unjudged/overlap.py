"""Rank-biased overlap: how much two rankings agree, the first ranks counting most.

Webber, Moffat, Zobel: A Similarity Measure for Indefinite Rankings, ACM TOIS 28(4), 2010.
"""

from __future__ import annotations

from collections.abc import Sequence

from hybrid_search.errors import InputError

PERSISTENCE = 0.9
"""The chance that a reader who has seen a rank looks at the next: the first ten ranks have 86 % of the weight."""


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], persistence: float = PERSISTENCE) -> float:
    """The extrapolated overlap of two rankings, from 0 (nothing in common) to 1 (the same).

    Equation 32 of the paper: with ``s`` and ``l`` the lengths of the shorter and the longer ranking, ``X_d`` the size
    of the overlap of their first ``d`` ids, and ``p`` the persistence::

        (1 - p) / p * (sum of X_d / d * p^d for d from 1 to l
                       + sum of X_s * (d - s) / (s * d) * p^d for d from s + 1 to l)
        + ((X_l - X_s) / l + X_s / s) * p^l

    So the agreement at the end of what is seen is taken to go on. Two empty rankings agree; an empty one and another
    do not.

    Args:
        first: ids in rank order, each once.
        second: the same of the other ranking.
        persistence: above 0, below 1; the larger, the more further ranks count.

    Raises:
        InputError: a persistence out of range, or an id that a ranking has twice.
    """
    _check(first, second, persistence)
    shorter, longer = sorted((first, second), key=len)
    if not shorter:
        return 1.0 if not longer else 0.0
    overlaps = _overlaps(shorter, longer)
    short, long = len(shorter), len(longer)
    at_short, at_long = overlaps[short - 1], overlaps[long - 1]
    seen = sum(overlap / depth * persistence**depth for depth, overlap in enumerate(overlaps, start=1))
    unseen = sum(
        at_short * (depth - short) / (short * depth) * persistence**depth for depth in range(short + 1, long + 1)
    )
    beyond = ((at_long - at_short) / long + at_short / short) * persistence**long
    return (1 - persistence) / persistence * (seen + unseen) + beyond


def _overlaps(shorter: Sequence[str], longer: Sequence[str]) -> list[int]:
    """How many ids the first ``d`` of both share, for each depth ``d`` of the longer."""
    overlaps, mine, its = [], set[str](), set[str]()
    for depth, id_ in enumerate(longer):
        its.add(id_)
        mine.update(shorter[depth : depth + 1])
        overlaps.append(len(mine & its))
    return overlaps


def _check(first: Sequence[str], second: Sequence[str], persistence: float) -> None:
    if not 0 < persistence < 1:
        raise InputError(f"a persistence of {persistence}", remedy="Give a number between 0 and 1; .9 is usual")
    if any(len(set(ids)) < len(ids) for ids in (first, second)):
        raise InputError("a ranking has an id twice", remedy="Rank each document once")
