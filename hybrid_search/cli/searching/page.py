"""What of the ranking is shown, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hybrid_search.search.request import SearchOptions

PANEL = "What is shown"


@dataclass(frozen=True)
class PageOptions:
    """The page, and the form in which it is printed."""

    k: Annotated[int | None, typer.Option("--k", "-k", help="Hits to show.", rich_help_panel=PANEL)] = None
    offset: Annotated[int, typer.Option(help="Hits to pass over.", rich_help_panel=PANEL)] = 0
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why each hit stands where it does.", rich_help_panel=PANEL)
    ] = False
    format: Annotated[
        str | None,
        typer.Option(help="table, json, tsv, trec (a run), ids, md. Of standard input: json.", rich_help_panel=PANEL),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=PANEL)] = False

    def options(self) -> SearchOptions:
        """As the client takes them; ``k`` it takes beside them."""
        return {"offset": self.offset}
