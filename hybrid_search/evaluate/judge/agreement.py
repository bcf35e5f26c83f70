"""How far two judges agree beyond what chance gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence


def cohens_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """``(p_o - p_e) / (1 - p_e)``: observed agreement against that of two judges who give their labels by chance.

    Cohen: A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20(1), 1960.

    Args:
        first: the labels of one judge.
        second: those of the other, for the same things.

    Returns:
        1 for full agreement, 0 for as much as by chance, less for less; None where there is nothing to compare, or both
        gave one and the same label throughout, which chance alone explains.
    """
    count = len(first)
    if not count:
        return None
    observed = sum(mine == its for mine, its in zip(first, second, strict=True)) / count
    mine, its = Counter(first), Counter(second)
    expected = sum(mine[label] * its[label] for label in mine) / count**2
    return None if expected >= 1 else (observed - expected) / (1 - expected)
