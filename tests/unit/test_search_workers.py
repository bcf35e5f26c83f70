"""Encoder and reranker each in a thread of its own: who waits for whom, and for how long."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from search_fakes import PlaneEncoder, async_connection, connection
from test_search_client import respond

from hybrid_search.errors import ModelError
from hybrid_search.records import Leg
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.search.steps import Encode
from hybrid_search.search.workers import ModelWorkers
from hybrid_search.settings import SearchSettings, Settings


class Held:
    """A reranker that is busy until it is released."""

    name = "held"

    def __init__(self) -> None:
        self.busy, self.released = threading.Event(), threading.Event()

    def score(self, _, passages):
        self.busy.set()
        assert self.released.wait(10)
        return [1.0] * len(passages)


def test_a_search_without_reranking_does_not_wait_for_one_that_reranks() -> None:
    """The reranker is busy; encoder and engine answer others all the same."""
    held = Held()
    with (
        SearchClient("docs", encoder=PlaneEncoder(), reranker=held, connection=connection(respond)) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        reranking = threads.submit(client.search, "slow")
        assert held.busy.wait(10)
        assert [hit.id for hit in client.search("quick", rerank=False)] == ["a", "b"]
        assert not reranking.done()
        held.released.set()
        assert reranking.result().reranker == "held"


async def test_the_asynchronous_client_does_not_wait_either() -> None:
    """The same threads behind the other client."""
    held = Held()
    opening = AsyncSearchClient("docs", encoder=PlaneEncoder(), reranker=held, connection=async_connection(respond))
    async with opening as client:
        reranking = asyncio.create_task(client.search("slow"))
        assert await asyncio.to_thread(held.busy.wait, 10)
        assert len(await client.search("quick", rerank=False)) == 2
        assert not reranking.done()
        held.released.set()
        assert (await reranking).reranker == "held"


def test_a_busy_reranker_is_waited_for_no_longer_than_the_caller_allows() -> None:
    """After three tenths of a second the fused order is the answer, with the reason."""
    held, settings = Held(), Settings(search=SearchSettings(timeout=0.3))
    client = SearchClient(
        "docs", settings=settings, encoder=PlaneEncoder(), reranker=held, connection=connection(respond)
    )
    with client, ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.search, "slow", timeout=60)
        assert held.busy.wait(10)
        begin = time.perf_counter()
        result = client.search("quick")
        assert time.perf_counter() - begin < 5
        held.released.set()
        first.result()
    assert [hit.id for hit in result] == ["a", "b"]
    assert result.warnings[0].startswith("not reranked: the reranker was busy with other searches for 0.3 s")


def test_a_batch_waits_for_a_busy_model_once() -> None:
    """Thirty-two queries do not wait for the encoder and the reranker thirty-two times."""

    class Waiting(Held, PlaneEncoder):
        def __init__(self) -> None:
            Held.__init__(self)
            PlaneEncoder.__init__(self)

        def encode_queries(self, texts):
            if "hold" in texts:
                self.score("", texts)
            return super().encode_queries(texts)

    reranker, encoder = Held(), Waiting()
    settings = Settings(search=SearchSettings(timeout=0.2))
    client = SearchClient("docs", settings=settings, encoder=encoder, reranker=reranker, connection=connection(respond))
    with client, ThreadPoolExecutor(2) as threads:
        busy = [threads.submit(client.search, "slow", timeout=60)]
        assert reranker.busy.wait(10)
        busy.append(threads.submit(client.search, "hold", rerank=False, timeout=60))
        assert encoder.busy.wait(10)
        begin = time.perf_counter()
        results = client.search_many(["q"] * 32)
        assert time.perf_counter() - begin < 3
        for held in (reranker, encoder):
            held.released.set()
        for search in busy:
            search.result()
    assert all("the encoder was busy" in result.legs[Leg.DENSE].failure for result in results)
    assert all(result.warnings[-1].startswith("not reranked: the reranker was busy") for result in results)


async def test_a_busy_encoder_is_not_waited_for_for_ever() -> None:
    """Here too: an error that names the model, and nothing left in its queue."""
    workers, released, asked = ModelWorkers(), threading.Event(), []

    def ask(step):
        asked.append(step.texts)
        released.wait(10)

    first = asyncio.create_task(workers.begin(ask, Encode(["first"], 10), together=False).awaited())
    await asyncio.sleep(0.05)
    with pytest.raises(ModelError, match="the encoder was busy"):
        await workers.begin(ask, Encode(["second"], 0.05), together=False).awaited()
    released.set()
    await first
    await workers.begin(ask, Encode(["third"], 10), together=False).awaited()
    assert asked == [["first"], ["third"]]
    workers.close()


def test_a_closed_client_says_so() -> None:
    """Not an error of a thread pool."""
    workers = ModelWorkers()
    workers.close()
    with pytest.raises(ModelError, match="the client is closed"):
        workers.begin(lambda _: None, Encode(["q"], 1), together=False)
