"""An engine query of one's own in the place of the words of the BM25 leg."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.searching.found import PANEL
from hybrid_search.errors import QueryError

if TYPE_CHECKING:
    from hybrid_search.records import Query

OPTION = "--bm25-query"


@dataclass(frozen=True)
class ExpertOptions:
    """What the BM25 leg searches by."""

    bm25_query: Annotated[
        str | None,
        typer.Option(
            OPTION, help="A query of the engine for the BM25 leg, as JSON or a file of it.", rich_help_panel=PANEL
        ),
    ] = None

    def asked(self, text: str) -> str | Query:
        """The question, with that query where one is given.

        Raises:
            QueryError: it is no JSON, no file, or no clause.
        """
        if self.bm25_query is None:
            return text
        import orjson

        from hybrid_search.records import Query
        from hybrid_search.search.expert import engine_query

        try:
            query = Query(text, bm25=orjson.loads(_written(self.bm25_query)))
        except orjson.JSONDecodeError as error:
            raise QueryError(
                f"is no JSON: {error}", where=OPTION, remedy='Example: {"match": {"text": "lamp"}}'
            ) from None
        engine_query(query)
        return query


def _written(given: str) -> bytes | str:
    """What is given, or the content of the file that it names."""
    if given.lstrip().startswith(("{", "[")):
        return given
    try:
        return Path(given).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise QueryError(
            f"{given!r:.60} cannot be read ({reason})", where=OPTION, remedy="Give JSON or a file"
        ) from None
