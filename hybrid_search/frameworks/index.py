"""One index as the adapters see it: documents by their ids, and searches of both kinds.

Frameworks make a store before there is anything in it, search it from threads and from any number of event loops, and
seldom close it. So an index that is not there holds nothing; what a search needs is opened by the first one, and again
where the index turns out to have gained fields to filter on; and asynchronous searches run on an event loop of the
store's own, whichever loop they are awaited from.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from hybrid_search.documents import DocumentClient
from hybrid_search.encode import load_encoder
from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.engine import connect
from hybrid_search.engine.indices import open_index
from hybrid_search.errors import IndexMissingError, QueryError
from hybrid_search.fields import filter_kinds
from hybrid_search.frameworks.metadata_fields import with_fields_of
from hybrid_search.ingest.pipeline import PROGRAM
from hybrid_search.read.settings_file import load_settings
from hybrid_search.records import Document, IndexSchema, Query, SearchResult
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import Settings

T = TypeVar("T")


class FrameworkIndex:
    """One index for an adapter; safe to share between threads and event loops, and a context manager.

    Args:
        name: an index or alias.
        url: the cluster, instead of that of ``settings``; without either, the local node.
        settings: models, fusion and engine; None takes the defaults and the environment.
        encoder: instead of the one that the settings name.
        reranker: instead of the one that the settings name.
        source: under which documents are put; those of another source are not overwritten.

    Raises:
        EngineError: the cluster cannot be reached, or refuses.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
        reranker: Reranker | None = None,
        source: str = PROGRAM,
    ) -> None:
        settings = load_settings() if settings is None else settings
        if url is not None:
            settings = msgspec.structs.replace(settings, engine=msgspec.structs.replace(settings.engine, url=url))
        self.name = name
        self._settings = settings
        self._encoder = encoder
        self._reranker = reranker
        self._source = source
        self._connection = connect(settings.engine)
        self._documents = DocumentClient(name, settings=settings, connection=self._connection, source=source)
        self._opening = threading.RLock()
        self._putting = threading.Lock()
        self._client: SearchClient | None = None
        self._awaited: _Awaited | None = None

    def put(self, documents: Sequence[Document]) -> None:
        """Put documents in the place of those of the same ids; new keys of ``fields`` become fields to filter on.

        Raises what :meth:`~hybrid_search.documents.DocumentClient.put` raises.
        """
        if not documents:
            return
        with self._putting:
            schema = self._schema()
            known = () if schema is None else filter_kinds(schema)
            read = with_fields_of((one.fields for one in documents), known, self._settings.documents)
            settings = msgspec.structs.replace(self._settings, documents=read)
            client = DocumentClient(
                self.name,
                settings=settings,
                encoder=self._encoder_of(schema),
                connection=self._connection,
                source=self._source,
            )
            client.put(documents)
        if schema is None or read is not self._settings.documents:
            self.reopen()

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Document]:
        """The documents with these ids, in their order; those that are not there are left out."""
        return self._documents.get(ids, vectors=vectors)

    def delete(self, ids: Sequence[str]) -> int:
        """Delete the documents with these ids; how many were there."""
        return self._documents.delete(ids)

    def search(self, query: str | Query, k: int | None = None, **options: Any) -> SearchResult | None:
        """See :meth:`~hybrid_search.search.client.SearchClient.search`; None where the index is not there."""
        try:
            client = self._searching()
            try:
                return client.search(query, k, **options)
            except QueryError:
                before = client.searcher.target.schema
                client.reopen()
                if client.searcher.target.schema == before:
                    raise
                return client.search(query, k, **options)
        except IndexMissingError:
            return None

    async def asearch(self, query: str | Query, k: int | None = None, **options: Any) -> SearchResult | None:
        """The same, awaited."""
        awaited = self._own_loop()
        return await awaited.awaited(self._asearch(awaited, query, k, options))

    def reopen(self) -> None:
        """Let the next search read anew what the index holds; those under way are not disturbed."""
        with self._opening:
            client, awaited = self._client, self._awaited
        with suppress(IndexMissingError):
            if client is not None:
                client.reopen()
            if awaited is not None and awaited.client is not None:
                awaited.run(awaited.client.reopen())

    def close(self) -> None:
        """Close what was opened."""
        with self._opening:
            client, awaited = self._client, self._awaited
            self._client = self._awaited = None
        if awaited is not None:
            awaited.close()
        if client is not None:
            client.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _schema(self) -> IndexSchema | None:
        try:
            return open_index(self._connection, self.name).schema
        except IndexMissingError:
            return None

    def _encoder_of(self, schema: IndexSchema | None) -> TextEncoder | None:
        """The encoder that documents and queries share; loaded once, as the index asks for it where there is one."""
        with self._opening:
            if self._encoder is None and schema is None:
                self._encoder = load_encoder(self._settings)
            elif self._encoder is None:
                self._searching()
            return self._encoder

    def _searching(self) -> SearchClient:
        with self._opening:
            if self._client is None:
                self._client = SearchClient(
                    self.name,
                    settings=self._settings,
                    encoder=self._encoder,
                    reranker=self._reranker,
                    connection=self._connection,
                )
                self._encoder = self._encoder or self._client.searcher.encoder
                self._reranker = self._reranker or self._client.searcher.reranker
            return self._client

    def _own_loop(self) -> _Awaited:
        with self._opening:
            if self._awaited is None:
                self._awaited = _Awaited()
                weakref.finalize(self, self._awaited.close)
            return self._awaited

    async def _asearch(
        self, awaited: _Awaited, query: str | Query, k: int | None, options: dict[str, Any]
    ) -> SearchResult | None:
        """What :meth:`search` does, on the store's own loop."""
        try:
            client = await self._asearching(awaited)
            try:
                return await client.search(query, k, **options)
            except QueryError:
                before = client.searcher.target.schema
                await client.reopen()
                if client.searcher.target.schema == before:
                    raise
                return await client.search(query, k, **options)
        except IndexMissingError:
            return None

    async def _asearching(self, awaited: _Awaited) -> AsyncSearchClient:
        async with awaited.opening:
            if awaited.client is None:
                client = AsyncSearchClient(
                    self.name, settings=self._settings, encoder=self._encoder, reranker=self._reranker
                )
                awaited.client = await client.__aenter__()  # closed with the loop
                self._encoder = self._encoder or client.searcher.encoder
                self._reranker = self._reranker or client.searcher.reranker
            return awaited.client


class _Awaited:
    """An event loop in a thread of its own, and the client that lives on it."""

    def __init__(self) -> None:
        self.client: AsyncSearchClient | None = None
        self.opening = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._ending: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._live, name="hybrid-search-async", daemon=True)
        self._thread.start()

    async def awaited(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result, for whoever awaits it on another loop; one that is cancelled there is cancelled here."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result, for a thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """Close the client and end the thread; done twice it changes nothing.

        A store that nobody holds any more is found out by whichever thread happens to: also by this one, which cannot
        wait for itself.
        """
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _live(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _end(self) -> None:
        if self._ending is None:
            self._ending = self._loop.create_task(self._ended())

    async def _ended(self) -> None:
        try:
            if self.client is not None:
                await self.client.close()
        finally:
            self._loop.stop()
