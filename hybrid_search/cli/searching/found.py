"""What is searched, and for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import named_legs

if TYPE_CHECKING:
    from hybrid_search.search.request import SearchOptions

PANEL = "What is found"


@dataclass(frozen=True)
class FoundOptions:
    """The legs, the filters and how the text is read."""

    legs: Annotated[
        str | None, typer.Option(help="The legs that search: bm25,dense,sparse.", rich_help_panel=PANEL)
    ] = None
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            help="field=value, price<100, day>=now-7d, name^=So; repeatable, all hold.",
            rich_help_panel=PANEL,
        ),
    ] = None
    syntax: Annotated[
        str, typer.Option(help='text, or simple: "quoted", -word, field:value, begin*, like~.', rich_help_panel=PANEL)
    ] = "text"

    def options(self) -> SearchOptions:
        """As the client takes them."""
        from hybrid_search.filters import parse_all

        return {"legs": named_legs(self.legs), "filter": parse_all(self.filters or ()), "syntax": self.syntax}
