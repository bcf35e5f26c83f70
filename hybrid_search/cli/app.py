"""The application: all commands, and what becomes of their errors.

Nothing heavy is imported before a command runs, so that ``--help`` is immediate. Errors of the package's own tree
become one line on stderr and their exit status: 2 for input, 1 for failure. ``--debug`` shows the traceback. What
is printed goes through :mod:`hybrid_search.printed`.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib.metadata import version
from types import TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hybrid_search.cli import (
    attach,
    compare,
    copy,
    demo,
    duplicates,
    estimating,
    evaluate,
    index,
    init,
    judgements,
    mcp,
    models,
    node,
    search,
    serve,
    similar,
    sweep,
    train,
    tune,
    why_not,
)
from hybrid_search.errors import HybridSearchError
from hybrid_search.printed import guarded, hold_standard_descriptors

DEBUG_VARIABLE = "HYBRID_SEARCH_DEBUG"


class Commands(TyperGroup):
    """The group of all commands, in the order in which they were registered."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of use rather than of the alphabet."""
        del ctx
        return list(self.commands)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run with guarded standard output and error."""
        with guarded():
            return super().main(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error of the package ends it with one line and its exit status."""
        try:
            return super().invoke(ctx)
        except HybridSearchError as error:
            if os.environ.get(DEBUG_VARIABLE, "").lower() not in {"", "0", "no", "off", "false"}:
                raise
            typer.echo(f"hybrid-search: {error}", err=True)
            raise typer.Exit(error.exit_status) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
        "color": True,  # nothing is taken out of a text: all of it is made visible
    },
    help="Hybrid search for Elasticsearch and OpenSearch: BM25, dense and sparse legs, fused, reranked, explained.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hybrid-search {version('hybrid-search')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; also after a command's name.")] = False,
) -> None:
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


LOADING = (demo, node, init, estimating, index, attach, copy)
SEARCHING = (search, why_not, similar, duplicates, serve, models, mcp)
MEASURING = (evaluate, tune, compare, judgements, sweep, train)

for group in (*LOADING, *SEARCHING, *MEASURING):
    group.register(app)


def main() -> None:
    """Entry point of the ``hybrid-search`` command."""
    hold_standard_descriptors()
    sys.excepthook = _print_traceback
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        os.environ[DEBUG_VARIABLE] = "1"
        arguments.remove("--debug")
    app(args=arguments)


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback may quote what documents and engines say."""
    with guarded():
        typer.echo("".join(traceback.format_exception(kind, error, trace)), nl=False, err=True)
