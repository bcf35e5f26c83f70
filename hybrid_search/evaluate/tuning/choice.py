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
from hybrid_search.evaluate.tuning.ruled import Rules, signals_in
from hybrid_search.evaluate.tuning.weighting import Weighting, matrix
from hybrid_search.read import Qrels
from hybrid_search.weight_rules import WeightRule

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
        trial: what a rule for some queries is worth over the choice without; None where none was tried.
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
    trial: RuleTrial | None = None

    @property
    def is_better(self) -> bool:
        """Whether the choice beats the settings in use on queries that it was not made by, beyond chance."""
        return self.chosen != self.default and is_beyond_chance(self.comparison)


def is_beyond_chance(comparison: Comparison) -> bool:
    """Whether the 95 % interval of a difference is above zero, and the randomisation test says so too."""
    return comparison.interval is not None and comparison.interval[0] > 0 and comparison.p_value < CONFIDENT


@dataclass(frozen=True, slots=True)
class RuleTrial:
    """A rule for some queries, over the fusion that the same queries chose, before reranking.

    Attributes:
        tried: how many.
        chosen: the rule that all queries choose; None where they choose none.
        by_fold: that of the queries outside each fold.
        comparison: of the choice with a rule against that without, out of fold.
    """

    tried: int
    chosen: WeightRule | None
    by_fold: Sequence[WeightRule | None]
    comparison: Comparison

    @property
    def is_better(self) -> bool:
        """Whether the rule is used: it is better on queries that it was not chosen by, beyond chance."""
        return self.chosen is not None and is_beyond_chance(self.comparison)


