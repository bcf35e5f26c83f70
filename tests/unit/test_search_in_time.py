"""No search ends later than its time, whatever stalls: every wait that is asked for is added up by a clock of the test.

What a search waits for is the engine, for as long as its request says, and a model, for as long as its step says. The
clock goes on by these waits alone, so that a busy machine changes nothing: what comes on top is the client's own work.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from search_fakes import DIALECT, SCHEMA, PlaneEncoder, async_connection, connection, engine
from test_search_client import respond
from urllib3.connection import HTTPConnection

from hybrid_search.engine.bounds import BoundedPool
from hybrid_search.engine.protocols import Answer
from hybrid_search.engine.secrets import NO_SECRETS
from hybrid_search.errors import EngineTimeoutError, ModelTimeoutError
from hybrid_search.records import Leg, Query
from hybrid_search.search import AsyncSearchClient, Reranking, SearchClient, asking, model_queue, procedure, workers
from hybrid_search.search.asking import Target
from hybrid_search.search.plan import plan_search
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.steps import Encode, Encoded, Score, Send, run, run_async
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import SearchSettings, Settings

TIME = 8.0
FORTY = {Leg.BM25: [(f"d{n:02}#0", 100.0 - n) for n in range(40)]}
STALLED = 1e6


class Clock:
    """Seconds that pass only where somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    @property
    def passed(self) -> float:
        return self.now - 100.0


@pytest.fixture
def clock(monkeypatch):
    """The clock of budgets, models and their queues."""
    found = Clock()
    for module in (asking, workers, model_queue):
        monkeypatch.setattr(module, "time", found)
    return found


@dataclass
class World:
    """Answers steps after the seconds of ``takes``, the next ones first, or says that there was no time."""

    clock: Clock
    takes: list[float]
    asked: list[type] = field(default_factory=list)

    def answer(self, step, since: float):
        """The clock is set to when the step, asked at ``since``, is answered or given up."""
        self.asked.append(type(step))
        takes = self.takes.pop(0) if self.takes else 0.0
        allowed = step.request.timeout if isinstance(step, Send) else step.patience
        assert allowed >= 0
        self.clock.now = max(self.clock.now, since + min(takes, allowed))
        if takes > allowed:
            raise EngineTimeoutError("late") if isinstance(step, Send) else ModelTimeoutError("late")
        return self._known(step)

    def _known(self, step):
        if isinstance(step, Send):
            return engine(FORTY)(step.request).body
        if isinstance(step, Score):
            return np.ones(len(step.passages), np.float32)
        return Encoded(PlaneEncoder().encode_queries(step.texts))

    def carry_out(self, step):
        return self.answer(step, self.clock.now)

    def begin(self, step):
        since = self.clock.now
        return lambda: self.answer(step, since)

    async def awaited(self, step):
        since = self.clock.now
        await asyncio.sleep(0)
        return self.answer(step, since)


def steps(overlap: bool, rerank: bool):
    request = SearchRequest(k=10, timeout=TIME)
    reranking = Reranking(40, 0.5) if rerank else None
    plan = plan_search(SCHEMA, SearchSettings(overlap=overlap), request, reranking=reranking)
    return procedure.search([Query("q")], plan, Target("docs", DIALECT, SCHEMA), reranker="r")


SECONDS = st.sampled_from([0.0, 0.1, 1.0, 5.0, TIME * 0.749, TIME, STALLED])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(takes=st.lists(SECONDS, max_size=12), overlap=st.booleans(), rerank=st.booleans(), awaited=st.booleans())
def test_whatever_stalls_the_search_ends_in_time(clock, takes, overlap, rerank, awaited) -> None:
    """Any steps slow or stalled, in any order, by both loops: it is answered, or says that it was late, within 8 s."""
    clock.now = 100.0
    world = World(clock, list(takes))
    if awaited:
        (found,) = asyncio.run(run_async(steps(overlap, rerank), world.awaited))
    else:
        (found,) = run(steps(overlap, rerank), world.carry_out, world.begin)
    assert clock.passed <= TIME + 1e-6
    if isinstance(found, Exception):
        assert isinstance(found, EngineTimeoutError)
    else:
        assert len(found) == 10 or Leg.BM25 in found.degraded


def test_a_fetch_has_time_though_a_leg_used_all_of_its_own(clock) -> None:
    """BM25 was asked early and has answered; the request of the other legs stalls: what BM25 found is still fetched."""
    world = World(clock, [0.0, 0.0, STALLED])
    (found,) = run(steps(overlap=True, rerank=False), world.carry_out, world.begin)
    assert [hit.id for hit in found] == [f"d{n:02}" for n in range(10)]
    assert found.degraded == {Leg.DENSE: WarningCode.LEG_LATE, Leg.SPARSE: WarningCode.LEG_LATE}
    assert world.asked == [Send, Encode, Send, Send]
    assert clock.passed < TIME


class Held(PlaneEncoder):
    """A model that does not answer before it is released."""

    name = "held"

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def encode_queries(self, texts):
        self.released.wait()
        return super().encode_queries(texts)

    def score(self, _, passages):
        self.released.wait()
        return np.ones(len(passages), np.float32)


