"""Rules that give some queries other weights, tried over a weighting: the measure of each is there already.

A rule is one condition on one signal (:mod:`hybrid_search.weight_rules`) with weights of a coarse grid; all else
stays as it is for all queries. So a query's value under a rule is that of one of two weightings that were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hybrid_search.evaluate.tuning.collected import QueryRuns
from hybrid_search.evaluate.tuning.weighting import Weighting
from hybrid_search.weight_rules import ABOVE, AT_MOST, GAP, UNKNOWN, WORDS, Condition, Signals, WeightRule, gap_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BOUNDS: Mapping[str, Sequence[float]] = {
    WORDS: (1, 2, 3, 4, 6, 8, 12, 16),
    UNKNOWN: (0, 0.2, 0.4),
    GAP: (0.02, 0.05, 0.1, 0.2, 0.4),
}
"""Bounds that are tried of each signal: few and round, so that a rule can be said and is no accident of one query."""

FEWEST_HELD = 10
SMALLEST_PART = 0.1
"""Queries on each side of a condition, and their share of all: of fewer nothing can be told."""

STEPS = 10
"""Steps between 0 and 1 in which the weights of a rule are tried: .1."""


def signals_in(one: QueryRuns, legs: Sequence[str], window: int) -> Signals:
    """What a search of this window knows of a query."""
    return Signals(one.words, one.unknown, {leg: _gap(one, leg, window) for leg in legs})


def _gap(one: QueryRuns, leg: str, window: int) -> float:
    run = one.runs.get(leg, ())
    missing = one.missing.get(leg) if len(run) < window else None
    return gap_of([score for _, score in run[:window]], missing)


def conditions(legs: Sequence[str]) -> Iterator[Condition]:
    """All that are tried, in both directions."""
    for signal in (WORDS, UNKNOWN, *(f"{GAP}.{leg}" for leg in legs)):
        for bound in BOUNDS[signal.partition(".")[0]]:
            yield Condition(signal, AT_MOST, bound)
            yield Condition(signal, ABOVE, bound)


@dataclass(frozen=True)
class Rules:
    """The rules that are tried over any of the weightings.

    Attributes:
        runs: of each query.
        legs: their names.
        every: the weightings that were measured.
        values: their measure, shape (queries, weightings).
    """

    runs: Sequence[QueryRuns]
    legs: Sequence[str]
    every: Sequence[Weighting]
    values: Floats
    _held: dict[int, list[tuple[Condition, Bools]]] = field(default_factory=dict)
    _over: dict[int, tuple[list[Weighting], Floats]] = field(default_factory=dict)

    def over(self, place: int) -> tuple[list[Weighting], Floats]:
        """The weighting at this place with each rule, the first without; and the measure, shape (queries, rules)."""
        if place not in self._over:
            self._over[place] = self._tried_over(place)
        return self._over[place]

    def _tried_over(self, place: int) -> tuple[list[Weighting], Floats]:
        base, own = self.every[place], self.values[:, [place]]
        tried, columns = [base], [own]
        others = self._others(base)
        for condition, held in self._conditions(base.window):
            tried += [self._ruled(base, condition, self.every[other]) for other in others]
            columns.append(np.where(held[:, None], self.values[:, others], own))
        return tried, np.concatenate(columns, axis=1)

    def _others(self, base: Weighting) -> list[int]:
        """The weightings that differ in nothing but their weights, on the coarse grid where there are such."""
        like = [n for n, one in enumerate(self.every) if one.shape == base.shape and one.weights != base.weights]
        coarse = [n for n in like if all(_is_on_grid(weight) for weight in self.every[n].weights)]
        return coarse or like

    def _ruled(self, base: Weighting, condition: Condition, other: Weighting) -> Weighting:
        rule = WeightRule(condition, tuple(zip(self.legs, other.weights, strict=True)))
        return replace(base, rules=(rule, *base.rules))  # of those that hold the first counts

    def _conditions(self, window: int) -> list[tuple[Condition, Bools]]:
        """Those that part the queries, each once, with the queries of which they hold."""
        if window not in self._held:
            known = [signals_in(one, self.legs, window) for one in self.runs]
            parts: dict[bytes, tuple[Condition, Bools]] = {}
            for condition in conditions(self.legs):
                held = np.array([condition.holds(signals) for signals in known], dtype=np.bool_)
                least = max(FEWEST_HELD, SMALLEST_PART * len(held))
                if least <= held.sum() <= len(held) - least:
                    parts.setdefault(held.tobytes(), (condition, held))
            self._held[window] = list(parts.values())
        return self._held[window]


def _is_on_grid(weight: float) -> bool:
    return abs(weight * STEPS - round(weight * STEPS)) < 1e-9
