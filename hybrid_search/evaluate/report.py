"""An experiment and its timings, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybrid_search.evaluate.comparison import Comparison
from hybrid_search.evaluate.experiment import Experiment, Row
from hybrid_search.evaluate.runs import write_run
from hybrid_search.evaluate.timing import Timing

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

SIGNIFICANT = 0.05
SMALLEST_SHOWN = 0.0001


def experiment_json(experiment: Experiment) -> dict[str, Any]:
    """Everything but the rankings, as plain JSON types."""
    compared = experiment.comparisons()
    return {
        "queries": experiment.queries,
        "unjudged": experiment.unjudged,
        "empty": experiment.empty,
        "identical_ids_left_out": experiment.identical,
        "reranker": experiment.reranker,
        "best_leg": experiment.best_leg.system.name,
        "systems": [
            {
                "name": row.system.name,
                "legs": [str(name) for name in row.system.legs],
                "fusion": row.system.fusion.label if len(row.system.legs) > 1 else None,
                "reranked": row.system.reranked,
                "exact": row.system.exact,
                **{name: round(value, 5) for name, value in row.scores.mean.items()},
                **_comparison_json(compared.get(row.system.name)),
            }
            for row in experiment.rows
        ],
    }


def experiment_table(experiment: Experiment) -> Table:
    """One line per system; the best value of each measure is bold, differences are to the best single leg."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=f"{experiment.queries:,} judged queries", title_justify="left")
    table.add_column("system", overflow="fold")
    measures = experiment.measures
    for name in (*measures, "difference 95 %", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    compared = experiment.comparisons()
    best = {name: max(row.scores.mean[name] for row in experiment.rows) for name in measures}
    group = _group(experiment.rows[0])
    for row in experiment.rows:
        if _group(row) != group:
            table.add_section()
            group = _group(row)
        cells = [_value(row.scores.mean[name], best=row.scores.mean[name] == best[name]) for name in measures]
        one = compared.get(row.system.name)
        table.add_row(row.system.name, *cells, _interval(one), _p_value(one))
    return table


def notes(experiment: Experiment) -> list[str]:
    """What a reader of the table must know."""
    name, best = experiment.measures[0], experiment.best_leg.system.name
    compared = sum(not row.system.is_leg for row in experiment.rows)
    lines = [
        f"difference: the 95 % interval of that in {name} to {best} (paired bootstrap)",
        f"p: paired randomisation test of it, corrected for {compared} comparisons (Holm)",
    ]
    if experiment.empty:
        lines.append(f"{experiment.empty:,} queries without a text count 0")
    if experiment.identical is not None:
        lines.append(
            f"the document with the query's own id was left out, as BEIR does: of {experiment.identical:,} queries"
        )
    if experiment.unjudged:
        lines.append(f"{experiment.unjudged:,} queries without judgements were left out")
    if experiment.reranker is not None:
        lines.append(f"reranked by {experiment.reranker}")
    return lines


def timing_table(timings: Sequence[Timing]) -> Table:
    """One line per leg, then the whole search and its steps."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=f"Milliseconds, {timings[0].searches:,} searches", title_justify="left")
    table.add_column("search")
    for name in ("p50", "p99", "engine p50"):
        table.add_column(name, justify="right")
    for timing in timings:
        engine = "" if timing.engine_p50 is None else f"{timing.engine_p50:.1f}"
        table.add_row(timing.name, f"{timing.p50:.1f}", f"{timing.p99:.1f}", engine)
    return table


def timing_json(timings: Sequence[Timing]) -> list[dict[str, Any]]:
    """The timings as plain JSON types."""
    return [
        {
            "name": timing.name.strip(),
            "searches": timing.searches,
            "p50_ms": round(timing.p50, 2),
            "p99_ms": round(timing.p99, 2),
            "engine_p50_ms": timing.engine_p50,
        }
        for timing in timings
    ]


def save_runs(experiment: Experiment, folder: Path) -> list[Path]:
    """A TREC run for each system, named after it.

    Raises:
        RecordError: an id that the format cannot say.
    """
    paths = []
    for row in experiment.rows:
        tag = row.system.name.replace(",", "").replace(" ", "-")
        paths.append(folder / f"{tag}.run")
        write_run(paths[-1], row.rankings, tag)
    return paths


def _group(row: Row) -> tuple[bool, int]:
    return row.system.reranked, len(row.system.legs)


def _value(value: float, *, best: bool) -> Text:
    from rich.text import Text

    return Text(f"{value:.4f}", style="bold green" if best else "")


def _comparison_json(one: Comparison | None) -> dict[str, Any]:
    if one is None:
        return {"difference": None, "interval": None, "p_value": None, "p_holm": None}
    interval = None if one.interval is None else [round(end, 5) for end in one.interval]
    return {
        "difference": round(one.difference, 5),
        "interval": interval,
        "p_value": one.p_value,
        "p_holm": one.p_holm,
    }


def _interval(one: Comparison | None) -> str:
    """From where to where the difference lies; the difference itself where there is no interval."""
    if one is None:
        return ""
    low, high = one.interval or (one.difference, one.difference)
    return f"{low:+.3f} {high:+.3f}"


def _p_value(one: Comparison | None) -> Text:
    from rich.text import Text

    if one is None:
        return Text()
    p_value = one.p_holm
    shown = f"{p_value:.4f}" if p_value >= SMALLEST_SHOWN else f"<{SMALLEST_SHOWN:.4f}"
    return Text(shown, style="" if p_value < SIGNIFICANT else "dim")
