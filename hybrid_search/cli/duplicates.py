"""``hybrid-search duplicates``: documents of an index that say the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import searched_with
from hybrid_search.cli.options import Json, Set, SettingsFile, Url
from hybrid_search.cli.results import TABLE
from hybrid_search.cli.search import SearchedIndex, client_on, searching
from hybrid_search.errors import QueryError, counted
from hybrid_search.printed import one_line, write_lines
from hybrid_search.settings import NO_MODEL

if TYPE_CHECKING:
    from hybrid_search.search import SearchClient
    from hybrid_search.search.duplicates_records import (
        DuplicateGroup,
        MiningOptions,
        MiningReport,
        OnMining,
        SimilarPair,
    )

FORMATS = (TABLE, "json", "tsv", "ids")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(duplicates)


def duplicates(
    index: SearchedIndex,
    *,
    threshold: Annotated[float, typer.Option(help="The least cosine of two passages, from 0 to 1.")] = 0.9,
    pairs: Annotated[bool, typer.Option("--pairs", help="Pairs, not the groups that they make.")] = False,
    exact: Annotated[
        bool | None,
        typer.Option("--exact/--graph", help="Compare all with all, or ask the graph (default: exact up to 50,000)."),
    ] = None,
    neighbours: Annotated[int, typer.Option(help="Passages that the graph is asked for around each.")] = 10,
    limit: Annotated[int, typer.Option(help="Pairs that are kept, the best.")] = 100_000,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", "-f", help="field=value, ...; only those are compared; repeatable.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="table, json (a line each), tsv (pairs), ids (a group a line).")
    ] = "table",
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Find near-duplicates and paraphrases by the stored vectors; no model is loaded, nothing is encoded."""
    from hybrid_search.filters import parse_all
    from hybrid_search.search.duplicates_records import MiningRequest

    if format not in FORMATS:
        raise QueryError(f"unknown format {format!r}", where="--format", remedy=f"There are: {', '.join(FORMATS)}.")
    shown = "json" if as_json else format
    options: MiningOptions = {
        "exact": exact,
        "neighbours": neighbours,
        "limit": limit,
        "filter": parse_all(filters or ()),
    }
    MiningRequest.of(threshold, **options)
    settings = searched_with(settings_file, url, overrides, rerank=NO_MODEL, weights=None, rank_constant=None)
    with client_on(index, searching(settings, ["bm25"])) as client, _progress() as (follow, reports):
        options["on_progress"] = follow
        found: Iterable[DuplicateGroup | SimilarPair] = (
            client.similar_pairs(threshold, **options)
            if pairs or shown == "tsv"
            else client.duplicates(threshold, **options)
        )
        if shown == TABLE:
            _print(found, client)
        else:
            write_lines(_lines(found, shown))
    for note in _notes(reports[-1] if reports else None):
        typer.echo(f"Note: {note}", err=True)


@contextmanager
def _progress() -> Iterator[tuple[OnMining, list[MiningReport]]]:
    """What follows a run with a bar on standard error, and the last that it was told."""
    from rich.progress import BarColumn

    from hybrid_search.printed.console import literal, progress_on_stderr

    reports: list[MiningReport] = []
    bar = progress_on_stderr(literal("{task.description}"), BarColumn(), transient=True)
    task = bar.add_task("reading", total=None)
    with bar if bar.console.is_terminal else nullcontext():

        def follow(report: MiningReport) -> None:
            reports[:] = [report]
            if report.read < report.passages:
                bar.update(task, total=report.passages, completed=report.read)
            else:
                bar.update(task, description="comparing", total=1.0, completed=report.compared)

        yield follow, reports


def _lines(found: Iterable[DuplicateGroup | SimilarPair], format: str) -> Iterator[str]:
    import orjson

    from hybrid_search.search.duplicates_records import DuplicateGroup

    if format == "tsv":
        yield "cosine\tfirst\tsecond\tfirst_passage\tsecond_passage"
    for one in found:
        if format == "json":
            yield orjson.dumps(one.as_json()).decode()
            continue
        ids = one.ids if isinstance(one, DuplicateGroup) else (one.first, one.second)
        if format == "ids" or isinstance(one, DuplicateGroup):
            yield "\t".join(map(one_line, ids))
        else:
            cells = (*ids, one.first_passage, one.second_passage)
            yield "\t".join([f"{one.cosine:.6f}", *map(one_line, cells)])


def _print(found: Iterable[DuplicateGroup | SimilarPair], client: SearchClient) -> None:
    """Each group, or pair, with the passages that made it one."""
    from hybrid_search.printed.console import Console

    console, is_empty = Console(), True
    for one in found:
        is_empty = False
        console.print("\n".join(_shown(one, client, console.width)))
    if is_empty:
        console.print("no two documents are so alike")


def _shown(one: DuplicateGroup | SimilarPair, client: SearchClient, width: int) -> Iterator[str]:
    from hybrid_search.search.duplicates_records import DuplicateGroup

    pairs = one.pairs if isinstance(one, DuplicateGroup) else (one,)
    ids = one.ids if isinstance(one, DuplicateGroup) else (one.first, one.second)
    passages = {pair.first: pair.first_passage for pair in reversed(pairs)}
    passages = {pair.second: pair.second_passage for pair in reversed(pairs)} | passages
    texts = client.passages([passages[id_] for id_ in ids])
    yield f"{pairs[0].cosine:.4f}  {counted(len(ids), 'document', 'documents')}"
    for id_ in ids:
        text = " ".join(texts.get(passages[id_], "").split())
        line = f"        {one_line(id_)}  {one_line(text)}"
        yield line if len(line) <= width else f"{line[: width - 1]}…"


def _notes(report: MiningReport | None) -> Iterator[str]:
    if report is None:
        return
    how = "all with all" if report.exact else "by the graph, which may miss some"
    yield f"{counted(report.read, 'passage', 'passages')} compared {how}: {counted(report.pairs, 'pair', 'pairs')}"
    if report.left_out:
        yield "more pairs are so alike than are kept: raise --threshold, or --limit"
    if report.crowded:
        crowded = counted(report.crowded, "passage has", "passages have")
        yield f"{crowded} as many neighbours as were asked for, or more: raise --neighbours"
