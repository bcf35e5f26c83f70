"""Searching by an image, beside a text or instead of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_text
from hybrid_search.cli.searching.found import PANEL
from hybrid_search.errors import QueryError

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
            QueryError: there is neither, or no such file, which is said before a model is loaded.
        """
        if self.image is None:
            return check_text(" ".join(words))
        if not self.image.is_file():
            what = "a folder" if self.image.is_dir() else "no file"
            raise QueryError(f"{self.image} is {what}", where="--image", remedy="Give the file of an image")
        return check_text(" ".join(words)) if words else ""

    def beside(self, asked: str | Query) -> str | Query:
        """The question with the image."""
        if self.image is None:
            return asked
        from dataclasses import replace

        from hybrid_search.records import Query

        return replace(Query(asked) if isinstance(asked, str) else asked, image=self.image)
