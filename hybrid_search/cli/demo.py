"""``hybrid-search demo``: the whole road in one command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

COLUMNS = 110


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    questions: Annotated[list[str] | None, typer.Argument(help="Your own questions about Python.")] = None,
    *,
    url: Annotated[
        str | None, typer.Option(envvar="HYBRID_SEARCH_URL", help="A cluster instead of the local node.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Also save it as a picture, of two questions.")] = None,
) -> None:
    """Start a real OpenSearch, index Python's documentation, answer five questions and explain the answers."""
    from hybrid_search import demo as demonstration
    from hybrid_search.printed.console import Console

    narrow = svg is None and sys.stdout.isatty()  # what goes to a file or a picture has room for every column
    console = Console(record=svg is not None, width=None if narrow else COLUMNS)
    demonstration.run(console, url, questions or (demonstration.QUESTIONS if svg is None else demonstration.PICTURED))
    if svg is not None:
        console.save_svg(str(svg), title="make demo")
