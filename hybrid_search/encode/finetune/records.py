"""What training is given, and what it gives back; no torch here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OnProgress = Callable[[str, int, int], None]
"""Told a step's name, how much of it is done, and how much there is."""

Score = Callable[[str, Sequence[str]], NDArray[np.float32]]
"""Scores of shape (n,) of n passages for a query, higher is better."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, a passage that answers it, and passages that look as if they did.

    ``margins`` are what a teacher gives the positive above each negative, in standard deviations of its scores.
    """

    query_id: str
    query: str
    document: str
    positive: str
    negatives: tuple[str, ...] = ()
    margins: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Validation:
    """What a model is looked at by while it is trained.

    Attributes:
        queries: texts of n queries.
        passages: texts of m passages, as models read them.
        measure: fused nDCG@10 by scores of shape (n, m), higher is better.
    """

    queries: Sequence[str]
    passages: Sequence[str]
    measure: Callable[[NDArray[np.float32]], float]


@dataclass(frozen=True, slots=True)
class Step:
    """A look at the validation queries: the step, and fused nDCG@10 there."""

    step: int
    fused: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """How training went: looks, the best of them, why it ended, seconds, and the largest resident memory in MiB.

    ``resumed`` is the step from which a run that was broken off went on.
    """

    steps: Sequence[Step]
    best: Step
    ended: str
    seconds: float
    mebibytes: float
    resumed: int | None = None
