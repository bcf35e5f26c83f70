"""Machines that do a load together share its back-off: a fake engine that keeps the load's record and answers 429."""

from __future__ import annotations

from threading import Event

import msgspec
import pytest
from loading import FunctionTransport, bulk_answer
from test_ingest_backoff import POLICY, Clock, paced
from test_ingest_send import body

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.layout import STATE
from hybrid_search.engine.protocols import Answer
from hybrid_search.ingest.one_pace import LEAST, OnePace
from hybrid_search.ingest.pace import Refused
from hybrid_search.ingest.stages.body_size import BodySize
from hybrid_search.ingest.stages.send import Sender
from hybrid_search.ingest.state.cluster import IndexState, PushedBack, SharedLoad

BUSY = Answer(429, {"error": {"type": "es_rejected_execution_exception", "reason": "full"}, "status": 429})


class Engine:
    """Keeps one document by compare-and-set; refuses the first ``refusals`` bulk bodies, and writes while ``busy``."""

    def __init__(self, refusals=0) -> None:
        shared = SharedLoad("x", 4, since=1, removals=0, before=0)
        self.state, self.version, self.writes = IndexState(shared={"s": shared}), 1, 0
        self.refusals, self.busy = refusals, False
        self.connection = Connection(FunctionTransport(self.answer), None)

    def answer(self, request):
        if request.path.endswith("_bulk"):
            self.refusals -= 1
            return BUSY if self.refusals >= 0 else bulk_answer(request)
        if request.method == "GET":
            held = msgspec.to_builtins({STATE: self.state})
            return Answer(200, {"_source": held, "_seq_no": self.version, "_primary_term": 1, "found": True})
        if self.busy:
            return BUSY
        if request.params["if_seq_no"] != str(self.version):
            return Answer(409, {"error": {"type": "version_conflict_engine_exception", "reason": ""}, "status": 409})
        self.state = msgspec.json.decode(request.body, type=dict[str, IndexState])[STATE]
        self.version, self.writes = self.version + 1, self.writes + 1
        return Answer(200, {})

    @property
    def said(self):
        return self.state.shared["s"].pushed_back


@pytest.fixture
def two():
    """Two machines on one engine, with one clock: their paces, and what tells of them."""
    engine, clock = Engine(), Clock()
    paces = [paced(clock), paced(clock)]
    ones = [OnePace(engine.connection, "i", "s", n + 1, pace, clock=clock) for n, pace in enumerate(paces)]
    return engine, clock, paces, ones


def test_a_machine_that_is_refused_slows_down_the_other(two):
    """Its sender meets 429 twice; after one look of each the other waits as long, 2 failures, and is heard no more."""
    engine, clock, (here, there), (one, other) = two
    engine.refusals = 2
    size, stopped = BodySize(), Event()
    send = Sender(
        engine.connection.transport, "i", lambda _: None, size=size, policy=POLICY, stopped=stopped, pace=here
    )
    send._stopped = clock
    with here.also_telling(one.refused):
        assert send(body()).passages == 4
    one.exchange()
    assert engine.said == PushedBack(1, 1, 2)
    other.exchange()
    assert there.failures == 2
    there.taken(clock())
    for _ in range(3):
        one.exchange()
        other.exchange()
    assert (there.failures, engine.writes) == (1, 1)


def test_the_record_is_written_rarely(two):
    """Of 100 refusals in 12 seconds three words are told; what another has just said is not said again."""
    engine, clock, _, (one, other) = two
    for tick in range(100):
        clock.now = tick * 0.12
        one.refused(Refused(2))
        other.refused(Refused(2))
        one.exchange()
        other.exchange()
    assert engine.writes == 3
    assert LEAST == 5.0


def test_what_is_worse_is_said_at_once(two):
    """The other has heard of 1 failure and has 3."""
    engine, _, (here, _), (one, other) = two
    one.refused(Refused(1, 2.0))
    one.exchange()
    other.refused(Refused(3))
    other.exchange()
    one.exchange()
    assert (engine.said, here.failures) == (PushedBack(2, 2, 3), 3)


def test_what_was_heard_by_another_way_is_not_heard_again(two):
    """Its command has told it before, and two requests were taken since: it waits no longer for that."""
    _, clock, (_, there), (one, other) = two
    said = Refused(3)
    one.refused(said)
    one.exchange()
    there.hear(said)
    for _ in range(2):
        there.taken(clock())
    clock.now = 2.0
    other.exchange()
    assert there.failures == 1


def test_an_engine_that_refuses_that_too_is_told_later(two):
    """Nothing is raised; each waits by itself until then."""
    engine, _, (_, there), (one, other) = two
    engine.busy = True
    one.refused(Refused(1))
    one.exchange()
    other.exchange()
    assert there.failures == 0
    engine.busy = False
    one.exchange()
    other.exchange()
    assert there.failures == 1


def test_what_was_said_before_is_no_news(two):
    """Who joins, or goes on with a load that was killed, does not wait for what is long over; nor after its end."""
    engine, clock, (here, _), (one, other) = two
    one.refused(Refused(5))
    one.exchange()
    late = OnePace(engine.connection, "i", "s", 3, here, seen=engine.said, clock=clock)
    late.exchange()
    assert here.failures == 0
    engine.state = IndexState()
    other.refused(Refused(1))
    other.exchange()
    assert engine.writes == 1