class Stall:
    """A transport without an answer to searches, or to whatever its path holds, once it is ``on``."""

    def __init__(self, clock: Clock, path: str = "_msearch", *, on: bool = True) -> None:
        self.clock, self.path, self.on = clock, path, on

    def __call__(self, request):
        if self.on and self.path in request.path:
            self.clock.now += request.timeout
            raise EngineTimeoutError("no answer in time")
        if request.path == "/docs/_mapping":
            return Answer(200, {"docs-1": respond(request).body["docs"]})
        return respond(request) if request.path.endswith(("_msearch", "_analyze")) else Answer(200, {})


@pytest.fixture
def waits(clock, monkeypatch):
    """A wait for a model that is held takes the time that is allowed; one for another is a real one."""
    real_wait, real_await = workers.wait, asyncio.wait
    held = SimpleNamespace(encoder=False, reranker=False)

    def is_held(step):
        return held.encoder if isinstance(step, Encode) else held.reranker

    asked: dict = {}
    begin = workers.ModelWorkers.begin

    def noting(self, ask, step, **options):
        found = begin(self, ask, step, **options)
        asked[found.future] = step
        return found

    def waited(futures, timeout):
        if is_held(asked[futures[0]]):
            clock.now += timeout
        else:
            real_wait(futures)

    def wrapped(future):
        found = asyncio.wrap_future(future)
        asked[found] = asked[future]
        return found

    async def awaited(futures, **allowed):
        if is_held(asked[futures[0]]):
            clock.now += allowed["timeout"]
        else:
            await real_await(futures)

    monkeypatch.setattr(workers.ModelWorkers, "begin", noting)
    monkeypatch.setattr(workers, "wait", waited)
    monkeypatch.setattr(workers, "asyncio", SimpleNamespace(wait=awaited, wrap_future=wrapped))
    return held


CASES = {
    "transport": (Stall, False, False),
    "encoder": (None, True, False),
    "reranker": (None, False, True),
    "all": (Stall, True, True),
}


async def both(respond_, encoder, reranker, check) -> None:
    """The same search by both clients."""
    given = {"settings": Settings(), "encoder": encoder, "reranker": reranker}
    client = SearchClient("docs", connection=connection(respond_), **given)
    check(lambda: client.search("q", timeout=TIME))
    async with AsyncSearchClient("docs", connection=async_connection(respond_), **given) as other:
        search = asyncio.create_task(other.search("q", timeout=TIME))
        await asyncio.wait({search})
        check(search.result)
    client.close()


@pytest.mark.parametrize(("stall", "encoder", "reranker"), CASES.values(), ids=CASES)
async def test_neither_client_waits_longer(clock, waits, stall, encoder, reranker) -> None:
    """A stalled transport, encoder, reranker, or all of them: what is waited for adds up to no more than the time."""
    waits.encoder, waits.reranker = encoder, reranker
    models = [Held() if held else PlaneEncoder() for held in (encoder,)] + [Held()]
    if not reranker:
        models[1].released.set()

    def check(search):
        clock.now = max(clock.now, 100.0)
        if stall is None:
            result = search()
            assert result.degraded
            assert len(result) == 2
        else:
            with pytest.raises(EngineTimeoutError):
                search()
        assert clock.passed <= TIME + 1e-6
        clock.now = 100.0

    try:
        await both(Stall(clock, on=stall is not None), *models, check)
    finally:
        for model in models:
            getattr(model, "released", threading.Event()).set()


async def test_a_look_at_the_alias_takes_its_time_from_the_search(clock, monkeypatch) -> None:
    """The cluster does not say what the alias stands for: a quarter of the time, and the search has the rest."""
    stall = Stall(clock, "_mapping", on=False)
    given = {"settings": Settings(), "encoder": PlaneEncoder()}
    with SearchClient("docs", connection=connection(stall), **given) as client:
        async with AsyncSearchClient("docs", connection=async_connection(stall), **given) as other:
            stall.on = True
            monkeypatch.setattr("hybrid_search.search.searcher.FRESH", -1e9)
            assert len(client.search("q", timeout=TIME)) == 2
            assert clock.passed == 2.0
            assert len(await other.search("q", timeout=1.0)) == 2
            assert clock.passed == 2.25
            stall.path = "docs"
            with pytest.raises(EngineTimeoutError):
                client.search("q", timeout=TIME)
            assert clock.passed <= 2.25 + TIME


def test_connecting_and_answering_share_the_time_of_a_request() -> None:
    """urllib3 would give a number of seconds to each of them; aiohttp gives it to both."""
    given = {}

    def urlopen(*_, **options):
        given.update(options)
        raise EngineTimeoutError("enough seen")

    pool = BoundedPool(SimpleNamespace(ConnectionCls=HTTPConnection, urlopen=urlopen), NO_SECRETS)
    with pytest.raises(EngineTimeoutError):
        pool.urlopen("GET", "/", timeout=3.0)
    assert given["timeout"].total == 3.0
