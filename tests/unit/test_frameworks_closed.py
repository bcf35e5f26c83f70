"""A store that is closed while a search of it is awaited."""

from __future__ import annotations

import asyncio

import pytest

from hybrid_search.errors import InputError
from hybrid_search.frameworks.index import _Awaited


async def test_who_awaits_a_search_hears_that_the_store_is_closed() -> None:
    """What is under way on the store's own loop is cancelled with it: nobody waits for an answer that never comes."""
    store, begun, ended = _Awaited(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    async def search() -> None:
        try:
            loop.call_soon_threadsafe(begun.set)
            await asyncio.sleep(3_600)
        finally:
            ended.append(True)

    awaiting = asyncio.create_task(store.awaited(search()))
    await begun.wait()
    await asyncio.to_thread(store.close)
    with pytest.raises(InputError, match="the store was closed while it was searched"):
        await asyncio.wait_for(awaiting, 5)
    assert ended == [True]
    store.close()
