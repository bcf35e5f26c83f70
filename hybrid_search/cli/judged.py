"""The options of ``tune`` that say by which queries something is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_search.engine import Connection
    from hybrid_search.evaluate.known_items import KnownItems
    from hybrid_search.read import Qrels
    from hybrid_search.records import Query
    from hybrid_search.search import SearchClient

PANEL = "Judged queries"


@dataclass(frozen=True)
class JudgedQueries:
    """Queries and what is relevant to them."""

    queries: Annotated[
        Path | None, typer.Option(help="JSON lines, TSV, a BEIR folder, or ir_datasets:NAME.", rich_help_panel=PANEL)
    ] = None
    qrels: Annotated[
        Path | None,
        typer.Option(help="Judgements: TSV, TREC, a BEIR folder, or ir_datasets:NAME.", rich_help_panel=PANEL),
    ] = None
    split: Annotated[str, typer.Option(help="Which judgements of a BEIR folder.", rich_help_panel=PANEL)] = "test"

    def read(self) -> tuple[Sequence[Query], Qrels]:
        """The queries with their judgements; nothing where none are named.

        Raises:
            SettingsError: one is named without the other.
        """
        from hybrid_search import read

        if (self.queries is None) != (self.qrels is None):
            raise SettingsError("--queries and --qrels go together", remedy="Give both, or neither")
        if self.queries is None or self.qrels is None:
            return [], {}
        qrels = read.qrels(self.qrels, split=self.split)
        return read.queries(self.queries, empty=True), qrels

    @property
    def is_beir(self) -> bool:
        """Whether a document with the query's own id is left out."""
        from hybrid_search.read import is_beir

        return self.qrels is not None and is_beir(self.qrels)


@dataclass(frozen=True)
class JudgedOptions(JudgedQueries):
    """Judged queries; or, where there are none, queries made from the index."""

    known_items: Annotated[
        int | None,
        typer.Option(help="Without judgements: titles of this many documents, to find them by.", rich_help_panel=PANEL),
    ] = None

    def check(self, write: Path | None) -> None:
        """Judged queries or known items; by the latter nothing is written."""
        judged = self.queries is not None and self.qrels is not None
        if self.known_items is None and not judged:
            remedy = "Give --queries and --qrels, or, to look without judgements, --known-items 200"
            raise SettingsError("there is nothing to choose by", remedy=remedy)
        if self.known_items is not None and (self.queries is not None or self.qrels is not None):
            raise SettingsError("is for where there are no judgements", where="--known-items", remedy="Leave one out")
        if self.known_items is not None and write is not None:
            raise SettingsError(
                "settings are not chosen by known items, which flatter what matches words",
                where="--write",
                remedy="Judge queries, or take judgements from clicks: hybrid-search judgements clicks",
            )

    def known(self, client: SearchClient, connection: Connection) -> KnownItems | None:
        """The queries that are made from the index, where they are asked for."""
        from hybrid_search.evaluate.known_items import known_items

        return None if self.known_items is None else known_items(client, connection, self.known_items)
