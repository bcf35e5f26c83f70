"""A thousand searches at once on a real engine, and what it sees of one that is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from generated import filled, passages
from test_search_alias import VectorsOfText

from hybrid_search.engine import connect_async
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import EngineSettings, SearchSettings, Settings

SETTINGS = Settings(search=SearchSettings(timeout=600, window=5, k=3))


class Counting(VectorsOfText):
    """Keeps the texts of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []

    def encode_queries(self, texts):
        self.calls.append(list(texts))
        return super().encode_queries(texts)


def shown(result) -> list[tuple[str, float]]:
    assert not result.warnings
    return [(hit.id, round(hit.score, 6)) for hit in result]


async def test_a_thousand_searches_at_once_are_answered_right(engine_url, connection, index_name) -> None:
    """1,000 searches of 50 texts: each gets what it gets alone; 50 texts are encoded, in far fewer calls than 1,000."""
    name = filled(connection, index_name(), passages(200))
    texts = [f"{n % 50} coffee garden" for n in range(1000)]
    alone = SearchClient(name, connection=connection, encoder=VectorsOfText(), settings=SETTINGS)
    right = {text: shown(alone.search(text)) for text in texts[:50]}
    alone.close()
    model = Counting()
    async with (
        await connect_async(EngineSettings(url=engine_url)) as opened,
        AsyncSearchClient(name, connection=opened, encoder=model, settings=SETTINGS) as client,
    ):
        results = await asyncio.gather(*(client.search(text) for text in texts))
    assert [shown(result) for result in results] == [right[text] for text in texts]
    assert sorted(text for call in model.calls for text in call) == sorted(right)
    assert len(model.calls) <= 50


class Line:
    """A line to an engine, byte by byte; searches that are sent while it is ``held`` get no answer.

    ``asked`` is set when one has come, ``hung_up`` when its client has closed its side.
    """

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind)
        self.held = False
        self.asked, self.hung_up = asyncio.Event(), asyncio.Event()
        self.tasks: set[asyncio.Task] = set()

    async def pass_on(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        engine, there = await asyncio.open_connection(self.behind.hostname, self.behind.port)
        answers = asyncio.create_task(self._answer(engine, back))
        is_held = False
        while sent := await client.read(65536):
            there.write(sent)
            if self.held:
                is_held = True
                self.asked.set()
        if is_held:
            self.hung_up.set()
        answers.cancel()
        await asyncio.wait([answers])
        for side in (there, back):
            side.close()
            await asyncio.wait_for(side.wait_closed(), 60)

    async def _answer(self, engine: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while answered := await engine.read(65536):
            if not self.held:
                back.write(answered)


@asynccontextmanager
async def line(behind: str) -> AsyncIterator[tuple[Line, str]]:
    """A line, and the address where it is reached."""
    between = Line(behind)
    server = await asyncio.start_server(between.pass_on, "127.0.0.1", 0)
    async with server:
        yield between, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*between.tasks, return_exceptions=True)


@pytest.mark.parametrize("overlap", [False, True], ids=["one request", "overlap"])
async def test_a_search_that_is_cancelled_hangs_up(engine_url, connection, index_name, overlap) -> None:
    """The engine sees the connection closed, by which it stops the search; the client goes on with others."""
    name = filled(connection, index_name(), passages(20))
    settings = Settings(search=SearchSettings(timeout=600, overlap=overlap))
    async with (
        line(engine_url) as (between, url),
        await connect_async(EngineSettings(url=url, timeout=600)) as opened,
        AsyncSearchClient(name, connection=opened, encoder=VectorsOfText(), settings=settings) as client,
    ):
        await client.search("1 coffee")
        between.held = True
        search = asyncio.create_task(client.search("2 garden"))
        await asyncio.wait_for(between.asked.wait(), 60)
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        await asyncio.wait_for(between.hung_up.wait(), 60)
        assert client._admission.entered == 0
        between.held = False
        assert len(await client.search("3 stone")) == 10
