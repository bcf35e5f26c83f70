"""Searching by an image, beside a text or instead of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_text
from hybrid_search.cli.searching.found import PANEL

if TYPE_CHECKING:
    from hybrid_search.records import Query


@dataclass(frozen=True)
class ImageOptions:
    """An image by which the dense leg searches."""

    image: Annotated[
        Path | None,
        typer.Option(help="An image that the dense leg searches by; a text is optional then.", rich_help_panel=PANEL),
    ] = None

    def text(self, words: list[str]) -> str:
        """The question, which only an image can stand for.

        Raises:
            QueryError: there is neither.
        """
        return "" if self.image is not None and not words else check_text(" ".join(words))

    def beside(self, asked: str | Query) -> str | Query:
        """The question with the image."""
        if self.image is None:
            return asked
        from dataclasses import replace

        from hybrid_search.records import Query

        return replace(Query(asked) if isinstance(asked, str) else asked, image=self.image)
