"""The same for programs with an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self

from hybrid_search.documents.client import DocumentClient
from hybrid_search.filters import Filter
from hybrid_search.ingest.report import IngestReport
from hybrid_search.records import Document

HANDED_ON = 100
"""Documents that are handed on together: a thread for each would cost more than reading it."""


class AsyncDocumentClient:
    """:class:`DocumentClient` for an event loop, which it never blocks: what the engine is asked runs in threads.

    Every method takes, gives and raises what that of :class:`DocumentClient` does, and ``documents`` of :meth:`put` may
    be any iterable; it is iterated in a thread. Opened by ``await AsyncDocumentClient.open(...)``.
    """

    def __init__(self, client: DocumentClient) -> None:
        self._client = client

    @classmethod
    async def open(cls, index: str, **options: Any) -> Self:
        """A client with the options of :class:`DocumentClient`; raises what that raises."""
        return cls(await asyncio.to_thread(DocumentClient, index, **options))

    async def put(self, documents: Iterable[Document]) -> IngestReport:
        """See :meth:`DocumentClient.put`."""
        return await asyncio.to_thread(self._client.put, documents)

    async def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Document]:
        """See :meth:`DocumentClient.get`."""
        return await asyncio.to_thread(self._client.get, ids, vectors=vectors)

    async def find(
        self, filter: Filter | str | None = None, *, limit: int | None = None, vectors: bool = False
    ) -> AsyncIterator[Document]:
        """See :meth:`DocumentClient.find`."""
        found = await asyncio.to_thread(self._client.find, filter, limit=limit, vectors=vectors)
        reading = threading.Lock()  # a page that nobody waits for any more is still read, and closing waits for it

        def page() -> list[Document]:
            with reading:
                return list(islice(found, HANDED_ON))

        def end() -> None:
            with reading:
                if isinstance(found, Generator):  # gives up what the engine keeps for it
                    found.close()

        try:
            while documents := await asyncio.to_thread(page):
                for document in documents:
                    yield document
        finally:
            await asyncio.to_thread(end)

    async def count(self, filter: Filter | str | None = None) -> int:
        """See :meth:`DocumentClient.count`."""
        return await asyncio.to_thread(self._client.count, filter)

    async def delete(self, ids: Sequence[str]) -> int:
        """See :meth:`DocumentClient.delete`."""
        return await asyncio.to_thread(self._client.delete, ids)

    async def delete_where(self, filter: Filter | str | None, *, own: bool = False) -> int:
        """See :meth:`DocumentClient.delete_where`."""
        return await asyncio.to_thread(self._client.delete_where, filter, own=own)

    async def close(self) -> None:
        """See :meth:`DocumentClient.close`."""
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
