"""The asynchronous client: the same procedure, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.engine import AsyncConnection, connect_async
from hybrid_search.engine.indices import open_index_async
from hybrid_search.records import Query, SearchResult
from hybrid_search.search.client import engine_settings
from hybrid_search.search.procedure import Outcome
from hybrid_search.search.retrieve import Retrieved
from hybrid_search.search.searcher import Searcher, SearchOptions, open_searcher
from hybrid_search.search.steps import Send, Step, Steps, T, run_async
from hybrid_search.settings import Settings


class AsyncSearchClient:
    """Searches one index, many searches at a time; an asynchronous context manager.

    Takes what :class:`~hybrid_search.search.client.SearchClient` takes and raises what it raises, but opens when it
    is entered or first searches. Encoding and reranking run one after another in a thread of the client's own, so
    that the event loop is never held up. A search that is cancelled leaves nothing behind.
    """

    def __init__(
        self,
        index: str,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
        reranker: Reranker | None = None,
        connection: AsyncConnection | None = None,
    ) -> None:
        self._index = index
        self._engine = engine_settings(settings, url)
        self._open_searcher = partial(
            open_searcher, settings=settings or Settings(), encoder=encoder, reranker=reranker
        )
        self._owns_connection = connection is None
        self._connection = connection
        self._searcher: Searcher | None = None
        self._opening = asyncio.Lock()
        self._models = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hybrid-search-models")

    async def search(self, query: str | Query, k: int | None = None, **options: Unpack[SearchOptions]) -> SearchResult:
        """The best hits for one query; see :meth:`SearchClient.search`."""
        results = await self.search_many([query], k, **options)
        return results[0]

    @overload
    async def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: Literal[False] = False,
        **options: Unpack[SearchOptions],
    ) -> list[SearchResult]: ...

    @overload
    async def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: Literal[True],
        **options: Unpack[SearchOptions],
    ) -> list[Outcome]: ...

    async def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: bool = False,
        **options: Unpack[SearchOptions],
    ) -> Sequence[Outcome]:
        """The same for many queries, 32 at a time; see :meth:`SearchClient.search_many`."""
        searcher, connection = await self._opened()
        steps = searcher.search(queries, k, return_errors=return_errors, **options)
        return await self._run(steps, searcher, connection)

    async def retrieve(self, queries: Sequence[str | Query], **options: Unpack[SearchOptions]) -> list[Retrieved]:
        """What each leg found for each query, before fusion."""
        searcher, connection = await self._opened()
        return await self._run(searcher.retrieve(queries, **options), searcher, connection)

    async def close(self) -> None:
        """Close the connection, unless the caller gave it, and end the thread of the models."""
        self._models.shutdown(wait=False, cancel_futures=True)
        if self._owns_connection and self._connection is not None:
            await self._connection.close()

    async def __aenter__(self) -> Self:
        try:
            await self._opened()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _opened(self) -> tuple[Searcher, AsyncConnection]:
        """The searcher and its connection, opened by whoever comes first."""
        async with self._opening:
            if self._connection is None:
                self._connection = await connect_async(self._engine)
            if self._searcher is None:
                opened = await open_index_async(self._connection, self._index)
                load = partial(self._open_searcher, opened, self._connection.dialect)
                self._searcher = await asyncio.get_running_loop().run_in_executor(self._models, load)
        return self._searcher, self._connection

    async def _run(self, steps: Steps[T], searcher: Searcher, connection: AsyncConnection) -> T:
        async def carry_out(step: Step) -> Any:
            if isinstance(step, Send):
                return await connection.send(step.request)
            return await asyncio.get_running_loop().run_in_executor(self._models, searcher.ask_model, step)

        return await run_async(steps, carry_out)
