"""Choosing a weighting by judged queries, and saying what it is worth on queries that it was not chosen by.

Every figure that is shown is out of fold: each query is measured with the weighting that the other folds chose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hybrid_search.errors import InputError
from hybrid_search.evaluate.comparison import Comparison, comparisons
from hybrid_search.evaluate.tuning.collected import Collected, QueryRuns
from hybrid_search.evaluate.tuning.ranks import Objective, candidates
from hybrid_search.evaluate.tuning.reranked import Rerankings
from hybrid_search.evaluate.tuning.weighting import Weighting, matrix
from hybrid_search.read import Qrels

FOLDS = 5
FEWEST = 10
"""Judged queries below which nothing can be told."""

CONFIDENT = 0.05

SURE = 2.0
"""Standard errors by which the best of all must beat the settings in use: the best of thousands wins by chance too."""

Floats = NDArray[np.float64]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Fold:
    """A part of the queries: what the others chose for it, and the mean measure in it of that and of the default."""

    queries: int
    chosen: Weighting
    mean: float
    default_mean: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning found.

    Attributes:
        objective: the name of the measure.
        default: the settings in use.
        chosen: what all queries choose.
        folds: each fold's choice and figures, out of fold.
        comparison: out of fold against the default: difference, its 95 % interval, p-value.
        mean: out of fold, over all queries.
        default_mean: of the settings in use, over all queries.
        by_query: out-of-fold value and that of the default, by query id.
        surface: the mean over all queries of every weighting that was tried, without reranking.
        rerankings: how many rerankings were tried over a chosen fusion; 0 without a reranker.
    """

    objective: str
    default: Weighting
    chosen: Weighting
    folds: Sequence[Fold]
    comparison: Comparison
    mean: float
    default_mean: float
    by_query: Mapping[str, tuple[float, float]]
    surface: Mapping[Weighting, float]
    rerankings: int = 0

    @property
    def is_better(self) -> bool:
        """Whether the choice beats the settings in use on queries that it was not made by, beyond chance."""
        interval = self.comparison.interval
        return self.chosen != self.default and interval is not None and interval[0] > 0 and self._is_significant

    @property
    def _is_significant(self) -> bool:
        return self.comparison.p_value < CONFIDENT


