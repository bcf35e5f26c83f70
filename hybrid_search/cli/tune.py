"""``hybrid-search tune``: the fusion and the weights that judged queries like best, if they beat those in use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_search, named_legs, searched_with
from hybrid_search.cli.evaluate import progress_bars
from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.html import Html, check_new, write_page
from hybrid_search.cli.judged import JudgedOptions
from hybrid_search.cli.options import (
    Json,
    Set,
    SettingsFile,
    Url,
    write_settings,
)
from hybrid_search.cli.plots import HELP, check_plots, write_plots
from hybrid_search.cli.search import SearchedIndex
from hybrid_search.cli.tuned import TunedOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_search.evaluate.known_items import KnownItems
    from hybrid_search.evaluate.tuning import Tuned


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=CommandInPanels)(tune)


@grouped
def tune(
    index: SearchedIndex,
    *,
    judged: JudgedOptions,
    tuned: TunedOptions,
    write: Annotated[Path | None, typer.Option(help="A new settings file for the choice, if it is better.")] = None,
    html: Html = None,
    plots: Annotated[Path | None, typer.Option(help=HELP)] = None,
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Choose fusion, weights, rank constant, window and reranking by judged queries, cross-validated.

    Each figure is of queries that took no part in the choice. Where the choice is no better than the settings in use,
    beyond chance, nothing is written.
    """
    from hybrid_search.engine import connect
    from hybrid_search.evaluate.html import tuned_page
    from hybrid_search.evaluate.plots import tuned_pngs
    from hybrid_search.search import SearchClient

    judged.check(write)
    check_new(write, "--write")
    check_new(html, "--html")
    check_plots(plots)
    settings = searched_with(settings_file, url, overrides, rerank=tuned.rerank, weights=None, rank_constant=None)
    check_search(settings, legs=named_legs(tuned.legs))
    given = judged.read()
    with (
        connect(settings.engine) as connection,
        SearchClient(index, settings=settings, connection=connection) as client,
        progress_bars() as progress,
    ):
        known = judged.known(client, connection)
        asked, qrels = given if known is None else (known.queries, known.qrels)
        is_beir = judged.is_beir
        found, runs = tuned.tune(client, connection, asked, qrels, ignore_identical=is_beir, progress=progress)
    _print(found, runs.legs, known, as_json=as_json)
    if html is not None:
        write_page(html, tuned_page(found, runs, qrels, {str(query.id): query.text for query in asked}, known))
    if plots is not None:
        write_plots(plots, tuned_pngs(found, runs, qrels))
    if write is not None:
        _write(write, found, runs.legs)


def _print(tuned: Tuned, legs: Sequence[str], known: KnownItems | None, *, as_json: bool) -> None:
    from hybrid_search.evaluate.tuning.report import notes, tuned_json, tuned_table

    if as_json:
        import orjson

        typer.echo(orjson.dumps(tuned_json(tuned, legs, known), option=orjson.OPT_INDENT_2))
        return
    from hybrid_search.printed.console import Console

    console = Console()
    console.print(tuned_table(tuned, legs, known))
    for note in notes(tuned, known):
        console.print(note, style="dim")


def _write(path: Path, tuned: Tuned, legs: Sequence[str]) -> None:
    """The choice as settings, if it is better; what is written is said."""
    import tomli_w

    from hybrid_search.evaluate.tuning.report import settings_of, verdict

    if not tuned.is_better:
        typer.echo(f"{path} is not written: {verdict(tuned)}", err=True)
        return
    write_settings(path, tomli_w.dumps(settings_of(tuned.chosen, legs)))
    typer.echo(f"{path} is written", err=True)
