"""How unlike the hits are, and what of a document's passages counts and is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.errors import QueryError

if TYPE_CHECKING:
    from hybrid_search.search.request import SearchOptions

PANEL = "Variety and passages"


@dataclass(frozen=True)
class DocumentOptions:
    """Diversity, limits, and how passages become documents."""

    diversity: Annotated[
        float | None,
        typer.Option(help="0 to 1: how much hits unlike those above them are preferred.", rich_help_panel=PANEL),
    ] = None
    max_per: Annotated[
        list[str] | None,
        typer.Option(help="brand=2: at most two hits of one brand; repeatable.", rich_help_panel=PANEL),
    ] = None
    collapse: Annotated[
        str | None,
        typer.Option(help="Rank documents by their best passage, sum:3, or first.", rich_help_panel=PANEL),
    ] = None

    def options(self) -> SearchOptions:
        """As the client takes them; QueryError for a value that no index could answer."""
        from hybrid_search.search.collapse import collapse_of
        from hybrid_search.search.mmr import Mmr

        collapse = True if self.collapse is None else self.collapse
        collapse_of(collapse)
        return {
            "diversity": None if self.diversity is None else Mmr(self.diversity),
            "max_per": self.max_per or None,
            "collapse": collapse,
        }


@dataclass(frozen=True)
class SpreadOptions(DocumentOptions):
    """The same, and what of a document's passages is shown."""

    show_passages: Annotated[int, typer.Option(help="Further passages to show of each hit.", rich_help_panel=PANEL)] = 0
    passages: Annotated[
        bool, typer.Option("--passages", help="Rank passages, not their documents.", rich_help_panel=PANEL)
    ] = False

    def options(self) -> SearchOptions:
        """As the client takes them.

        Raises:
            QueryError: passages and documents are to be ranked, or a value that no index could answer.
        """
        from hybrid_search.search.collapse import check_passages, collapse_of

        if self.passages and self.collapse is not None:
            raise QueryError("--collapse is for documents, and --passages ranks passages", remedy="Leave one out.")
        given = super().options()
        collapse = False if self.passages else given["collapse"]
        check_passages(self.show_passages, collapse_of(collapse))
        return {**given, "collapse": collapse, "passages": self.show_passages}
