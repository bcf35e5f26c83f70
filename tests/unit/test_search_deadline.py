"""One deadline for the whole search: whoever does not answer in it is left out and named, and nobody waits for him."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from search_fakes import PlaneEncoder, async_connection, connection
from test_search_client import respond

from hybrid_search.errors import ModelBusyError, ModelTimeoutError, QueryError
from hybrid_search.records import Leg, WarningCode
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.search.steps import Encode, Score
from hybrid_search.search.workers import ModelWorkers
from hybrid_search.settings import SearchSettings, Settings

SHORT = Settings(search=SearchSettings(timeout=0.8))


class Stalled(PlaneEncoder):
    """An encoder and a reranker that do not answer before they are released."""

    name = "stalled"

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def encode_queries(self, texts):
        self.released.wait()
        return super().encode_queries(texts)

    def score(self, _, passages):
        self.released.wait()
        return [1.0] * len(passages)


@contextmanager
def stalled() -> Iterator[Stalled]:
    """One that is released in the end, so that its thread ends too."""
    model = Stalled()
    try:
        yield model
    finally:
        model.released.set()


def encoder_is_late(result) -> None:
    """BM25 answered, and the result says who did not."""
    assert [hit.id for hit in result] == ["a", "b"]
    assert result.degraded == {Leg.DENSE: WarningCode.LEG_LATE, Leg.SPARSE: WarningCode.LEG_LATE}
    assert "the dense leg failed: the encoder did not answer in" in result.warnings[0]


def reranker_is_late(result) -> None:
    """The fused order is the answer, and the result says why."""
    assert [hit.id for hit in result] == ["a", "b"]
    assert result.degraded == {"rerank": WarningCode.RERANK_LATE}
    assert result.warnings[0].startswith("not reranked: the reranker did not answer in")
    assert result.reranker is None


def test_a_stalled_encoder_is_not_waited_for() -> None:
    """The search is answered while the encoder is still held."""
    with stalled() as model:
        client = SearchClient("docs", settings=SHORT, encoder=model, connection=connection(respond))
        encoder_is_late(client.search("q"))
        assert not model.released.is_set()
        client.close()


def test_a_stalled_reranker_is_not_waited_for() -> None:
    """The search is answered while the reranker is still held; a batch waits for it once."""
    with stalled() as model:
        client = SearchClient(
            "docs", settings=SHORT, encoder=PlaneEncoder(), reranker=model, connection=connection(respond)
        )
        reranker_is_late(client.search("q"))
        for result in client.search_many(["q"] * 32):
            assert "not reranked" in result.warnings[0]
        assert not model.released.is_set()
        client.close()


async def test_the_asynchronous_client_waits_for_neither() -> None:
    """The same threads behind the other client; what they say later is dropped without a word."""
    for given, check in (
        (lambda model: {"encoder": model}, encoder_is_late),
        (lambda model: {"encoder": PlaneEncoder(), "reranker": model}, reranker_is_late),
    ):
        with stalled() as model:
            client = AsyncSearchClient("docs", settings=SHORT, connection=async_connection(respond), **given(model))
            check(await client.search("q"))
            assert not model.released.is_set()
            await client.close()
    await asyncio.sleep(0)


def test_the_time_can_be_given_with_the_search() -> None:
    """It is for that search alone; what is no time is refused."""
    with stalled() as model:
        client = SearchClient("docs", settings=Settings(), encoder=model, connection=connection(respond))
        encoder_is_late(client.search("q", timeout=0.8))
        for wrong in (0, -1, float("inf"), float("nan")):
            with pytest.raises(QueryError, match="a timeout of"):
                client.search("q", timeout=wrong)
        client.close()


@pytest.mark.parametrize("step", [Encode(["q"], 0.05), Score("q", ["p"], 0.05)], ids=["encoder", "reranker"])
async def test_an_answer_that_comes_later_is_dropped(step) -> None:
    """Who waited has gone; the next one gets his own answer, whatever the first raised."""
    workers, held = ModelWorkers(), threading.Event()

    def ask(asked):
        if asked is step:
            held.wait()
            raise RuntimeError("too late to matter")
        return "mine"

    with pytest.raises(ModelTimeoutError, match=r"did not answer in 0\.05 s"):
        workers.begin(ask, step, together=False).answer()
    with pytest.raises(ModelBusyError):
        await workers.begin(ask, replace(step), together=False).awaited()
    held.set()
    assert workers.begin(ask, replace(step, patience=10.0), together=False).answer() == "mine"
    workers.close()


def test_a_stalled_model_does_not_keep_the_program_from_ending() -> None:
    """Its thread is a daemon."""
    with stalled() as model:
        client = SearchClient("docs", settings=SHORT, encoder=model, connection=connection(respond))
        client.search("q")
        (thread,) = [one for one in threading.enumerate() if one.name == "hybrid-search-encoder" and one.is_alive()]
        assert thread.daemon
        client.close()
