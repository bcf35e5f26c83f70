"""One back-off for all senders of a load: who waits, for how long, and what counts as one refusal."""

from __future__ import annotations

import threading
from threading import Event

from hypothesis import given
from hypothesis import strategies as st
from loading import FunctionTransport, bulk_answer
from test_ingest_send import body

from hybrid_search.engine.protocols import Answer
from hybrid_search.ingest.pace import Pace, Refused
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.stages.body_size import BodySize
from hybrid_search.ingest.stages.send import Sender

POLICY = RetryPolicy(first=1.0, longest=8.0, patience=60.0)


class Clock(Event):
    """A clock that only a wait moves on; ``waits`` are those that were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.waits = 0.0, []

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        self.now += timeout or 0.0
        return self.is_set()


def paced(clock, *, tell=lambda _: None):
    """A pace that always draws the upper bound."""
    return Pace(tell, clock=clock, draw=lambda _, bound: bound)


def test_nobody_waits_while_all_is_taken():
    """No wait at all is asked for."""
    clock = Clock()
    pace = paced(clock)
    assert pace.wait(POLICY, clock) == 0.0
    pace.taken(0.0)
    assert clock.waits == []


def test_one_refusal_slows_every_sender_down():
    """Bounds of 1, 2, 4, 8 and again 8 seconds; each request that is taken halves it, down to none."""
    clock = Clock()
    pace = paced(clock)
    for _ in range(5):
        pace.refused(clock(), POLICY)
        pace.wait(POLICY, clock)
    assert clock.waits == [1.0, 2.0, 4.0, 8.0, 8.0]
    clock.waits.clear()
    for _ in range(5):
        pace.taken(clock())
        pace.wait(POLICY, clock)
    assert clock.waits == [8.0, 4.0, 2.0, 1.0]
    assert pace.failures == 0


def test_what_was_under_way_at_a_refusal_counts_as_one():
    """Ten senders that sent at 0 and are refused at 5 are one failure; those that were taken then undo nothing."""
    clock = Clock()
    pace = paced(clock)
    clock.now = 5.0
    for _ in range(10):
        pace.refused(0.0, POLICY)
    assert pace.failures == 1
    pace.taken(0.0)
    assert pace.failures == 1


def test_the_engine_says_how_long_to_wait_at_least():
    """30 seconds by Retry-After, though no bound passes 8; not more than the patience of 60."""
    clock = Clock()
    pace = paced(clock)
    pace.refused(0.0, POLICY, at_least=30.0)
    assert pace.wait(POLICY, clock) == 30.0 + 1.0
    pace.refused(clock(), POLICY, at_least=1000.0)
    assert pace.wait(POLICY, clock) == 31.0 + 60.0 + 2.0


def test_a_refusal_elsewhere_is_heard_and_not_told_on():
    """Two processes of which one is refused: both wait, and each tells only its own refusals."""
    clock, told = Clock(), []
    here, there = paced(clock, tell=told.append), paced(clock)
    there.tell = here.hear
    there.refused(0.0, POLICY, at_least=3.0)
    assert (here.failures, told) == (1, [])
    assert here.wait(POLICY, clock) == 3.0 + 1.0
    here.refused(clock(), POLICY)
    assert told == [Refused(2)]


def test_a_sender_that_waits_begins_anew_when_another_is_refused():
    """It waited a second from 0 on; at 1 another was refused: 2 seconds more."""
    clock = Clock()
    pace = paced(clock)
    pace.refused(0.0, POLICY)
    plain = clock.wait

    def interrupted(timeout=None):
        stopped = plain(timeout)
        if len(clock.waits) == 1:
            pace.hear(Refused(2))
        return stopped

    clock.wait = interrupted
    assert pace.wait(POLICY, clock) == 1.0 + 2.0


def test_a_pipeline_that_stops_is_not_held():
    """The wait ends at once, and says so."""
    clock = Clock()
    pace = paced(clock)
    pace.refused(0.0, POLICY)
    clock.set()
    assert pace.wait(POLICY, clock) is None


@given(st.lists(st.sampled_from(["refused", "taken", "heard"]), max_size=60))
def test_waits_are_never_longer_than_the_bound(events):
    """Whatever happens, a sender waits at most the longest bound when nothing happens meanwhile, and counts stay."""
    clock = Clock()
    pace = Pace(clock=clock)
    for event in events:
        match event:
            case "refused":
                pace.refused(clock(), POLICY)
            case "taken":
                pace.taken(clock())
            case "heard":
                pace.hear(Refused(40))
        before = clock()
        pace.wait(POLICY, clock)
        assert 0.0 <= clock() - before <= POLICY.longest
        assert pace.failures >= 0


def test_senders_of_two_processes_are_refused_once_each_time():
    """An engine that has room for none of ten: all ten are refused once, and after it only who has waited sends.

    Ten senders that share a pace meet a node that refuses until a wait of 4 seconds was drawn: without sharing, each
    would be refused at 0, 1 and 3 seconds, 30 times in all.
    """
    clock = Clock()
    pace, refusals, taken = paced(clock), 0, 0
    waiting = list(range(10))
    while waiting:
        sent = pace.wait(POLICY, clock)
        if sent < 4.0:
            refusals += 1
            pace.refused(sent, POLICY)
        else:
            taken += 1
            pace.taken(sent)
            waiting.pop()
    assert (taken, refusals) == (10, 3)


def test_a_sender_waits_for_what_another_has_met():
    """Two senders of unlike transports share a pace: the second asks for its turn before its first request."""
    clock, pace = Clock(), Pace()
    busy = [Answer(429, {"error": {"type": "es_rejected_execution_exception", "reason": "queue"}}, {})]
    policy = RetryPolicy(first=0.0, longest=0.0, patience=60.0)
    lock, order = threading.Lock(), []

    def answer(name):
        def answered(request):
            with lock:
                order.append(name)
                return busy.pop() if busy and name == "first" else bulk_answer(request)

        return answered

    for name in ("first", "second"):
        transport = FunctionTransport(answer(name))
        sender = Sender(transport, "i", lambda _: None, size=BodySize(), policy=policy, stopped=clock, pace=pace)
        if name == "second":
            pace.hear(Refused(1))
            clock.waits.clear()
        assert sender(body()) is not None
    assert order == ["first", "first", "second"]
    assert clock.waits == [0.0]
