"""The same for programs with an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
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
        try:
            while documents := await asyncio.to_thread(lambda: list(islice(found, HANDED_ON))):
                for document in documents:
                    yield document
        finally:
            close = getattr(found, "close", None)  # a generator has one, and gives up what the engine keeps for it
            if close is not None:
                await asyncio.to_thread(close)

    async def count(self, filter: Filter | str | None = None) -> int:
        """See :meth:`DocumentClient.count`."""
        return await asyncio.to_thread(self._client.count, filter)

    async def delete(self, ids: Sequence[str]) -> int:
        """See :meth:`DocumentClient.delete`."""
        return await asyncio.to_thread(self._client.delete, ids)

    async def delete_where(self, filter: Filter | str | None) -> int:
        """See :meth:`DocumentClient.delete_where`."""
        return await asyncio.to_thread(self._client.delete_where, filter)

    async def close(self) -> None:
        """See :meth:`DocumentClient.close`."""
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
