"""One deadline for the whole search: whoever does not answer in it is left out and named, and nobody waits for him."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import replace

import pytest
from search_fakes import PlaneEncoder, async_connection, connection, engine
from test_search_client import respond

from hybrid_search.errors import ModelBusyError, ModelTimeoutError, QueryError
from hybrid_search.records import Leg
from hybrid_search.search import AsyncSearchClient, Reranking, SearchClient
from hybrid_search.search.steps import Encode, Score
from hybrid_search.search.workers import ModelWorkers
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import SearchSettings, Settings

SHORT = Settings(search=SearchSettings(timeout=0.8))


class Stalled(PlaneEncoder):
    """An encoder and a reranker that do not answer before they are released."""

    name = "stalled"

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.thread: threading.Thread | None = None

    def encode_queries(self, texts):
        self.thread = threading.current_thread()
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

    first = workers.begin(ask, step, together=False)
    with pytest.raises(ModelTimeoutError, match=r"did not answer in 0\.05 s"):
        first.answer()
    with pytest.raises(ModelBusyError):
        await workers.begin(ask, replace(step), together=False).awaited()
    held.set()
    wait([first.future])
    assert workers.begin(ask, replace(step, patience=10.0), together=False).answer() == "mine"
    workers.close()


def test_a_stalled_model_does_not_keep_the_program_from_ending() -> None:
    """Its thread is a daemon."""
    with stalled() as model:
        client = SearchClient("docs", settings=SHORT, encoder=model, connection=connection(respond))
        client.search("q")
        assert model.thread.is_alive()
        assert model.thread.daemon
        client.close()


def test_nobody_waits_for_a_model_that_is_stalled() -> None:
    """After twice its time an encoder is not waited for, whatever time there is; once it has answered, it is asked."""
    with stalled() as model:
        client = SearchClient("docs", settings=SHORT, encoder=model, connection=connection(respond))
        encoder_is_late(client.search("first"))
        client.search("second")
        third = client.search("third", timeout=600)
        assert "the encoder was busy: it has not answered an earlier search" in third.warnings[0]
        assert third.degraded == {Leg.DENSE: WarningCode.LEG_LATE, Leg.SPARSE: WarningCode.LEG_LATE}
        model.released.set()
        while client.search("fourth", timeout=60).degraded:
            model.thread.join(0.01)
        assert model.texts[-1] == ["fourth"]
        client.close()


class Slices:
    """A reranker that scores by the number in the text and is held at the first slice that holds number ``until``."""

    name = "slices"

    def __init__(self, until: int) -> None:
        self.until = until
        self.slices: list[int] = []
        self.released = threading.Event()

    def score(self, _, passages):
        numbers = [int(passage.removeprefix("text of d").partition("#")[0]) for passage in passages]
        self.slices.append(len(numbers))
        if self.until in numbers:
            self.released.wait()
        return [float(number) for number in numbers]


FORTY = {Leg.BM25: [(f"d{n:02}#0", 100.0 - n) for n in range(40)]}


def forty(request):
    """An index of forty documents, d00 first."""
    return respond(request) if request.path.endswith("_mapping") else engine(FORTY)(request)


def reranked_by(model, settings):
    client = SearchClient(
        "docs", settings=settings, encoder=PlaneEncoder(), reranker=model, connection=connection(forty)
    )
    try:
        return client.search("q", 40, legs=["bm25"], rerank=Reranking(40, 1.0))
    finally:
        model.released.set()
        client.close()


def test_what_was_scored_in_time_is_reranked_above_the_rest() -> None:
    """The first sixteen are scored and turned round; the reranker is held at the next: the rest keeps its order."""
    model = Slices(until=16)
    result = reranked_by(model, SHORT)
    assert model.slices[0] == 16
    assert [hit.id for hit in result] == [f"d{n:02}" for n in [*range(15, -1, -1), *range(16, 40)]]
    assert [hit.rerank is None for hit in result] == [False] * 16 + [True] * 24
    assert list(result.warnings) == ["reranked the first 16 of 40 hits: there was no time for more"]
    assert (result.degraded, result.reranker) == ({"rerank": WarningCode.RERANK_LATE}, "slices")


def test_a_reranker_that_is_quick_is_asked_twice() -> None:
    """Sixteen show that there is time for all others at once; the order is that of all forty together."""
    model = Slices(until=-1)
    result = reranked_by(model, Settings(search=SearchSettings(timeout=600)))
    assert model.slices == [16, 24]
    assert [hit.id for hit in result] == [f"d{n:02}" for n in range(39, -1, -1)]
    assert not result.warnings


class OutOfTime(Slices):
    """The same, but the slice with number ``until`` is late at once, and every other slice is scored."""

    def score(self, query, passages):
        held, self.until = self.until, -1
        scores = super().score(query, passages)
        self.until = held
        if held in scores:
            raise ModelTimeoutError("the reranker did not answer")
        return scores


ASKED = {"legs": ["bm25"], "rerank": Reranking(40, 1.0), "timeout": 600}


def only_the_first_is_reranked(results) -> None:
    """What the first query got stands; the others have the fused order and say so."""
    first, *others = results
    assert [hit.id for hit in first] == [f"d{n:02}" for n in [*range(15, -1, -1), *range(16, 40)]]
    for result in others:
        assert [hit.id for hit in result] == [f"d{n:02}" for n in range(40)]
        assert list(result.warnings) == ["not reranked: the reranker did not answer"]
        assert (result.degraded, result.reranker) == ({"rerank": WarningCode.RERANK_LATE}, None)


def test_a_batch_waits_once_for_a_reranker_that_is_late_with_a_later_slice() -> None:
    """It was late within the first query: the other queries do not wait for it too."""
    model = OutOfTime(until=16)
    with SearchClient("docs", encoder=PlaneEncoder(), reranker=model, connection=connection(forty)) as client:
        only_the_first_is_reranked(client.search_many(["q"] * 3, 40, **ASKED))
    assert model.slices == [16, 24]


async def test_a_batch_of_the_asynchronous_client_waits_once_for_it_too() -> None:
    """The same procedure behind the other client."""
    model = OutOfTime(until=16)
    async with AsyncSearchClient(
        "docs", encoder=PlaneEncoder(), reranker=model, connection=async_connection(forty)
    ) as client:
        only_the_first_is_reranked(await client.search_many(["q"] * 3, 40, **ASKED))
    assert model.slices == [16, 24]
