"""Options that several commands share, and the settings that they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from hybrid_search.settings import Settings

SettingsFile = Annotated[Path | None, typer.Option("--settings", "-s", help="The settings, a TOML file.")]
Url = Annotated[str | None, typer.Option("--url", help="The cluster (default: the local node).")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: dense.model=NAME. Repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Index = Annotated[str, typer.Argument(help="The index, or an alias of one.")]
Source = Annotated[str, typer.Argument(help="A file, a folder, a quoted pattern, hf:NAME, or -.")]
Sources = Annotated[
    list[str], typer.Argument(help="Files, folders, a quoted pattern, hf:NAME, or -; each is loaded as its own source.")
]
Format = Annotated[str | None, typer.Option(help="The source's format where its name does not tell.")]
RecordsPath = Annotated[
    str | None, typer.Option("--records", help="Where in a JSON or XML file the records are: data.rows.")
]
Query = Annotated[str | None, typer.Option(help="What is asked of a database: SELECT ... FROM ...")]
MaxBad = Annotated[str, typer.Option(help="The most records that may be left out: 1%, 500 or all.")]
MaxRemoved = Annotated[str, typer.Option(help="The most documents that may go: 10%, 500 or all.")]


def settings_of(path: Path | None, url: str | None, overrides: list[str] | None = None) -> Settings:
    """The settings of a file, the environment, ``--set`` and ``--url``; the later ones win."""
    from hybrid_search.read.settings_file import load_settings

    given = {}
    for override in overrides or ():
        key, equals, value = override.partition("=")
        if not equals:
            raise SettingsError(f"{override!r} is not KEY=VALUE", where="--set", remedy="Example: dense.model=none")
        given[key] = value
    return load_settings(path, given if url is None else {**given, "engine.url": url})
