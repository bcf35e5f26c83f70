"""``hybrid-search evaluate``: how good each leg, each fusion and each reranking is on judged queries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli.checks import check_search, named_legs, searched_with
from hybrid_search.cli.options import Json, Judgements, Queries, Set, SettingsFile, Split, Url
from hybrid_search.cli.search import SearchedIndex
from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from hybrid_search.evaluate import Experiment, Timing
    from hybrid_search.evaluate.retrieval import OnProgress


IgnoreIdentical = Annotated[
    bool | None,
    typer.Option(
        "--ignore-identical/--keep-identical",
        help="Leave out the document with the query's own id (default: for a BEIR folder).",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    index: SearchedIndex,
    *,
    queries: Queries,
    qrels: Judgements,
    split: Split = "test",
    legs: Annotated[str | None, typer.Option(help="The legs to measure: bm25,dense,sparse.")] = None,
    fusions: Annotated[str | None, typer.Option(help="The fusions to measure: rrf,min-max (default: all).")] = None,
    weights: Annotated[str | None, typer.Option(help="A weight for each leg: bm25=.3,dense=.3,sparse=.4.")] = None,
    rank_constant: Annotated[int | None, typer.Option(help="Rank constant of rrf.")] = None,
    window: Annotated[int | None, typer.Option(help="Documents that each leg ranks.")] = None,
    rerank: Annotated[str | None, typer.Option(help="Also rerank all: late, or the name of a cross-encoder.")] = None,
    exact_dense: Annotated[bool, typer.Option("--exact-dense", help="Say what the graph search costs.")] = False,
    ignore_identical: IgnoreIdentical = None,
    timing: Annotated[bool, typer.Option("--timing", help="Also time every leg and the whole search.")] = False,
    runs: Annotated[Path | None, typer.Option(help="A folder for TREC runs, one file per system.")] = None,
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Measure nDCG@10, MRR@10 and Recall@100 of every leg and every fusion, against judgements."""
    from hybrid_search import read
    from hybrid_search.evaluate import run_experiment, time_searches
    from hybrid_search.evaluate.report import save_runs
    from hybrid_search.search import SearchClient
    from hybrid_search.search.fusion import METHODS

    settings = searched_with(settings_file, url, overrides, rerank=rerank, weights=weights, rank_constant=rank_constant)
    methods = list(METHODS) if fusions is None else fusions.replace(" ", "").split(",")
    check_search(settings, window=window, legs=named_legs(legs), fusions=methods)
    _check_runs(runs)
    asked, judged = read.queries(queries, empty=True), read.qrels(qrels, split=split)
    with SearchClient(index, settings=settings) as client, progress_bars() as progress:
        experiment = run_experiment(
            client,
            asked,
            judged,
            legs=named_legs(legs),
            fusions=methods,
            window=window,
            rerank=client.searcher.reranker is not None,
            exact=exact_dense,
            ignore_identical=qrels.is_dir() if ignore_identical is None else ignore_identical,
            progress=progress,
        )
        timings = time_searches(client, [q for q in asked if q.id in judged]) if timing else []
    _print(experiment, timings, as_json=as_json)
    if runs is not None:
        save_runs(experiment, runs)


def _check_runs(folder: Path | None) -> None:
    """What takes minutes to measure must have a place to go."""
    nearest = next((path for path in (folder, *folder.parents) if path.exists()), None) if folder else None
    if nearest is not None and not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise SettingsError("is no folder that can be written to", where=f"--runs {nearest}", remedy="Name another")


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


def _print(experiment: Experiment, timings: list[Timing], *, as_json: bool) -> None:
    from hybrid_search.evaluate.report import experiment_json, experiment_table, notes, timing_json, timing_table

    if as_json:
        import orjson

        report = {**experiment_json(experiment), **({"timings": timing_json(timings)} if timings else {})}
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
        return
    from hybrid_search.printed.console import Console

    console = Console()
    console.print(experiment_table(experiment))
    for note in notes(experiment):
        console.print(note, style="dim")
    if timings:
        console.print(timing_table(timings))
