"""What the text fields of the index weigh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.errors import QueryError

if TYPE_CHECKING:
    from hybrid_search.search.request import SearchOptions

PANEL = "How words count"


@dataclass(frozen=True)
class TextOptions:
    """The weights of text fields in BM25, and words that stand together; what is not given is as in the settings."""

    text_weights: Annotated[
        str | None,
        typer.Option(help="A weight for each text field: title=2,text=1; 0 leaves one out.", rich_help_panel=PANEL),
    ] = None
    phrase: Annotated[
        float | None, typer.Option(help="What all words in their order count more; 0 is off.", rich_help_panel=PANEL)
    ] = None
    proximity: Annotated[
        float | None, typer.Option(help="What all words near each other count more; 0 is off.", rich_help_panel=PANEL)
    ] = None

    def options(self) -> SearchOptions:
        """As the client takes them."""
        from hybrid_search.search.scored_text import TextScoring

        if all(given is None for given in (self.text_weights, self.phrase, self.proximity)):
            return {}
        given = [] if self.text_weights is None else [_weight(part) for part in self.text_weights.split(",")]
        if len(dict(given)) < len(given):
            raise QueryError("a field is given twice", where="--text-weights", remedy="Give each one weight.")
        return {"text": TextScoring(dict(given), self.phrase, self.proximity)}


def _weight(part: str) -> tuple[str, float]:
    name, equals, number = part.rpartition("=")
    try:
        return name.strip(), float(number if equals else "none")
    except ValueError:
        remedy = "Example: title=2,text=1"
        raise QueryError(f"{part!r} is no weight", where="--text-weights", remedy=remedy) from None
