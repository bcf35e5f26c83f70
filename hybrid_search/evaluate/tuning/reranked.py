"""The reranker's weight and window, measured over a fused ranking; each pair of query and passage is scored once.

The fusion is chosen first and the reranking over it, both by the same queries, so that what is out of fold for the one
is so for the other. Choosing both together would ask for the reranker's score of everything that any fusion ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hybrid_search.evaluate.tuning.collected import Collected, QueryRuns
from hybrid_search.evaluate.tuning.ranks import Floats, Objective, falling
from hybrid_search.evaluate.tuning.ruled import signals_in
from hybrid_search.evaluate.tuning.weighting import Weighting
from hybrid_search.read import Qrels
from hybrid_search.search.fusion import Fused, fuse
from hybrid_search.search.rerank import Reranking, unit_scaled

WEIGHTS = tuple(step / 10 for step in range(11))
RERANK_WINDOWS = (10, 20, 50, 100)

ScorePassages = Callable[[str, Sequence[str]], Sequence[float]]
"""The reranker's scores of passages, by their ids, for the query of an id."""


@dataclass(frozen=True, slots=True)
class Rerankings:
    """What rerankings of fused rankings are worth.

    Attributes:
        collected: the runs, with the passages by which documents were found.
        qrels: grade by query id and document id.
        score: asked once for each passage of a ranking.
        in_use: the window and weight of the settings.
        weights: the reranker's shares that are tried.
        windows: the hits that are tried to be reranked; those beyond a search's window are left out.
    """

    collected: Collected
    qrels: Qrels
    score: ScorePassages
    in_use: Reranking
    weights: Sequence[float] = WEIGHTS
    windows: Sequence[int] = RERANK_WINDOWS
    progress: Callable[[int], None] = field(default=lambda _: None)
    _measured: dict[Weighting, Floats] = field(default_factory=dict)

    def over(self, weighting: Weighting) -> list[Weighting]:
        """The weighting with each reranking; the first is that in use, as a search of this window does it."""
        usual = Reranking(min(self.in_use.window, weighting.window), self.in_use.weight)
        tried = [Reranking(n, weight) for n in self.windows if n <= weighting.window for weight in self.weights]
        every = [usual, *(one for one in tried if one != usual)]
        return [replace(weighting, reranking=one) for one in every]

    def values(self, weighting: Weighting, ids: Sequence[str], objective: Objective) -> Floats:
        """The measure of each query for each of :meth:`over`: shape (queries, rerankings)."""
        if weighting not in self._measured:
            rows = []
            for id_ in ids:
                rows.append(self._of_query(weighting, id_, objective))
                self.progress(len(ids))
            self._measured[weighting] = np.array(rows)
        return self._measured[weighting]

    def _of_query(self, weighting: Weighting, id_: str, objective: Objective) -> Floats:
        rerankings = [one.reranking for one in self.over(weighting) if one.reranking is not None]
        runs, legs = self.collected.queries[id_], self.collected.legs
        fused = fused_by(runs, weighting, legs)
        grades = self.qrels[id_]
        found = Found([hit.id for hit in fused], grades)
        if not found.places:
            return np.zeros(len(rerankings))
        pool = fused[: max(one.window for one in rerankings)]
        scores = self.score(id_, [passage_of(runs, hit, legs) for hit in pool])
        first = [hit.score for hit in fused]
        ranks = np.stack([reranked_places(first, scores, one) for one in rerankings], axis=1)
        return objective.of(found, ranks[found.places] + 1.0)


@dataclass(frozen=True, slots=True)
class Found:
    """The relevant documents of a ranking of ids: their places in it, counted from 0, and their grades."""

    ids: Sequence[str]
    judged: Mapping[str, int]

    @property
    def places(self) -> list[int]:
        """Of the relevant ones."""
        return [place for place, id_ in enumerate(self.ids) if self.judged.get(id_, 0) > 0]

    @property
    def grades(self) -> Floats:
        """Of the relevant ones that are ranked."""
        return np.array([self.judged[self.ids[place]] for place in self.places], dtype=np.float64)

    @property
    def all_grades(self) -> Floats:
        """Of every relevant document, the highest first."""
        return falling(self.judged)


def fused_by(runs: QueryRuns, weighting: Weighting, legs: Sequence[str]) -> Sequence[Fused]:
    """The ranking that a search of this window has of the runs."""
    window = weighting.window
    cut = {leg: runs.runs[leg][:window] for leg in legs if leg in runs.runs}
    missing = {leg: score for leg, score in runs.missing.items() if len(runs.runs.get(leg, ())) < window}
    of_query = weighting.for_query(signals_in(runs, legs, window), legs)
    return fuse(cut, of_query.fusion(legs), missing=missing)


def passage_of(runs: QueryRuns, hit: Fused, legs: Sequence[str]) -> str:
    """The passage that stands for a hit: that of the leg which contributed most, ties in order of legs."""
    leg = max((leg for leg in legs if leg in hit.legs), key=lambda leg: hit.legs[leg].contribution)
    return runs.passages[leg][hit.id]


def reranked_places(first: Sequence[float], scores: Sequence[float], reranking: Reranking) -> Floats:
    """Where each hit of the first stage stands after :func:`~hybrid_search.search.rerank.combine`, from 0."""
    window = min(reranking.window, len(first))
    before = np.array(unit_scaled(first[:window], window))
    reranker = np.array(unit_scaled(scores[:window], window))
    combined = (1 - reranking.weight) * before + reranking.weight * reranker
    places = np.arange(len(first), dtype=np.float64)
    places[np.argsort(-combined, kind="stable")] = np.arange(window)
    return places
