"""Pages of one list, by cursor."""

from __future__ import annotations

from dataclasses import dataclass
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

    def say_next(self, result: SearchResult) -> None:
        """How the next page is asked for, on standard error: the page itself may go into a file."""
        if self.cursor is not None:
            following = result.cursor
            typer.echo("The list ends here." if following is None else f"Next page: --cursor {following}", err=True)
