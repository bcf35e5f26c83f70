"""``hybrid-search copy``: an index of ours into another engine, another version, or a folder."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from hybrid_search.cli.options import Json, Set, SettingsFile, SourceUrl, Url, settings_of
from hybrid_search.cli.signals import stop_cleanly


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(copy)


def copy(
    source: Annotated[str, typer.Argument(help="An index, es:INDEX, os:INDEX, or the folder of a copy (FOLDER/).")],
    target: Annotated[str, typer.Argument(help="A new index, or a new folder (FOLDER/).")],
    *,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    source_url: SourceUrl = None,
    deep: Annotated[bool, typer.Option("--deep/--no-deep", help="Compare every passage, or only count.")] = True,
    as_json: Json = False,
) -> None:
    """Copy an index with its vectors; nothing is encoded again. Run again, it goes on where it stopped."""
    from hybrid_search.copying import copy_index

    settings = settings_of(settings_file, url, overrides, source_url=source_url)
    stop_cleanly()
    report = copy_index(source, target, settings, deep=deep)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    typer.echo(f"{report.source} -> {report.target}: {report.passages:,} passages, {report.written:,} written now")
    for note in report.notes:
        typer.echo(f"Note: {note}")
    typer.echo("Every passage is as in the source." if report.deep else "There are as many as in the source.")
