"""The synchronous client."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

import msgspec

from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.engine import Connection, connect
from hybrid_search.engine.indices import open_index
from hybrid_search.read.settings_file import load_settings
from hybrid_search.records import Query, SearchResult
from hybrid_search.search.procedure import Outcome
from hybrid_search.search.retrieve import Retrieved
from hybrid_search.search.searcher import Searcher, SearchOptions, open_searcher
from hybrid_search.search.steps import Send, Step, run
from hybrid_search.settings import EngineSettings, Settings


class SearchClient:
    """Searches one index; safe to share between threads, and a context manager.

    Opening reads what the index holds, loads its models and refuses others. The client stays with the index that an
    alias stood for when it was opened.

    Args:
        index: an index or alias that hybrid-search made.
        url: the cluster, instead of that of ``settings``; without either, the local node.
        settings: models, fusion and engine; a model that is left at its default is the one that made the index.
        encoder: instead of the one that the settings name.
        reranker: instead of the one that the settings name.
        connection: an open one, which the caller closes, instead of a new one.

    Raises:
        IndexMissingError: no such index.
        IndexMismatchError: the index was made with other models, or not by this package.
        ModelError: a model cannot be found, loaded or trusted.
        EngineError: the cluster cannot be reached, or refuses.
    """

    def __init__(
        self,
        index: str,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
        reranker: Reranker | None = None,
        connection: Connection | None = None,
    ) -> None:
        self._owns_connection = connection is None
        self._connection = connect(engine_settings(settings, url)) if connection is None else connection
        self._models = threading.Lock()
        try:
            opened = open_index(self._connection, index)
            self._searcher = open_searcher(
                opened, self._connection.dialect, settings=settings or Settings(), encoder=encoder, reranker=reranker
            )
        except BaseException:
            self.close()
            raise

    @property
    def searcher(self) -> Searcher:
        """What was opened: the index and its schema, the settings and the models."""
        return self._searcher

    def search(self, query: str | Query, k: int | None = None, **options: Unpack[SearchOptions]) -> SearchResult:
        """The best hits for one query.

        Args:
            query: a text, or a :class:`Query` with vectors, a filter or an id of its own.
            k: hits on the page; None as in the settings.
            options: see :class:`SearchOptions`.

        Raises:
            QueryError: the query or an option is wrong; nothing was sent.
            EngineError: no leg could be searched. A leg that fails alone is named in the result's ``warnings``.
        """
        return self.search_many([query], k, **options)[0]

    @overload
    def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: Literal[False] = False,
        **options: Unpack[SearchOptions],
    ) -> list[SearchResult]: ...

    @overload
    def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: Literal[True],
        **options: Unpack[SearchOptions],
    ) -> list[Outcome]: ...

    def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: bool = False,
        **options: Unpack[SearchOptions],
    ) -> Sequence[Outcome]:
        """The same for many queries, encoded together and sent together, 32 at a time; results in order.

        With ``return_errors`` a query that is wrong or cannot be searched has its error in the place of its result,
        and the others are answered; without, the first error is raised.
        """
        steps = self._searcher.search(queries, k, return_errors=return_errors, **options)
        return run(steps, self._carry_out)

    def retrieve(self, queries: Sequence[str | Query], **options: Unpack[SearchOptions]) -> list[Retrieved]:
        """What each leg found for each query, before fusion: for evaluation and for fusions of one's own."""
        return run(self._searcher.retrieve(queries, **options), self._carry_out)

    def passages(self, passage_ids: Sequence[str]) -> dict[str, str]:
        """The texts of passages by their ids; those that are gone are left out."""
        return run(self._searcher.passages(passage_ids), self._carry_out)

    def close(self) -> None:
        """Close the connection, unless the caller gave it."""
        if self._owns_connection:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _carry_out(self, step: Step) -> Any:
        """One step; the models take one thread at a time: tokenizers refuse to be shared, and cores are busy anyway."""
        if isinstance(step, Send):
            return self._connection.send(step.request)
        with self._models:
            return self._searcher.ask_model(step)


def engine_settings(settings: Settings | None, url: str | None) -> EngineSettings:
    """The engine of ``settings``, else of the environment, at ``url`` where that is given."""
    engine = load_settings().engine if settings is None else settings.engine
    return engine if url is None else msgspec.structs.replace(engine, url=url)
