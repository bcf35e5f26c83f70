"""``hybrid-search train``: a leg's model, trained on one's own corpus and called better only where it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_search
from hybrid_search.cli.evaluate import progress_bars
from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.options import Json, Set, SettingsFile, Url, settings_of
from hybrid_search.cli.train_options import LearnedFrom, TrainedHow

if TYPE_CHECKING:
    from hybrid_search.train import Trained
    from hybrid_search.train.learned import Learned


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=CommandInPanels)(train)


@grouped
def train(
    index: Annotated[str, typer.Argument(metavar="INDEX|SOURCE", help="An index or alias, or documents: a path.")],
    *,
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    learned: LearnedFrom,
    how: TrainedHow,
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Train a model of an index on judgements, clicks or its documents, and say whether search is better by it.

    Held-out queries are split off first. A run that is broken off goes on when the same command is given again.
    """
    from hybrid_search import train as training
    from hybrid_search.encode.finetune.devices import check_libraries
    from hybrid_search.engine import connect
    from hybrid_search.search import SearchClient
    from hybrid_search.train.run import check_out
    from hybrid_search.train.sourced import index_of

    learned.check()
    check_out(out)
    check_libraries()
    recipe = how.recipe()
    settings = settings_of(settings_file, url, overrides)
    check_search(settings)
    given = _judged(learned)
    with (
        connect(settings.engine) as connection,
        progress_bars() as progress,
        index_of(index, connection, settings, progress) as searched,
        SearchClient(searched, settings=settings, connection=connection) as client,
    ):
        trained = training.train(client, connection, given, recipe, out, progress=progress)
    _print(trained, as_json=as_json)


def _judged(learned: LearnedFrom) -> Learned:
    """What files say, read and checked before the cluster is asked."""
    from hybrid_search.train.learned import read_learned

    return read_learned(
        queries=learned.queries,
        qrels=learned.qrels,
        split=learned.split,
        test_queries=learned.test_queries,
        test_qrels=learned.test_qrels,
        test_split=learned.test_split,
        clicks=learned.clicks or (),
        pairs=learned.pairs,
        asking=None if learned.ask_url is None else (learned.ask_url, str(learned.ask_model), learned.ask),
    )


def _print(trained: Trained, *, as_json: bool) -> None:
    from hybrid_search.train.report import notes, trained_table

    if as_json:
        import orjson

        typer.echo(orjson.dumps({"folder": trained.folder, **trained.card}, option=orjson.OPT_INDENT_2))
        return
    from hybrid_search.printed.console import Console

    console = Console()
    console.print(trained_table(trained))
    for note in notes(trained):
        console.print(note, style="dim")
