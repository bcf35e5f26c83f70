"""Searches at the same time: encoded together, each text once, within bounds, and gone when they are cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fakes import PlaneEncoder, async_connection, connection
from test_search_client import respond

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.errors import BusyError, ModelBusyError, ModelError
from hybrid_search.evaluate import time_searches
from hybrid_search.records import Query
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.search.model_queue import TOGETHER
from hybrid_search.search.query_cache import LONGEST, QueryCache, QueryVectors, joined, rows_of
from hybrid_search.search.steps import Encode, Encoded
from hybrid_search.search.workers import ModelWorkers
from hybrid_search.settings import SearchSettings, Settings


def vector(text: str) -> np.ndarray:
    """A vector that tells texts apart."""
    return np.array([len(text) + 1.0, float(sum(map(ord, text)) + 1)], dtype=np.float32)


class Apart(PlaneEncoder):
    """Every text has a vector of its own; it is held until ``released``, and says when it is ``busy``."""

    def __init__(self, *, held: bool = False) -> None:
        super().__init__()
        self.busy, self.released = threading.Event(), threading.Event()
        if not held:
            self.released.set()

    def encode_queries(self, texts):
        self.busy.set()
        assert self.released.wait(60)
        encoded = super().encode_queries(texts)
        return EncodedTexts(np.stack([vector(text) for text in texts]), encoded.sparse)


def settings(**search) -> Settings:
    return Settings(search=SearchSettings(timeout=60, **search))


def waiting(client, count: int) -> None:
    """Wait until so many searches wait for the encoder, which has begun another call."""
    queue = client._workers._encoding
    while not (queue._running and len(queue) >= count):
        time.sleep(0.001)


def got_its_own(result, text: str) -> bool:
    """Whether the result is of this text, searched by its own vectors."""
    query = result.query
    letters = {letter: 1.0 for letter in set(text) if letter.isalpha()}
    return (query.text, query.sparse, result.degraded) == (text, letters, {}) and (query.dense == vector(text)).all()


async def test_a_thousand_searches_are_encoded_in_few_calls() -> None:
    """Each gets its own vectors; 1,000 texts of which 250 differ are 250 texts in at least four calls of 64."""
    model = Apart()
    async with AsyncSearchClient(
        "docs", settings=settings(), encoder=model, connection=async_connection(respond)
    ) as client:
        texts = [f"query {n % 250}" for n in range(1000)]
        results = await asyncio.gather(*(client.search(text) for text in texts))
    assert all(got_its_own(result, text) for result, text in zip(results, texts, strict=True))
    assert sorted(text for call in model.texts for text in call) == sorted(set(texts))
    assert max(map(len, model.texts)) <= TOGETHER
    assert len(model.texts) < 50


def test_searches_of_threads_are_encoded_together() -> None:
    """What comes while the encoder works is its next call; what was encoded before is not again."""
    model = Apart(held=True)
    with (
        SearchClient("docs", settings=settings(), encoder=model, connection=connection(respond)) as client,
        ThreadPoolExecutor(20) as threads,
    ):
        first = threads.submit(client.search, "first")
        assert model.busy.wait(60)
        others = [threads.submit(client.search, f"text {n % 4}") for n in range(16)]
        waiting(client, 16)
        model.released.set()
        assert got_its_own(first.result(), "first")
        assert all(got_its_own(search.result(), f"text {n % 4}") for n, search in enumerate(others))
        assert got_its_own(client.search("first"), "first")
    assert [sorted(call) for call in model.texts] == [["first"], [f"text {n}" for n in range(4)]]


def test_requests_of_other_threads_pass_while_the_encoder_works() -> None:
    """BM25 alone is answered, and so is who brings what was encoded before, while the encoder is held."""
    model = Apart()
    with (
        SearchClient("docs", settings=settings(), encoder=model, connection=connection(respond)) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        client.search("known")
        model.busy.clear()
        model.released.clear()
        held = threads.submit(client.search, "held")
        assert model.busy.wait(60)
        assert len(client.search("words", legs=["bm25"])) == 2
        assert got_its_own(client.search("known"), "known")
        assert not held.done()
        model.released.set()
        assert got_its_own(held.result(), "held")


def test_a_search_that_is_alone_is_not_held_up() -> None:
    """Nobody else is in progress, so nobody is waited for: its call is the next at once."""
    waited = []
    workers = ModelWorkers()
    queue = workers._encoding
    linger = queue._changed.wait_for
    queue._changed.wait_for = lambda check, timeout=None: waited.append(timeout) or linger(check, timeout)
    workers.begin(lambda step: step.texts, Encode(["q"], 60), together=False).answer()
    workers.close()
    assert set(waited) == {None}


class OneBad(Apart):
    """It fails on every call with a text that holds ``bad``."""

    def encode_queries(self, texts):
        encoded = super().encode_queries(texts)
        if any("bad" in text for text in texts):
            raise ModelError("cannot read it")
        return encoded


async def test_a_text_that_cannot_be_encoded_harms_nobody_else() -> None:
    """Its own search says so; those that were encoded with it are encoded again, one by one."""
    model = OneBad(held=True)
    async with AsyncSearchClient(
        "docs", settings=settings(), encoder=model, connection=async_connection(respond)
    ) as client:
        texts = ["first", "good", "bad", "better"]
        searches = [asyncio.create_task(client.search(texts[0]))]
        assert await asyncio.to_thread(model.busy.wait, 60)
        searches += [asyncio.create_task(client.search(text)) for text in texts[1:]]
        await asyncio.to_thread(waiting, client, 3)
        model.released.set()
        results = dict(zip(texts, await asyncio.gather(*searches), strict=True))
    assert {text for text, result in results.items() if result.degraded} == {"bad"}
    assert all(got_its_own(results[text], text) for text in ("first", "good", "better"))


async def test_one_search_too_many_is_refused() -> None:
    """At once, and with what to do; when one has ended the next is taken on."""
    model = Apart(held=True)
    async with AsyncSearchClient(
        "docs", settings=settings(concurrency=3), encoder=model, connection=async_connection(respond)
    ) as client:
        searches = [asyncio.create_task(client.search(f"q{n}")) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match=r"3 searches are in progress.*Try again .* raise search\.concurrency"):
            await client.search("one more")
        model.released.set()
        assert all(len(result) == 2 for result in await asyncio.gather(*searches))
        assert len(await client.search("one more")) == 2


def test_the_synchronous_client_is_bounded_too() -> None:
    """Here a thread more is refused."""
    model = Apart(held=True)
    with (
        SearchClient("docs", settings=settings(concurrency=1), encoder=model, connection=connection(respond)) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        first = threads.submit(client.search, "first")
        assert model.busy.wait(60)
        with pytest.raises(BusyError):
            client.search("second")
        model.released.set()
        assert len(first.result()) == 2


async def test_a_model_that_stalls_a_cancelled_search_is_not_waited_for() -> None:
    """He who asked has gone, and would have given it a tenth of a second: after that nobody waits for its answer."""
    workers, busy, held = ModelWorkers(), threading.Event(), threading.Event()

    def ask(_):
        busy.set()
        held.wait()

    search = asyncio.create_task(workers.begin(ask, Encode(["first"], 0.1), together=False).awaited())
    assert await asyncio.to_thread(busy.wait, 60)
    search.cancel()
    await asyncio.wait({search})
    while not workers._encoding.is_stalled:
        await asyncio.to_thread(held.wait, 0.01)
    with pytest.raises(ModelBusyError, match="it has not answered an earlier search"):
        workers.begin(ask, Encode(["second"], 60), together=False)
    assert workers._encoding.breaker.admit() is None
    held.set()
    workers.close()


async def test_cancelled_searches_leave_nothing_behind() -> None:
    """Held in the queue of the encoder: nothing of them is encoded, counted or kept in a queue."""
    model = Apart(held=True)
    async with AsyncSearchClient(
        "docs", settings=settings(), encoder=model, connection=async_connection(respond)
    ) as client:
        searches = [asyncio.create_task(client.search(f"q{n}")) for n in range(100)]
        await asyncio.to_thread(waiting, client, 36)
        running = [list(call.texts) for call in client._workers._encoding._running]
        for search in searches:
            search.cancel()
        outcomes = await asyncio.gather(*searches, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert (client._admission.entered, len(client._workers._encoding)) == (0, 0)
        model.released.set()
        assert got_its_own(await client.search("after"), "after")
    assert [text for call in model.texts[:-1] for text in call] == [text for texts in running for text in texts]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60), st.integers(1, 12), st.integers(0, 3))
def test_whoever_is_cancelled_whatever_is_shared_the_others_are_answered(asked, limit, ahead) -> None:
    """Searches of ten texts, some cancelled after some turns of the loop, within any bound: each gets its own answer,
    is refused or cancelled; and nothing is left in progress."""

    async def all_of_them() -> None:
        async with AsyncSearchClient(
            "docs", settings=settings(concurrency=limit), encoder=Apart(), connection=async_connection(respond)
        ) as client:
            searches = []
            for number, is_cancelled in asked:
                search = asyncio.create_task(client.search(f"text {number}"))
                searches.append(search)
                for _ in range(ahead):
                    await asyncio.sleep(0)
                if is_cancelled:
                    search.cancel()
            outcomes = await asyncio.gather(*searches, return_exceptions=True)
            for (number, is_cancelled), outcome in zip(asked, outcomes, strict=True):
                if isinstance(outcome, asyncio.CancelledError):
                    assert is_cancelled
                else:
                    assert isinstance(outcome, BusyError) or got_its_own(outcome, f"text {number}")
            assert (client._admission.entered, len(client._workers._encoding)) == (0, 0)

    asyncio.run(all_of_them())


WORDS = st.text("ab", max_size=3)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=4), max_size=20), st.integers(0, 5))
def test_the_cache_holds_what_was_used_last(calls, size) -> None:
    """Against a plain list in order of use; what it gives is what the encoder made."""
    cache, used = QueryCache(size), list[str]()
    for texts in calls:
        for text, row in zip(texts, cache.found("f", texts), strict=True):
            assert (row is not None) == (text in used)
            assert row is None or (row.dense == vector(text)).all()
        used = _in_order_of_use(used, texts)[-size:] if size else []
        cache.keep("f", texts, [QueryVectors(vector(text), {}) for text in texts])
        assert len(cache) == len(used)


def _in_order_of_use(used: list[str], texts: list[str]) -> list[str]:
    """Texts that were used before, then those of now by their last use."""
    now = list(dict.fromkeys(reversed(texts)))[::-1]
    return [text for text in used if text not in now] + now


def test_vectors_of_other_models_are_others() -> None:
    """One text under two fingerprints is two entries; a long text, and what is no vector, is not kept."""
    cache = QueryCache(10)
    cache.keep("one", ["q", "x" * (LONGEST + 1), "nan"], [QueryVectors(vector("q"), None)] * 2 + [NOT_FINITE])
    assert len(cache) == 1
    assert cache.found("one", ["q", "nan"])[1] is None
    assert cache.found("other", ["q"]) == [None]
    assert cache.found(None, ["q"]) == [None]


NOT_FINITE = QueryVectors(np.array([np.nan, 1.0], dtype=np.float32), None)


@given(st.lists(WORDS, min_size=1, max_size=5), st.booleans(), st.booleans())
def test_what_is_taken_apart_is_joined_again(texts, has_dense, has_sparse) -> None:
    """An encoder's answer, row by row and together; nobody who changes it changes what is kept."""
    encoded = Encoded(
        EncodedTexts(
            np.stack([vector(text) for text in texts]) if has_dense else None,
            [dict.fromkeys(text, 1.0) for text in texts] if has_sparse else None,
        ),
        {"dense": {len(texts) - 1: (1, 2)}},
    )
    rows = rows_of(encoded, len(texts))
    again = joined(rows)
    assert again.cut == encoded.cut
    assert again.vectors.sparse == encoded.vectors.sparse
    assert (again.vectors.dense is None) == (not has_dense)
    if has_dense:
        assert np.array_equal(again.vectors.dense, encoded.vectors.dense)
        assert again.vectors.dense.dtype == np.float32
        again.vectors.dense[:] = 0
        assert np.array_equal(joined(rows).vectors.dense, encoded.vectors.dense)


