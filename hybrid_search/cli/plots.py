"""The option ``--plots`` of commands that measure: their figures as PNG files, drawn by an extra."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import typer

from hybrid_search.errors import SettingsError
from hybrid_search.private_files import make_folder, write_bytes

HELP = "A new folder for the figures as PNG files (extra [plots])."


def check_plots(folder: Path | None) -> None:
    """Before anything is measured: a place that is free, and the library that draws.

    Raises:
        SettingsError: the folder is there and holds something, or cannot be made where it is to be.
        MissingExtraError: matplotlib is not installed.
    """
    if folder is None:
        return
    from hybrid_search.evaluate.plots import require_plots

    where = f"--plots {folder}"
    if not folder.parent.is_dir():
        raise SettingsError("no such folder", where=f"--plots {folder.parent}", remedy="Make it, or name another")
    if folder.exists() and not folder.is_dir():
        raise SettingsError("is no folder", where=where, remedy="Name a new one")
    if folder.is_dir() and any(folder.iterdir()):
        raise SettingsError("the folder holds files, which are not touched", where=where, remedy="Name a new one")
    require_plots()


def write_plots(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """Write the pictures; SettingsError where that cannot be done."""
    try:
        make_folder(folder)
        for name, picture in pictures.items():
            write_bytes(folder / name, picture)
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror})", where=f"--plots {folder}") from error
    typer.echo(f"{folder} holds {', '.join(pictures)}", err=True)
