"""How hits show why they were found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.searching.page import PANEL

if TYPE_CHECKING:
    from hybrid_search.search.request import SearchOptions


@dataclass(frozen=True)
class HighlightOptions:
    """Highlights, on the page and in JSON."""

    highlight: Annotated[
        bool,
        typer.Option(
            "--highlight", help="Show the words, terms or sentence that each hit was found by.", rich_help_panel=PANEL
        ),
    ] = False

    def options(self) -> SearchOptions:
        """As the client takes them."""
        return {"highlight": self.highlight}
