"""The asynchronous client: many searches at once, cancellation, opening."""

from __future__ import annotations

import asyncio
import threading

import pytest
from search_fakes import SCHEMA, PlaneEncoder, async_connection, engine

from hybrid_search.engine.protocols import Answer
from hybrid_search.engine.templates import index_body
from hybrid_search.errors import IndexMismatchError, QueryError
from hybrid_search.records import Leg
from hybrid_search.search import AsyncSearchClient, Fusion
from hybrid_search.settings import Settings

RUNS = {Leg.BM25: [("a#0", 2.0), ("b#0", 1.0)], Leg.DENSE: [("b#0", 0.9), ("a#0", 0.5)]}


def respond(request):
    """Searches of :data:`RUNS` in an index of the plane encoder."""
    if request.path == "/docs/_mapping":
        return Answer(200, {"docs": {"mappings": index_body("opensearch", (3, 6, 0), SCHEMA)["mappings"]}})
    return engine(RUNS)(request)


def client(connection=None, encoder=None) -> AsyncSearchClient:
    return AsyncSearchClient(
        "docs",
        settings=Settings(),
        encoder=encoder or PlaneEncoder(),
        connection=connection or async_connection(respond),
    )


async def test_a_hundred_searches_wait_for_the_engine_together() -> None:
    """None of them blocks another, and each gets its own answer."""
    async with client(async_connection(respond, together=11)) as opened:
        results = await asyncio.gather(*(opened.search(f"query {n}", k=1) for n in range(100)))
    assert [result.query.text for result in results] == [f"query {n}" for n in range(100)]
    assert all([hit.id for hit in result] == ["b"] for result in results)


async def test_opening_happens_once() -> None:
    """Searches that come first together share one opening."""
    opened = []

    def counting(request):
        opened.extend([request.path] if request.path.endswith("_mapping") else [])
        return respond(request)

    searching = client(async_connection(counting))
    await asyncio.gather(*(searching.search("q") for _ in range(5)))
    await searching.close()
    assert opened == ["/docs/_mapping"]


async def test_encoding_never_holds_up_the_loop() -> None:
    """While the encoder is busy the loop runs other tasks."""
    busy, release = threading.Event(), threading.Event()

    class Slow(PlaneEncoder):
        def encode_queries(self, texts):
            busy.set()
            release.wait()
            return super().encode_queries(texts)

    async with client(encoder=Slow()) as opened:
        search = asyncio.create_task(opened.search("q"))
        await asyncio.to_thread(busy.wait)
        assert not search.done()
        release.set()
        assert len(await search) == 2


async def test_a_cancelled_search_leaves_the_client_usable() -> None:
    """Cancelling one search in the middle of its request does not touch the next."""
    connection = async_connection(respond, together=2)
    async with client(connection) as opened:
        search = asyncio.create_task(opened.search("q"))
        await connection.transport.arrived.wait()
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        connection.transport.released.set()
        assert len(await opened.search("q")) == 2


async def test_search_many_keeps_order_across_batches() -> None:
    """More queries than a batch holds are answered in the order in which they were asked."""
    encoder = PlaneEncoder()
    async with client(encoder=encoder) as opened:
        results = await opened.search_many([f"query {n}" for n in range(70)], k=1)
    assert [result.query.text for result in results] == [f"query {n}" for n in range(70)]
    assert [len(texts) for texts in encoder.texts] == [32, 32, 6]


async def test_a_leg_of_weight_zero_is_not_encoded() -> None:
    """Here too: what has no say costs nothing."""
    encoder = PlaneEncoder()
    async with client(encoder=encoder) as opened:
        result = await opened.search("q", fusion=Fusion("rrf", {Leg.BM25: 1, Leg.DENSE: 0, Leg.SPARSE: 0}))
    assert (encoder.texts, set(result.legs)) == ([], {Leg.BM25})


async def test_a_bad_query_is_refused() -> None:
    """The same errors as from the synchronous client."""
    async with client() as opened:
        with pytest.raises(QueryError, match="k is 0"):
            await opened.search("q", k=0)


async def test_other_models_are_refused_on_entering() -> None:
    """Opening compares the models of the index with those here, and closes what it opened."""

    with pytest.raises(IndexMismatchError, match="sparse"):
        async with client(encoder=OtherSparse()):
            raise AssertionError("opened with other models")


class OtherSparse(PlaneEncoder):
    """A sparse model with other weights."""

    sparse = type(PlaneEncoder.sparse)(kind="sparse", name="other letters", weights="2")
