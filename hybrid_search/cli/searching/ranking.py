"""How what is found is ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

if TYPE_CHECKING:
    from hybrid_search.search.request import SearchOptions

PANEL = "How it is ranked"


class RankingSettings(TypedDict):
    """What goes into the settings."""

    rerank: str | None
    weights: str | None
    rank_constant: int | None


@dataclass(frozen=True)
class RankingOptions:
    """Fusion and reranking; weights, rank constant and reranker go into the settings."""

    fusion: Annotated[
        str | None, typer.Option(help="rrf, min-max, z-score, theoretical-min, or server.", rich_help_panel=PANEL)
    ] = None
    weights: Annotated[
        str | None,
        typer.Option(help="A weight for each leg: bm25=.3,dense=.3,sparse=.4.", rich_help_panel=PANEL),
    ] = None
    rank_constant: Annotated[int | None, typer.Option(help="Rank constant of rrf.", rich_help_panel=PANEL)] = None
    window: Annotated[int | None, typer.Option(help="Documents that each leg ranks.", rich_help_panel=PANEL)] = None
    two_phase: Annotated[
        float | None,
        typer.Option(help="Sparse terms below this share of the heaviest only score.", rich_help_panel=PANEL),
    ] = None
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Compare with every vector, not by graph search.", rich_help_panel=PANEL),
    ] = False
    rerank: Annotated[
        str | None, typer.Option(help="late, the name of a cross-encoder, or none.", rich_help_panel=PANEL)
    ] = None

    def options(self) -> SearchOptions:
        """As the client takes them."""
        return {"fusion": self.fusion, "window": self.window, "two_phase": self.two_phase, "exact": self.exact}

    def settings(self) -> RankingSettings:
        """As :func:`~hybrid_search.cli.checks.searched_with` takes it."""
        return {"rerank": self.rerank, "weights": self.weights, "rank_constant": self.rank_constant}
