"""The option ``--html`` of commands that measure: a report as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybrid_search.errors import SettingsError
from hybrid_search.private_files import open_new

Html = Annotated[Path | None, typer.Option("--html", help="A new HTML file: the report with its plots.")]


def write_page(path: Path, text: str) -> None:
    """Write the page; SettingsError where that cannot be done."""
    try:
        with open_new(path) as file:
            file.write(text)
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror})", where=f"--html {path}") from error
    typer.echo(f"{path} is written", err=True)


def check_new(path: Path | None, where: str) -> None:
    """Before queries are asked: what is there is not written over, and a folder that is not there is no place."""
    if path is not None and not path.parent.is_dir():
        raise SettingsError("no such folder", where=f"{where} {path}", remedy="Make it, or name another")
    if path is not None and path.exists():
        raise SettingsError("the file is there and is not touched", where=f"{where} {path}", remedy="Name a new one")
