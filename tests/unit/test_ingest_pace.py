"""Sizes of bodies, waits between attempts, and bodies cut from documents."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from threading import Event

import pytest
from loading import FunctionTransport

from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.errors import EngineUnreachableError
from hybrid_search.ingest.patience import Backoff, PatientTransport, RetryPolicy, retry_after
from hybrid_search.ingest.stages.bodies import Demand, bodies
from hybrid_search.ingest.stages.body_size import FLOOR, BodySize
from hybrid_search.ingest.state.journal import Journal
from hybrid_search.ingest.state.ledger import Ledger, Settled
from hybrid_search.ingest.work import Action, Batch, Piece, WrittenDocument
from hybrid_search.records import Document, ResumePoint


def test_a_full_body_that_was_taken_makes_the_next_larger():
    """One step per body, up to the ceiling; a body that was mostly empty says nothing."""
    size = BodySize(1000, ceiling=1250, step=100)
    size.taken(499)
    assert size.limit == 1000
    size.taken(1000)
    assert size.limit == 1000 + 100
    size.taken(1100)
    size.taken(1200)
    assert size.limit == 1250


def test_overload_halves_down_to_a_floor():
    """Each overload halves; the floor keeps bodies from shrinking to nothing while an engine is down."""
    size = BodySize(8 * FLOOR)
    size.overloaded(8 * FLOOR)
    assert size.limit == 4 * FLOOR
    for _ in range(10):
        size.overloaded(size.limit)
    assert size.limit == FLOOR


def test_a_body_that_is_too_large_sets_the_ceiling():
    """After 413 the limit is half of that body, and never reaches its size again."""
    size = BodySize(1000, ceiling=5000, step=400)
    size.too_large(800)
    assert size.limit == 800 // 2
    for _ in range(10):
        size.taken(size.limit)
    assert size.limit == 800 - 1


def test_waits_double_up_to_the_longest(monkeypatch):
    """The bound of the jitter is first, 2 x first, 4 x first ... and at most the longest; progress starts again."""
    bounds = []
    monkeypatch.setattr("hybrid_search.ingest.patience.random.uniform", lambda _, bound: bounds.append(bound) or 0.0)
    backoff = Backoff(RetryPolicy(first=0.5, longest=3.0), Event())
    for _ in range(4):
        assert backoff.wait()
    backoff.progress()
    backoff.wait()
    assert bounds == [0.5, 0.5 * 2, 0.5 * 4, 3.0, 0.5]


def test_a_stopped_pipeline_does_not_wait():
    """The wait ends at once and says that the work is over."""
    stopped = Event()
    stopped.set()
    assert not Backoff(RetryPolicy(), stopped).wait(at_least=1000.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("", 0.0), ("soon", 0.0), ("Thu, 01 Jan 1970 00:01:40 GMT", 100.0 - 40.0), ("-3", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    """RFC 9110 knows both forms; a date is counted from now (40 s after the epoch here)."""
    assert retry_after({"retry-after": value}, now=40.0) == seconds


def test_patience_repeats_only_what_may_pass():
    """An unreachable or busy engine is asked again, a refusal is handed on at once, and patience has an end."""
    script = [EngineUnreachableError("down"), Answer(503, "no healthy upstream"), Answer(200, {"ok": 1})]
    waits = []

    def answer(_):
        reply = script.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def send(policy):
        transport = PatientTransport(FunctionTransport(answer), policy, waits.append)
        return transport.send(Request.json("GET", "/i/_count"))

    assert send(RetryPolicy(first=0.0)).body == {"ok": 1}
    assert waits == ["down", "http://fake GET /i/_count: 503: no healthy upstream"]
    script[:] = [Answer(404, {"error": "no"}), Answer(200, None)]
    assert send(RetryPolicy(first=0.0)).status == 404
    script[:] = [EngineUnreachableError("down")]
    with pytest.raises(EngineUnreachableError):
        send(RetryPolicy(patience=0.0))
    script[:] = [Answer(429, None)]
    assert send(RetryPolicy(patience=0.0)).status == 429


def batch(first, *numbers, end=None):
    """A batch of documents, each with one action of 100 bytes."""
    return Batch(first, end or numbers[-1] + 1, [written(number) for number in numbers])


def written(number, passages=1, size=100, **more):
    document = Document(f"d{number}", "text")
    actions = [Action(f"d{number}#{place}", b"x" * size, document) for place in range(passages)]
    return WrittenDocument(number, document, actions, **more)


def covered(body):
    """The ranges of documents of a body."""
    return [(piece.first, piece.end) for piece in body.pieces]


def test_bodies_hold_whole_documents_up_to_the_limit():
    """Limit 250: two documents of 100 bytes fit, a third does not; the ranges join without a gap."""
    made = list(bodies([batch(0, 0, 1, 2), batch(3, 3, 4)], BodySize(250), Demand(0), linger=1e9))
    assert [(covered(body), body.size) for body in made] == [([(0, 2)], 200), ([(2, 4)], 200), ([(4, 5)], 100)]


def test_small_documents_are_counted():
    """A body has at most 1,000 passages, however few bytes they are."""
    made = list(bodies([batch(0, *range(1_100))], BodySize(10_000_000), Demand(0), linger=1e9))
    assert [(covered(body), len(body.actions)) for body in made] == [([(0, 1_000)], 1_000), ([(1_000, 1_100)], 100)]


def test_a_document_larger_than_the_limit_is_a_body_of_its_own():
    """Nothing is cut and nothing is lost when a single document passes the limit."""
    made = list(bodies([batch(0, 0, 1)], BodySize(50), Demand(0), linger=1e9))
    assert [len(body.actions) for body in made] == [1, 1]


def test_documents_without_actions_are_covered():
    """Numbers 1 to 4 were skipped or unchanged: the range of a body still covers them."""
    made = list(bodies([batch(0, 0, end=5), Batch(5, 9, [])], BodySize(1000), Demand(0), linger=1e9))
    assert [(covered(body), len(body.actions)) for body in made] == [([(0, 9)], 1)]


def test_a_body_covers_documents_of_several_splits():
    """Batches of two splits in turns: each piece ends where its split goes on, and those that touch are one."""
    work = [
        replace(batch(0, 0, 1), at=ResumePoint(10, 2)),
        replace(batch(2, 2, end=4), at=ResumePoint(20, 4)),
        replace(batch(7, 7, end=9), split=3),
        batch(4, end=6),
    ]
    (body,) = bodies(work, BodySize(10_000), Demand(0), linger=1e9)
    assert list(body.pieces) == [Piece(0, 0, 4, ResumePoint(20, 4)), Piece(3, 7, 9), Piece(0, 4, 6)]


def test_a_slow_encoder_does_not_keep_documents_back():
    """Once the linger is over the body goes as it is."""
    now = iter([0.0, 3.0, 3.0, 3.5, 3.5])
    work = [batch(0, 0), batch(1, 1)]
    made = list(bodies(work, BodySize(10_000), Demand(0), linger=2.0, clock=lambda: next(now)))
    assert [covered(body) for body in made] == [[(0, 1)], [(1, 2)]]


def test_a_sender_without_work_gets_what_is_worth_a_request():
    """Two senders: two bodies of 1 MB go at once, then the body fills to its limit until one of them is settled."""
    demand = Demand(2)
    work = [Batch(n, n + 1, [written(n, size=500_000)]) for n in range(12)]
    made = bodies(work, BodySize(2_000_000), demand, linger=1e9)
    assert [next(made).size for _ in range(3)] == [1_000_000, 1_000_000, 2_000_000]
    for _ in range(2):
        demand.settled()
    assert [body.size for body in made] == [1_000_000, 1_000_000]


def test_what_precedes_an_error_is_sent_first():
    """A stage before fails after three documents: their body comes, then the error."""

    def broken():
        yield batch(0, 0, 1, 2)
        raise ValueError("line 4")

    made = bodies(broken(), BodySize(10_000), Demand(0), linger=1e9)
    assert covered(next(made)) == [(0, 3)]
    with pytest.raises(ValueError, match="line 4"):
        next(made)


def test_a_long_document_is_cut_between_bodies():
    """Five passages of 100 bytes and a limit of 250: three bodies, of which only the last covers the document.

    The neighbours before and behind it are covered by the bodies that hold them; ``since`` names the first of the
    bodies that must be settled before a document is.
    """
    work = [Batch(0, 3, [written(0), written(1, passages=5), written(2)])]
    made = list(bodies(work, BodySize(250), Demand(0), linger=1e9))
    assert [[action.id for action in body.actions] for body in made] == [
        ["d0#0"],
        ["d1#0", "d1#1"],
        ["d1#2", "d1#3"],
        ["d1#4", "d2#0"],
    ]
    assert [(covered(body), body.since) for body in made] == [([(0, 1)], 0), ([], 1), ([], 1), ([(1, 3)], 1)]
    assert [sorted(body.documents) for body in made] == [["d0"], [], [], ["d1", "d2"]]


def test_a_document_is_settled_with_the_last_of_its_bodies(tmp_path):
    """The last of three bodies is settled first: the journal says nothing before the other two are."""
    work = [Batch(0, 1, [written(0, passages=5)])]
    first, second, third = bodies(work, BodySize(250), Demand(0), linger=1e9)
    with closing(Journal(tmp_path / "journal", {})) as journal:
        ledger = Ledger(journal=journal)
        settled = [len(journal.progress[0].done)]
        for body in (third, first, second):
            ledger.settle(body, Settled(passages=len(body.actions)))
            settled.append(len(journal.progress[0].done))
    assert settled == [0, 0, 0, 1]
    assert (ledger.totals()["indexed"], ledger.totals()["passages"]) == (1, 5)