@pytest.mark.parametrize(
    "answer",
    [None, "no vectors", Encoded(EncodedTexts(np.ones((2, 2), np.float32), None)), Encoded(EncodedTexts(None, 5))],
    ids=["none", "text", "two for three", "number"],
)
def test_what_is_no_answer_to_three_texts_is_not_taken_apart(answer) -> None:
    """Each search asks by itself then, and says what was wrong."""
    assert rows_of(answer, 3) is None


def test_a_wrong_answer_to_many_is_asked_again_one_by_one() -> None:
    """An encoder that gives one vector for several texts: each search says what it gave to its own text."""

    class Forgetful(PlaneEncoder):
        def encode_queries(self, texts):
            return super().encode_queries(texts[:1])

    with SearchClient("docs", settings=settings(), encoder=Forgetful(), connection=connection(respond)) as client:
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(client.search, [f"q{n}" for n in range(8)]))
        assert not any(result.degraded for result in results)
        several = client.search_many(["x", "y"])
        assert all("the encoder gave 1 vectors for 2 texts" in result.warnings[0] for result in several)


def test_what_is_timed_is_encoded_anew() -> None:
    """A query that was searched for before is encoded for each leg that reads it and for the whole search."""
    model = PlaneEncoder()
    with SearchClient("docs", settings=settings(), encoder=model, connection=connection(respond)) as client:
        client.search("q")
        client.search("q")
        assert model.texts == [["q"]]
        time_searches(client, [Query("q")])
        assert len(model.texts) >= 1 + 3
        client.search("q")
        before = len(model.texts)
        client.search("q")
        assert len(model.texts) == before
