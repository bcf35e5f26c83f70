"""What fine-tuning is given and what it gives; no torch here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OnProgress = Callable[[str, int, int], None]
"""Told a step, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Passages of an index, those of one document side by side.

    Attributes:
        ids: of passages.
        documents: the document of each.
        texts: as models read them.
        titles: of their documents, empty where there is none.
        total: passages of the whole index.
    """

    ids: Sequence[str]
    documents: Sequence[str]
    texts: Sequence[str]
    titles: Sequence[str]
    total: int

    @property
    def is_whole(self) -> bool:
        """Whether all passages of the index are here."""
        return len(self.ids) >= self.total

    def rows(self) -> dict[str, list[int]]:
        """Places of the passages of each document."""
        found: dict[str, list[int]] = {}
        for place, document in enumerate(self.documents):
            found.setdefault(document, []).append(place)
        return found


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


@dataclass(frozen=True, slots=True)
class Validation:
    """What a model is measured by while it is trained.

    Attributes:
        queries: held out.
        passages: all that are ranked, as models read them.
        fused: the fused nDCG@10 of scores, shape (queries, passages), higher is better.
    """

    queries: Sequence[str]
    passages: Sequence[str]
    fused: Callable[[NDArray[np.float32]], float]
