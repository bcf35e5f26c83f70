"""The asynchronous client: the same procedure, awaited."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload
from uuid import uuid4

from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.engine import AsyncConnection, connect_async
from hybrid_search.errors import AliasMovedError, HybridSearchError, ModelError
from hybrid_search.records import Query, SearchResult, StoredPassage
from hybrid_search.search.admission import Admission
from hybrid_search.search.asking import Budget
from hybrid_search.search.client import begun_by, engine_settings, observed_search
from hybrid_search.search.duplicates import Mining
from hybrid_search.search.duplicates_pairs import groups
from hybrid_search.search.duplicates_records import (
    THRESHOLD,
    DuplicateGroup,
    MiningOptions,
    MiningRequest,
    SimilarPair,
)
from hybrid_search.search.opening import PASSING, open_target, opened_too_late
from hybrid_search.search.procedure import ResultOrError
from hybrid_search.search.query_cache import QueryCache
from hybrid_search.search.request import SearchOptions, SearchRequest
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.searcher import BATCH, Searcher, Wanted, open_searcher
from hybrid_search.search.similar import more_like
from hybrid_search.search.steps import Send, Single, Steps, T, boundary, run_async
from hybrid_search.search.telemetry import observing
from hybrid_search.search.tracing import headers_of
from hybrid_search.search.why_not import why_not
from hybrid_search.search.why_not_records import WhyNot
from hybrid_search.search.workers import ModelWorkers
from hybrid_search.settings import Settings
from hybrid_search.settings.section import MAX_SECONDS


class AsyncSearchClient:
    """Searches one index, many searches at a time; an asynchronous context manager.

    Takes what :class:`~hybrid_search.search.client.SearchClient` takes and raises what it raises, but opens when it
    is entered or first searches. Encoding and reranking have a thread of the client's own each, so that the event loop
    is never held up; searches that come together are encoded together. A search that is cancelled leaves nothing
    behind: its place in the encoder's queue is given up, and its connection closed, by which the engine stops it too.
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
        opaque_id: str | None = None,
    ) -> None:
        self._preference = uuid4().hex
        self._headers = headers_of(f"hybrid-search-{self._preference[:8]}" if opaque_id is None else opaque_id)
        self._index = index
        self._engine = engine_settings(settings, url)
        self._wanted = Wanted(settings or Settings(), encoder, reranker)
        self._owns_connection = connection is None
        self._connection = connection
        self._searcher: Searcher | None = None
        self._opening = asyncio.Lock()
        search = self._wanted.settings.search
        self._admission = Admission(search.concurrency)
        self._workers = ModelWorkers(search.cached_queries, lambda: self._admission.entered)

    @property
    def searcher(self) -> Searcher:
        """What was opened: the index and its schema, the settings and the models.

        Raises:
            HybridSearchError: nothing is open yet.
        """
        if self._searcher is None:
            raise HybridSearchError("the client is not open", remedy="Enter it first: async with client")
        return self._searcher

    @property
    def query_cache(self) -> QueryCache:
        """The vectors of the queries that were searched for last."""
        return self._workers.cache

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
    ) -> list[ResultOrError]: ...

    async def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: bool = False,
        **options: Unpack[SearchOptions],
    ) -> Sequence[ResultOrError]:
        """The same for many queries, 32 at a time; see :meth:`SearchClient.search_many`."""
        searcher, connection = await self._opened()
        with boundary():
            request = SearchRequest.of(k, **options)
            budget = searcher.budget(request) if len(queries) <= BATCH else None
            observed = observed_search(searcher, connection.where, queries, request)
        with observing(observed) as seen:
            asked = seen.joined(request)
            found = await self._run(
                lambda searcher: searcher.search(
                    queries, asked, return_errors=return_errors, budget=budget, watch=seen.stopwatch
                ),
                budget,
            )
            seen.found(found)
        return found

    async def retrieve(self, queries: Sequence[str | Query], **options: Unpack[SearchOptions]) -> list[Retrieved]:
        """What each leg found for each query, before fusion."""
        return await self._run(lambda searcher: searcher.retrieve(queries, SearchRequest.of(**options)))

    async def why_not(
        self, query: str | Query, doc_id: str, k: int | None = None, **options: Unpack[SearchOptions]
    ) -> WhyNot:
        """Why a document is not among the hits of a search; see :meth:`SearchClient.why_not`."""
        return await self._run(lambda searcher: why_not(searcher, query, doc_id, SearchRequest.of(k, **options)))

    async def more_like(self, doc_id: str, k: int | None = None, **options: Unpack[SearchOptions]) -> SearchResult:
        """The best hits for what is stored of a document; see :meth:`SearchClient.more_like`."""
        return await self._run(lambda searcher: more_like(searcher, doc_id, SearchRequest.of(k, **options)))

    def similar_pairs(
        self, threshold: float = THRESHOLD, **options: Unpack[MiningOptions]
    ) -> AsyncIterator[SimilarPair]:
        """Pairs of documents whose stored vectors are alike; see :meth:`SearchClient.similar_pairs`."""
        return self._mined(MiningRequest.of(threshold, **options))

    def duplicates(
        self, threshold: float = THRESHOLD, **options: Unpack[MiningOptions]
    ) -> AsyncIterator[DuplicateGroup]:
        """Groups of documents that hang together by such pairs, that with the best pair first."""
        return self._grouped(MiningRequest.of(threshold, **options))

    async def _grouped(self, request: MiningRequest) -> AsyncIterator[DuplicateGroup]:
        for group in groups([pair async for pair in self._mined(request)]):
            yield group

    async def _mined(self, request: MiningRequest) -> AsyncIterator[SimilarPair]:
        with Mining(request) as mining:
            while await self._run(mining.read):
                pass
            await asyncio.to_thread(deque, mining.compare(), 0)
            for pair in mining.best():
                yield pair

    async def passages(self, passage_ids: Sequence[str]) -> dict[str, str]:
        """The texts of passages by their ids; those that are gone are left out."""
        return await self._run(lambda searcher: searcher.passages(passage_ids))

    async def stored(self, passage_ids: Sequence[str]) -> dict[str, StoredPassage]:
        """Passages by their ids, with the fields of their documents; those that are gone are left out."""
        return await self._run(lambda searcher: searcher.stored(passage_ids))

    async def thumbnails(self, doc_ids: Sequence[str]) -> dict[str, bytes]:
        """A JPEG of the first image of each document, by its id; documents without one are left out."""
        return await self._run(lambda searcher: searcher.thumbnails(list(dict.fromkeys(doc_ids))))

    async def reopen(self) -> None:
        """Read anew what the index holds; see :meth:`SearchClient.reopen`."""
        with boundary():
            searcher, connection = await self._opened()
            await self._opened_again(connection, searcher, Budget(MAX_SECONDS))

    async def close(self) -> None:
        """Close the connection, unless the caller gave it, and end the threads of the models."""
        self._workers.close()
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
        if self._searcher is None or self._connection is None:
            async with self._opening:
                if self._connection is None:
                    self._connection = await connect_async(self._engine)
                if self._searcher is None:
                    self._searcher = await self._open(self._connection)
        return self._searcher, self._connection

    async def _opened_again(
        self, connection: AsyncConnection, stale: Searcher, budget: Budget, *, only_look: bool = False
    ) -> Searcher:
        """The searcher of what the name stands for now; see :meth:`SearchClient._opened_again`."""
        if only_look and self._opening.locked():
            return self._searcher or stale
        try:
            await asyncio.wait_for(self._opening.acquire(), budget.left)
        except TimeoutError:
            raise opened_too_late(budget, self._index) from None
        try:
            if self._searcher is stale:
                try:
                    within = budget.for_a_look if only_look else budget.left / 2
                    self._searcher = await self._open(connection, stale, within)
                except PASSING:
                    self._searcher = replace(stale, opened_at=time.monotonic())
            return self._searcher or stale
        finally:
            self._opening.release()

    async def _open(
        self, connection: AsyncConnection, before: Searcher | None = None, within: float | None = None
    ) -> Searcher:
        steps = open_target(
            self._index,
            connection.dialect,
            connection.where,
            preference=self._preference,
            timeout=within,
            headers=self._headers,
        )
        opened, target = await run_async(steps, partial(self._carry_out, connection, None))
        with boundary():
            return await asyncio.to_thread(open_searcher, opened, target, self._wanted, before=before)

    async def _run(self, steps: Callable[[Searcher], Steps[T]], budget: Budget | None = None) -> T:
        """Carry out a procedure that has this budget, if any; once more where the alias turns out to have moved."""
        with self._admission, boundary():
            searcher, connection = await self._opened()
            budget = budget or Budget(MAX_SECONDS)
            if searcher.is_due:
                searcher = await self._opened_again(connection, searcher, budget, only_look=True)
            try:
                return await run_async(steps(searcher), partial(self._carry_out, connection, searcher))
            except AliasMovedError:
                searcher = await self._opened_again(connection, searcher, budget)
            return await run_async(steps(searcher), partial(self._carry_out, connection, searcher))

    async def _carry_out(self, connection: AsyncConnection, searcher: Searcher | None, step: Single) -> Any:
        if isinstance(step, Send):
            return await connection.send(step.request)
        if searcher is None:
            raise ModelError("nothing is open that could answer")
        return await begun_by(self._workers, searcher, step).awaited()
