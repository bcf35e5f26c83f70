"""Pages of one list, by cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.searching.page import PANEL

if TYPE_CHECKING:
    from hybrid_search.records import SearchResult
    from hybrid_search.search.request import SearchOptions

FIRST = "first"


@dataclass(frozen=True)
class PagingOptions:
    """The cursor of the page before, or the word for the first page."""

    cursor: Annotated[
        str | None,
        typer.Option(
            metavar="first|CURSOR",
            help="Pages of one list: first, then what each page says of the next.",
            rich_help_panel=PANEL,
        ),
    ] = None

    def options(self) -> SearchOptions:
        """As the client takes them."""
        return {"cursor": None if self.cursor == FIRST else self.cursor}

    def going_on(self, show: Callable[[SearchResult, str], None], form: str) -> Callable[[SearchResult, str], None]:
        """Shows a page and how the next is asked for, on standard error: the page itself may go into a file.

        JSON has the cursor, always.
        """
        return show if self.cursor is None or form == "json" else partial(_show_page, show)


def _show_page(show: Callable[[SearchResult, str], None], result: SearchResult, query_id: str) -> None:
    show(result, query_id)
    cursor = result.cursor
    typer.echo("The list ends here." if cursor is None else f"Next page: --cursor {cursor}", err=True)
