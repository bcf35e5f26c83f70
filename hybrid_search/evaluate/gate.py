"""An experiment against one that was kept: what has fallen beyond chance, and on which queries.

The gate of a pipeline: a change of settings, models or documents may not make search worse unseen. A system is compared
with itself by its name, on the queries that both experiments judged; the p-values of all systems and measures are
corrected together (Holm), so that a gate of thirty comparisons does not close by chance every other day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hybrid_search.errors import InputError, SettingsError, SourceError
from hybrid_search.evaluate.comparison import Comparison
from hybrid_search.evaluate.experiment import Experiment
from hybrid_search.evaluate.significance import difference_interval, holm, randomisation_p
from hybrid_search.private_files import open_new

LEVEL = 0.05
"""The usual level of significance: a fall that chance makes more often is none."""

WORST = 5
"""Queries that are named of each comparison."""


class Baseline(msgspec.Struct, frozen=True):
    """What is kept of an experiment.

    Attributes:
        systems: by the system's name and the measure, the value of each query.
    """

    systems: dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Change:
    """One system and measure, now against before, on the queries that both have.

    Attributes:
        system: its name.
        measure: as ``nDCG@10``.
        before: the mean that was kept.
        now: the mean.
        comparison: now minus before.
        queries: the ids that lost most, worst first, with what they lost; at most :data:`WORST`.
    """

    system: str
    measure: str
    before: float
    now: float
    comparison: Comparison
    queries: Sequence[tuple[str, float]]

    @property
    def is_fall(self) -> bool:
        """Whether it is worse beyond chance."""
        return self.comparison.difference < 0 and self.comparison.p_holm < LEVEL


def baseline_of(experiment: Experiment) -> Baseline:
    """What :func:`changes` needs of an experiment later."""
    return Baseline(
        {
            row.system.name: {name: dict(values) for name, values in row.scores.by_query.items()}
            for row in experiment.rows
        }
    )


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write it as JSON; SettingsError where that cannot be done."""
    try:
        with open_new(path) as file:
            file.write(msgspec.json.format(msgspec.json.encode(baseline), indent=1).decode())
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror})", where=str(path)) from error


def read_baseline(path: Path) -> Baseline:
    """What :func:`write_baseline` wrote.

    Raises:
        SourceError: it cannot be read, or is something else.
    """
    remedy = "Make one with evaluate --save"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baseline)
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})", where=str(path), remedy=remedy) from error
    except msgspec.DecodeError as error:
        raise SourceError(f"is no baseline: {error}", where=str(path), remedy=remedy) from error


def changes(experiment: Experiment, baseline: Baseline) -> list[Change]:
    """Every system and measure that both have, in the order of the experiment.

    Raises:
        InputError: there is no such, or no query that both judged.
    """
    now = baseline_of(experiment).systems
    pairs = [
        (system, measure, *_common(values, baseline.systems[system][measure]))
        for system, measures in now.items()
        for measure, values in measures.items()
        if measure in baseline.systems.get(system, {})
    ]
    if not pairs:
        known = ", ".join(sorted(baseline.systems)) or "none"
        raise InputError(
            f"no system or measure is in both, the baseline has: {known}",
            remedy="Measure the same legs and fusions, or keep a new baseline with --save",
        )
    if not all(before for _, _, before, _ in pairs):
        raise InputError("no query is in both", remedy="Give the same queries, or keep a new baseline with --save")
    p_values = [randomisation_p(after, before) for _, _, before, after in pairs]
    return [_change(pair, p_value, held) for pair, p_value, held in zip(pairs, p_values, holm(p_values), strict=True)]


def _common(now: Mapping[str, float], before: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    both = [query for query in now if query in before]
    return {query: before[query] for query in both}, {query: now[query] for query in both}


Pair = tuple[str, str, Mapping[str, float], Mapping[str, float]]
"""System, measure, and the values of each query before and now."""


def _change(pair: Pair, p_value: float, p_holm: float) -> Change:
    system, measure, before, now = pair
    lost = sorted(((query, now[query] - before[query]) for query in now), key=lambda one: one[1])
    means = [sum(values.values()) / len(values) for values in (before, now)]
    found = Comparison(means[1] - means[0], difference_interval(now, before), p_value, p_holm)
    worst = [(query, change) for query, change in lost[:WORST] if change < 0]
    return Change(system, measure, means[0], means[1], found, worst)


def changes_json(found: Sequence[Change]) -> list[dict[str, Any]]:
    """As plain JSON types."""
    return [
        {
            "system": one.system,
            "measure": one.measure,
            "before": round(one.before, 5),
            "now": round(one.now, 5),
            "interval": None if one.comparison.interval is None else [round(x, 5) for x in one.comparison.interval],
            "p_holm": one.comparison.p_holm,
            "fell": one.is_fall,
            "queries": [{"id": query, "change": round(change, 5)} for query, change in one.queries],
        }
        for one in found
    ]
