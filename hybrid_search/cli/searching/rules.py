"""Rules of a business on the ranking: boosts, and documents that are pinned or buried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hybrid_search.search.request import SearchOptions

PANEL = "Business rules"


@dataclass(frozen=True)
class RuleOptions:
    """What raises scores, and what stands first or last; where none is given, those of the settings."""

    boost: Annotated[
        list[str] | None,
        typer.Option(
            help="fresh:published,30d, log1p:sold,10000, saturation:rating,4; repeatable.", rich_help_panel=PANEL
        ),
    ] = None
    pin: Annotated[
        list[str] | None,
        typer.Option(help="The id of a document that stands first; repeatable, in order.", rich_help_panel=PANEL),
    ] = None
    bury: Annotated[
        list[str] | None,
        typer.Option(help="The id of a document that stands last; repeatable.", rich_help_panel=PANEL),
    ] = None

    def options(self) -> SearchOptions:
        """As the client takes them."""
        from hybrid_search.boosts import parse_boost

        boosts = None if not self.boost else [parse_boost(text) for text in self.boost]
        return {"boosts": boosts, "pin": self.pin or None, "bury": self.bury or None}