def tune(
    collected: Collected,
    qrels: Qrels,
    default: Weighting,
    tried: Sequence[Weighting],
    *,
    objective: str = "nDCG@10",
    folds: int = FOLDS,
    rerankings: Rerankings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tuned:
    """Choose by all queries, and measure the choosing by cross-validation.

    The settings in use stay unless the best weighting is more than two standard errors of the difference above them.
    Else, of the weightings that are not worse than the best by more than one such error, the nearest to the settings in
    use is taken (the rule of Breiman et al., Classification and Regression Trees, 1984). So few queries, whose errors
    are large, change nothing.

    Args:
        collected: the runs of every leg.
        qrels: grade by query id and document id; queries without runs count 0.
        default: the settings in use.
        tried: the weightings to choose from; the default is always one of them.
        objective: a measure of :class:`~hybrid_search.evaluate.tuning.ranks.Objective`.
        folds: how many parts the queries are split into, by a digest of their ids.
        rerankings: chosen from over the chosen fusion, by the same queries; None where nothing is reranked.
        progress: told how many weightings are measured, of how many.

    Raises:
        InputError: fewer than ten judged queries, or fewer than folds; no such measure.
    """
    ids = sorted(id_ for id_ in qrels if id_ in collected.queries)
    if len(ids) < max(FEWEST, folds):
        raise InputError(
            f"{len(ids)} judged queries are too few to tune by",
            remedy=f"Judge at least {max(FEWEST, folds)}; with fewer than 50 the default is seldom beaten",
        )
    wanted = Objective(objective)
    every = [default, *(one for one in tried if one != default)]
    judged = [(collected.queries[id_], qrels[id_]) for id_ in ids]
    values = measured(judged, collected.legs, every, wanted, progress)
    return _tuned(_Choosing(every, values, ids, wanted, rerankings), _fold_of(ids, folds))


def measured(
    judged: Sequence[tuple[QueryRuns, Mapping[str, int]]],
    legs: Sequence[str],
    tried: Sequence[Weighting],
    objective: Objective,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """The measure of each query, given with its grades, for each weighting: shape (queries, weightings)."""
    values = np.empty((len(judged), len(tried)))
    done = 0
    for window, of_window in _grouped(range(len(tried)), lambda place: tried[place].window):
        found = [candidates(runs, legs, grades, window, objective.cutoff) for runs, grades in judged]
        for _, some in _grouped(of_window, lambda place: (tried[place].method, tried[place].rank_constant)):
            weights = matrix([tried[place] for place in some])
            values[:, some] = objective.values(found, tried[some[0]].shape, weights)
            done += len(some)
            if progress is not None:
                progress(done, len(tried))
    return values


def _grouped(places: Iterable[int], key: Callable[[int], K]) -> Iterator[tuple[K, list[int]]]:
    """The places by their key, which need not be in order."""
    groups: dict[K, list[int]] = {}
    for place in places:
        groups.setdefault(key(place), []).append(place)
    yield from groups.items()


def _fold_of(ids: Sequence[str], folds: int) -> NDArray[np.intp]:
    """The fold of each query: the same whatever the order, and whichever other queries there are beside a few."""
    order = sorted(range(len(ids)), key=lambda place: hashlib.sha256(ids[place].encode()).digest())
    fold = np.empty(len(ids), dtype=np.intp)
    fold[order] = np.arange(len(ids)) % folds
    return fold


def choose(every: Sequence[Weighting], values: Floats) -> int:
    """The place of the weighting to take; the first of ``every`` is the default.

    Args:
        every: the weightings.
        values: the measure, shape (queries, weightings).
    """
    means = values.mean(axis=0)
    best = int(means.argmax())
    behind = values - values[:, [best]]
    errors = behind.std(axis=0, ddof=1) / np.sqrt(len(values))
    if means[0] >= means[best] - SURE * errors[0]:
        return 0
    near_best = np.flatnonzero(means >= means[best] - errors).tolist()
    return int(min(near_best, key=lambda place: (every[place].distance(every[0]), -means[place], place)))


@dataclass(frozen=True, slots=True)
class _Choosing:
    """The weightings with the measure of each query, shape (queries, weightings), and what may be reranked."""

    every: Sequence[Weighting]
    values: Floats
    ids: Sequence[str]
    objective: Objective
    rerankings: Rerankings | None

    def default(self) -> tuple[Weighting, Floats]:
        """The settings in use, and their measure of each query."""
        if self.rerankings is None:
            return self.every[0], self.values[:, 0]
        reranked = self.rerankings.values(self.every[0], self.ids, self.objective)
        return self.rerankings.over(self.every[0])[0], reranked[:, 0]

    def by(self, some: NDArray[np.bool_]) -> tuple[Weighting, Floats]:
        """What these queries choose, and its measure of each query, chosen by or not."""
        place = choose(self.every, self.values[some])
        if self.rerankings is None:
            return self.every[place], self.values[:, place]
        reranked = self.rerankings.values(self.every[place], self.ids, self.objective)
        tried = self.rerankings.over(self.every[place])
        chosen = choose(tried, reranked[some])
        return tried[chosen], reranked[:, chosen]


def _tuned(choosing: _Choosing, fold_of: NDArray[np.intp]) -> Tuned:
    ids = choosing.ids
    default, its_values = choosing.default()
    outside = np.empty(len(ids))
    folds = []
    for number in range(fold_of.max() + 1):
        held_out = fold_of == number
        chosen, values = choosing.by(~held_out)
        outside[held_out] = values[held_out]
        folds.append(
            Fold(int(held_out.sum()), chosen, float(values[held_out].mean()), float(its_values[held_out].mean()))
        )
    mine, its = dict(zip(ids, outside.tolist(), strict=True)), dict(zip(ids, its_values.tolist(), strict=True))
    return Tuned(
        objective=choosing.objective.name,
        default=default,
        chosen=choosing.by(np.ones(len(ids), dtype=np.bool_))[0],
        folds=folds,
        comparison=comparisons([mine], its)[0],
        mean=float(outside.mean()),
        default_mean=float(its_values.mean()),
        by_query={id_: (mine[id_], its[id_]) for id_ in ids},
        surface=dict(zip(choosing.every, choosing.values.mean(axis=0).tolist(), strict=True)),
        rerankings=0 if choosing.rerankings is None else len(choosing.rerankings.over(default)),
    )