def tune(
    collected: Collected,
    qrels: Qrels,
    default: Weighting,
    tried: Sequence[Weighting],
    *,
    objective: str = "nDCG@10",
    folds: int = FOLDS,
    rerankings: Rerankings | None = None,
    rules: bool = True,
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
        rules: whether rules for some queries are tried over the chosen fusion; one is used where it is better than
            the choice without, out of fold and beyond chance.
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
    if default.rules:
        values[:, 0] = _of_ruled(judged, collected.legs, default, wanted)
    ruled = Rules([runs for runs, _ in judged], collected.legs, every, values) if rules else None
    return _tuned(_Choosing(every, values, ids, wanted, rerankings, ruled), _fold_of(ids, folds))


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


def _of_ruled(
    judged: Sequence[tuple[QueryRuns, Mapping[str, int]]], legs: Sequence[str], ruled: Weighting, objective: Objective
) -> Floats:
    """The measure of each query by a weighting that has rules: that of the weighting that they make for it."""
    made = [ruled.for_query(signals_in(runs, legs, ruled.window), legs) for runs, _ in judged]
    variants = list(dict.fromkeys(made))
    values = measured(judged, legs, variants, objective)
    return values[np.arange(len(made)), [variants.index(one) for one in made]]


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


By = Callable[[NDArray[np.bool_]], tuple[Weighting, Floats]]
"""What some queries choose, and its measure of each query, chosen by or not."""


@dataclass(frozen=True, slots=True)
class _Choosing:
    """The weightings with the measure of each query, shape (queries, weightings), and what may follow them."""

    every: Sequence[Weighting]
    values: Floats
    ids: Sequence[str]
    objective: Objective
    rerankings: Rerankings | None
    rules: Rules | None

    def default(self) -> tuple[Weighting, Floats]:
        """The settings in use, and their measure of each query."""
        if self.rerankings is None:
            return self.every[0], self.values[:, 0]
        reranked = self.rerankings.values(self.every[0], self.ids, self.objective)
        return self.rerankings.over(self.every[0])[0], reranked[:, 0]

    def alike(self, some: NDArray[np.bool_]) -> tuple[Weighting, Floats]:
        """One weighting for all queries."""
        place = choose(self.every, self.values[some])
        return self.every[place], self.values[:, place]

    def by_rule(self, rules: Rules) -> By:
        """The same with a rule, or none."""

        def chosen(some: NDArray[np.bool_]) -> tuple[Weighting, Floats]:
            tried, values = rules.over(choose(self.every, self.values[some]))
            best = choose(tried, values[some])
            return tried[best], values[:, best]

        return chosen

    def rule_of(self, one: Weighting) -> WeightRule | None:
        """The rule that was chosen for it; those of the settings in use are behind it."""
        return one.rules[0] if one.rules and one.rules != self.every[0].rules else None

    def reranked(self, by: By) -> By:
        """The same with the reranking that the same queries choose over it."""
        rerankings = self.rerankings
        if rerankings is None:
            return by

        def chosen(some: NDArray[np.bool_]) -> tuple[Weighting, Floats]:
            fused, _ = by(some)
            tried, values = rerankings.over(fused), rerankings.values(fused, self.ids, self.objective)
            best = choose(tried, values[some])
            return tried[best], values[:, best]

        return chosen

    def compared(self, mine: Floats, its: Floats) -> Comparison:
        """The measure of each query by two choices, out of fold."""
        return comparisons([self.by_id(mine)], self.by_id(its))[0]

    def by_id(self, values: Floats) -> dict[str, float]:
        """The measure of each query by its id."""
        return dict(zip(self.ids, values.tolist(), strict=True))


def _crossed(by: By, fold_of: NDArray[np.intp]) -> tuple[list[Weighting], Floats]:
    """What the queries outside each fold choose, and each query's measure by what the others chose."""
    outside, chosen = np.empty(len(fold_of)), []
    for number in range(fold_of.max() + 1):
        held_out = fold_of == number
        one, values = by(~held_out)
        outside[held_out] = values[held_out]
        chosen.append(one)
    return chosen, outside


def _trial(choosing: _Choosing, rules: Rules, fold_of: NDArray[np.intp]) -> RuleTrial:
    by = choosing.by_rule(rules)
    _, alike = _crossed(choosing.alike, fold_of)
    chosen, ruled = _crossed(by, fold_of)
    every = np.ones(len(fold_of), dtype=np.bool_)
    tried = len(rules.over(choosing.every.index(choosing.alike(every)[0]))[0]) - 1
    found = [choosing.rule_of(one) for one in (by(every)[0], *chosen)]
    return RuleTrial(tried, found[0], found[1:], choosing.compared(ruled, alike))


def _tuned(choosing: _Choosing, fold_of: NDArray[np.intp]) -> Tuned:
    rules, trial = choosing.rules, None
    fused: By = choosing.alike
    if rules is not None:
        trial = _trial(choosing, rules, fold_of)
        fused = choosing.by_rule(rules) if trial.is_better else fused
    by = choosing.reranked(fused)
    default, its_values = choosing.default()
    chosen, outside = _crossed(by, fold_of)
    mine, its = choosing.by_id(outside), choosing.by_id(its_values)
    return Tuned(
        objective=choosing.objective.name,
        default=default,
        chosen=by(np.ones(len(fold_of), dtype=np.bool_))[0],
        folds=[_fold(one, fold_of == number, outside, its_values) for number, one in enumerate(chosen)],
        comparison=choosing.compared(outside, its_values),
        mean=float(outside.mean()),
        default_mean=float(its_values.mean()),
        by_query={id_: (mine[id_], its[id_]) for id_ in choosing.ids},
        surface=dict(zip(choosing.every, choosing.values.mean(axis=0).tolist(), strict=True)),
        rerankings=0 if choosing.rerankings is None else len(choosing.rerankings.over(default)),
        trial=trial,
    )


def _fold(chosen: Weighting, held_out: NDArray[np.bool_], mine: Floats, its: Floats) -> Fold:
    return Fold(int(held_out.sum()), chosen, float(mine[held_out].mean()), float(its[held_out].mean()))
