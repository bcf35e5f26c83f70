"""``hybrid-search serve``: the workbench in the browser, and the same as an HTTP API."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from hybrid_search.cli.checks import check_search, named_legs, searched_with
from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.judged import PANEL, JudgedQueries
from hybrid_search.cli.options import Set, SettingsFile, Url
from hybrid_search.cli.search import SearchedIndex
from hybrid_search.errors import MissingExtraError

if TYPE_CHECKING:
    from hybrid_search.settings import Settings

WHERE = "Where it is served"


@dataclass(frozen=True)
class PlaceOptions:
    """Where it listens."""

    host: Annotated[
        str,
        typer.Option(help="The address; any but loopback needs the token that is printed.", rich_help_panel=WHERE),
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.", rich_help_panel=WHERE)] = 8765
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name under which it is reached, as behind a proxy. Repeatable.", rich_help_panel=WHERE),
    ] = None


@dataclass(frozen=True)
class JudgingOptions(JudgedQueries):
    """The judged queries, and where judgements by click go."""

    judge: Annotated[
        Path | None,
        typer.Option(help="The folder for judgements by click (default: judgements-INDEX).", rich_help_panel=PANEL),
    ] = None


def with_legs(settings: Settings, legs: list[str] | None) -> Settings:
    """The settings with these legs in the place of theirs; where none reads a vector, no model is loaded."""
    return settings if legs is None else replace(settings, search=replace(settings.search, legs=tuple(legs)))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=CommandInPanels)(serve)


@grouped
def serve(
    index: SearchedIndex,
    *,
    place: PlaceOptions,
    judged: JudgingOptions,
    legs: Annotated[str | None, typer.Option(help="The legs that search: bm25,dense,sparse.")] = None,
    rerank: Annotated[str | None, typer.Option(help="late, the name of a cross-encoder, or none.")] = None,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Open the workbench: search in the browser, move weights, compare, judge; and the same as an HTTP API.

    It listens on this machine alone unless --host says otherwise. HYBRID_SEARCH_SERVE_TOKEN gives a token of your own.
    """
    try:
        from hybrid_search.serve.access import Access
        from hybrid_search.serve.app import opened
        from hybrid_search.serve.listening import TOKEN_VARIABLE, address, listen, token_for
        from hybrid_search.serve.server import serve as run
    except ModuleNotFoundError as error:
        raise MissingExtraError("The workbench", "serve") from error
    from hybrid_search.serve.judgements import checked_folder

    settings = searched_with(settings_file, url, overrides, rerank=rerank, weights=None, rank_constant=None)
    check_search(settings, legs=named_legs(legs))
    queries, qrels = judged.read()
    folder = checked_folder(Path(f"judgements-{index}") if judged.judge is None else judged.judge)
    token = token_for(place.host, os.environ.get(TOKEN_VARIABLE))
    access = Access.at(place.host, token, tuple(place.allow_host or ()))
    listening = listen(place.host, place.port)
    opening = opened(
        index,
        with_legs(settings, named_legs(legs)),
        queries=queries,
        qrels=qrels,
        judge=folder,
        ignore_identical=judged.is_beir,
    )

    def started() -> None:
        typer.echo(f"The workbench of {index} is at {address(listening, place.host, token)}")
        typer.echo("Its API is described at /docs. Ctrl-C ends it.")

    run(opening, access, listening, started=started)
