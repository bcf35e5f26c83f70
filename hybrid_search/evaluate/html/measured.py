"""An evaluation as a page: every system, and the gains and losses of the best one against the best single leg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hybrid_search.evaluate.comparison import Comparison
from hybrid_search.evaluate.experiment import Experiment, Row
from hybrid_search.evaluate.html.page import heading, note, page, table
from hybrid_search.evaluate.html.svg import differences, lengths

SHOWN = 10


def experiment_page(experiment: Experiment, texts: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        experiment: what was measured.
        texts: of the queries, by their ids.
    """
    return page(f"{experiment.queries:,} judged queries", _parts(experiment, texts))


def _parts(experiment: Experiment, texts: Mapping[str, str]) -> Iterator[str]:
    measure, compared = experiment.measures[0], experiment.comparisons()
    yield lengths([(row.system.name, row.scores.mean[measure]) for row in experiment.rows], measure)
    header = ("system", *experiment.measures, "difference", "95 %", "p (Holm)")
    yield table(header, [_row(row, experiment, compared.get(row.system.name)) for row in experiment.rows])
    yield note(f"Differences are of {measure}, to the best single leg: {experiment.best_leg.system.name}.")
    best = max(experiment.rows, key=lambda row: row.scores.mean[measure])
    if best is not experiment.best_leg:
        yield from _changes(best, experiment.best_leg, measure, texts)


def _row(row: Row, experiment: Experiment, comparison: Comparison | None) -> tuple[str, ...]:
    figures = [f"{row.scores.mean[name]:.4f}" for name in experiment.measures]
    if comparison is None:
        return (row.system.name, *figures, "", "", "")
    low, high = comparison.interval or (comparison.difference,) * 2
    interval = f"{low:+.4f} to {high:+.4f}"
    return (row.system.name, *figures, f"{comparison.difference:+.4f}", interval, f"{comparison.p_holm:.4f}")


def _changes(best: Row, leg: Row, measure: str, texts: Mapping[str, str]) -> Iterator[str]:
    mine, its = best.scores.by_query[measure], leg.scores.by_query[measure]
    changes = {id_: value - its[id_] for id_, value in mine.items()}
    yield heading(f"Gains and losses: {best.system.name} against {leg.system.name}")
    yield note("Filled bars are gains, outlined ones losses.")
    yield differences(list(changes.values()), f"difference in {measure}")
    ordered = sorted(changes, key=lambda id_: (-changes[id_], id_))
    some = [id_ for id_ in ordered[:SHOWN] if changes[id_] > 0]
    some += [id_ for id_ in ordered[-SHOWN:] if changes[id_] < 0]
    rows = [(id_, texts.get(id_, ""), f"{its[id_]:.4f}", f"{mine[id_]:.4f}", f"{changes[id_]:+.4f}") for id_ in some]
    yield table(("query", "", leg.system.name, best.system.name, "difference"), rows, text=(1,))
