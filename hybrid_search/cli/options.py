"""Options that several commands share, and the settings that they lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.errors import SettingsError
from hybrid_search.private_files import open_new

if TYPE_CHECKING:
    from hybrid_search.settings import Settings

SettingsFile = Annotated[Path | None, typer.Option("--settings", "-s", help="The settings, a TOML file.")]
Url = Annotated[str | None, typer.Option("--url", help="The cluster (default: the local node).")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: dense.model=NAME. Repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Index = Annotated[str, typer.Argument(help="The index, or an alias of one.")]
Source = Annotated[str, typer.Argument(help="A file, a folder, a quoted pattern, hf:NAME, es:INDEX, os:INDEX, or -.")]
Sources = Annotated[
    list[str], typer.Argument(help="Files, folders, a quoted pattern, hf:NAME, es:INDEX, os:INDEX, or -.")
]
Queries = Annotated[Path, typer.Option(help="JSON lines, TSV, or a BEIR folder.")]
Split = Annotated[str, typer.Option(help="Which judgements of a BEIR folder.")]
Format = Annotated[str | None, typer.Option(help="The source's format where its name does not tell.")]
RecordsPath = Annotated[
    str | None, typer.Option("--records", help="Where in a JSON or XML file the records are: data.rows.")
]
Query = Annotated[
    str | None,
    typer.Option("--query", "--source-query", help="What is asked of a database (SELECT ...) or index (year>=2020)."),
]
SourceUrl = Annotated[
    str | None, typer.Option("--source-url", help="The cluster of es:NAME or os:NAME (default: the target's).")
]
URLS = {"engine.url": ("--url", "URL"), "source.url": ("--source-url", "SOURCE_URL")}
"""Addresses by their keys: the option and the variable that give them."""
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Also read what links lead to outside of a folder.")]
MaxBad = Annotated[str, typer.Option(help="The most records that may be left out: 1%, 500 or all.")]
MaxRemoved = Annotated[str, typer.Option(help="The most documents that may go: 10%, 500 or all.")]


def settings_of(
    path: Path | None,
    url: str | None,
    overrides: list[str] | None = None,
    *,
    follow_links: bool = False,
    source_url: str | None = None,
) -> Settings:
    """The settings of a file, the environment, ``--set``, the addresses and ``--follow-links``; the later ones win."""
    from hybrid_search.read.settings_file import load_settings

    given = {}
    for override in overrides or ():
        key, equals, value = override.partition("=")
        if not equals:
            raise SettingsError(
                f"{_key_in(override)} is not KEY=VALUE", where="--set", remedy="Example: dense.model=none"
            )
        given[key] = value
    if url is not None:
        given["engine.url"] = url
    if source_url is not None:
        given["source.url"] = source_url
    if follow_links:
        given["documents.follow_links"] = "true"
    settings = load_settings(path, given)
    for note in _notes(given):
        typer.echo(note, err=True)
    return settings


def _key_in(override: str) -> str:
    """What may be shown of a malformed override: the key that it begins with; the rest may be a secret."""
    from hybrid_search.read.settings_file import TYPES

    begun = [key for key in TYPES if override.startswith(key)]
    return f"{max(begun, key=len)} ..." if begun else "an override"


def _notes(given: Mapping[str, str]) -> Iterator[str]:
    """Where a secret would be safer: other users of the machine can read the arguments of every program."""
    from hybrid_search.addresses import MASK, masked
    from hybrid_search.read.settings_file import PREFIX, SECRET_KEYS

    for key, value in given.items():
        if key in SECRET_KEYS:
            where, variable = f"--set {key}", f"{PREFIX}{key.upper().replace('.', '_')}"
        elif key in URLS and MASK in masked(value):
            where, variable = URLS[key][0], f"{PREFIX}{URLS[key][1]}"
        else:
            continue
        yield f"The secret in {where} stands in the process list for all users of this machine: set {variable} instead"


def write_settings(path: Path, text: str) -> None:
    """Write settings to a file; SettingsError where that cannot be done."""
    try:
        with open_new(path) as file:
            file.write(text)
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror})", where=str(path)) from error
