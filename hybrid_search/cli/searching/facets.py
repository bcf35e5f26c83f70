"""What is counted beside the hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hybrid_search.search.request import SearchOptions

PANEL = "What is counted"


@dataclass(frozen=True)
class FacetOptions:
    """Facets, in their short form."""

    facet: Annotated[
        list[str] | None,
        typer.Option(
            "--facet",
            help="brand, brand:20, price:10,50, published:month, price:min-max; repeatable.",
            rich_help_panel=PANEL,
        ),
    ] = None
    facet_counts: Annotated[
        str,
        typer.Option(
            help="candidates (of the list), filter (all that pass it), or bm25 (all with a word).",
            rich_help_panel=PANEL,
        ),
    ] = "candidates"

    def options(self) -> SearchOptions:
        """As the client takes them."""
        return {"facets": self.facet or (), "facet_counts": self.facet_counts}
