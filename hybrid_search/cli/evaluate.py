"""``hybrid-search evaluate``: how good each leg, each fusion and each reranking is on judged queries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli.checks import check_search, named_legs, searched_with
from hybrid_search.cli.gate import GateOptions, changes_of
from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.kept import KeptOptions
from hybrid_search.cli.measured import JudgedBy, MeasuredOptions
from hybrid_search.cli.options import Json, Set, SettingsFile, Url
from hybrid_search.cli.search import SearchedIndex

if TYPE_CHECKING:
    from hybrid_search.evaluate import Experiment, Timing
    from hybrid_search.evaluate.gate import Change
    from hybrid_search.evaluate.retrieval import OnProgress
    from hybrid_search.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=CommandInPanels)(evaluate)


@grouped
def evaluate(
    index: SearchedIndex,
    *,
    judged_by: JudgedBy,
    measured: MeasuredOptions,
    timing: Annotated[bool, typer.Option("--timing", help="Also time every leg and the whole search.")] = False,
    kept: KeptOptions,
    gate: GateOptions,
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Measure nDCG@10, MRR@10 and Recall@100 of every leg and every fusion, against judgements."""
    from hybrid_search import read
    from hybrid_search.evaluate import run_experiment, time_searches
    from hybrid_search.search import SearchClient
    from hybrid_search.search.fusion import METHODS

    settings = _settings(measured, settings_file, url, overrides)
    methods = list(METHODS) if measured.fusions is None else measured.fusions.replace(" ", "").split(",")
    check_search(settings, window=measured.window, legs=named_legs(measured.legs), fusions=methods)
    kept.check()
    baseline = gate.check()
    qrels = judged_by.qrels
    asked, judged = read.queries(judged_by.queries, empty=True), read.qrels(qrels, split=judged_by.split)
    with SearchClient(index, settings=settings) as client, progress_bars() as progress:
        experiment = run_experiment(
            client,
            asked,
            judged,
            legs=named_legs(measured.legs),
            fusions=methods,
            window=measured.window,
            rerank=client.searcher.reranker is not None,
            exact=measured.exact_dense,
            ignore_identical=qrels.is_dir() if measured.ignore_identical is None else measured.ignore_identical,
            progress=progress,
        )
        timings = time_searches(client, [q for q in asked if q.id in judged]) if timing else []
    found = changes_of(experiment, baseline)
    _print(experiment, timings, found, as_json=as_json)
    kept.keep(experiment, asked)
    gate.kept(experiment)
    if found:
        gate.judge(found)


def _settings(
    measured: MeasuredOptions, settings_file: Path | None, url: str | None, overrides: list[str] | None
) -> Settings:
    return searched_with(
        settings_file,
        url,
        overrides,
        rerank=measured.rerank,
        weights=measured.weights,
        rank_constant=measured.rank_constant,
    )


@contextmanager
def progress_bars() -> Iterator[OnProgress]:
    """A bar on standard error for each step, gone when all is done."""
    from rich.progress import BarColumn, TaskProgressColumn, TimeRemainingColumn

    from hybrid_search.printed.console import literal, progress_on_stderr

    columns = (literal("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with progress_on_stderr(*columns, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def follow(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done)

        yield follow


def _print(experiment: Experiment, timings: list[Timing], found: list[Change], *, as_json: bool) -> None:
    from hybrid_search.evaluate.gate import changes_json
    from hybrid_search.evaluate.gate_table import changes_table
    from hybrid_search.evaluate.report import experiment_json, experiment_table, notes, timing_json, timing_table

    if as_json:
        import orjson

        report = {**experiment_json(experiment), **({"timings": timing_json(timings)} if timings else {})}
        report |= {"changes": changes_json(found)} if found else {}
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
        return
    from hybrid_search.printed.console import Console

    console = Console()
    console.print(experiment_table(experiment))
    for note in notes(experiment):
        console.print(note, style="dim")
    if timings:
        console.print(timing_table(timings))
    if found:
        console.print(changes_table(found))
