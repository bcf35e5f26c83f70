"""Figures of an evaluation: every system, and the gains and losses of the best against the best single leg."""

from __future__ import annotations

from hybrid_search.evaluate.experiment import Experiment
from hybrid_search.evaluate.plots.canvas import INK, PALE, differences_png, figure, plain, png


def experiment_pngs(experiment: Experiment) -> dict[str, bytes]:
    """The files by their names.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    measure = experiment.measures[0]
    best, leg = max(experiment.rows, key=lambda row: row.scores.mean[measure]), experiment.best_leg
    found = {"systems.png": _systems(experiment, measure)}
    if best is not leg:
        mine, its = best.scores.by_query[measure], leg.scores.by_query[measure]
        unit = f"{measure}, {best.system.name}\nagainst {leg.system.name}"
        found["queries.png"] = differences_png([value - its[id_] for id_, value in mine.items()], unit)
    return found


def _systems(experiment: Experiment, measure: str) -> bytes:
    rows = [(row.system.name, row.scores.mean[measure]) for row in reversed(experiment.rows)]
    drawn = figure(9, 1 + 0.27 * len(rows))
    axes = drawn.add_subplot()
    most = max(value for _, value in rows)
    colours = [INK if value == most else PALE for _, value in rows]
    bars = axes.barh(range(len(rows)), [value for _, value in rows], color=colours, edgecolor=INK, linewidth=0.6)
    axes.bar_label(bars, fmt="{:.4f}", padding=3, fontsize=8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.set_xlabel(f"{measure}, mean of {experiment.queries:,} queries")
    axes.set_xlim(0, 1.12 * (most or 1.0))
    axes.margins(y=0.01)
    plain(axes, grid="x")
    return png(drawn)
