"""The sender against scripted answers: everything is taken or refused for good, whatever the engine says."""

from __future__ import annotations

from collections import Counter
from threading import Event

import pytest
from loading import FunctionTransport, action_ids, bulk_answer

from hybrid_search.engine.protocols import Answer
from hybrid_search.errors import (
    AuthenticationError,
    EngineTimeoutError,
    EngineUnreachableError,
    IndexMissingError,
    OverloadedError,
    ReadOnlyError,
)
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.stages.body_size import BodySize
from hybrid_search.ingest.stages.send import MOST_FAILURES, Sender
from hybrid_search.ingest.state.ledger import Ledger
from hybrid_search.ingest.work import Action, Body, Piece
from hybrid_search.records import Document

AT_ONCE = RetryPolicy(first=0.0, longest=0.0, patience=60.0)
CONFLICT = "version_conflict_engine_exception"
NO_PATIENCE = RetryPolicy(first=0.0, longest=0.0, patience=0.0)
BLOCKED = {
    "type": "cluster_block_exception",
    "reason": "index [i] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)]; read-only-allow-delete",
}


def body(count=4):
    """A body of so many documents with one action each."""
    made = []
    for number in range(count):
        head = b'{"index":{"_index":"i","_id":"d%d#0"}}\n{"text":"x"}\n' % number
        made.append(Action(f"d{number}#0", head, Document(f"d{number}", "x")))
    size = sum(len(action.data) for action in made)
    ids = frozenset(action.document.id for action in made)
    return Body(0, [Piece(0, 0, count)], made, size, since=0, documents=ids)


def send(answer, *, count=4, policy=AT_ONCE, size=None, stopped=None):
    """Send one body to a transport that answers by ``answer``; the ledger's totals and the transport."""
    transport = FunctionTransport(answer)
    ledger = Ledger()
    sender = Sender(transport, "i", ledger.waiting, size=size or BodySize(), policy=policy, stopped=stopped or Event())
    sent = body(count)
    settled = sender(sent)
    if settled is not None:
        ledger.settle(sent, settled)
    return ledger.totals(), transport


def after(*first):
    """Answers from the list first, and then always good ones; exceptions are raised."""
    script = list(first)

    def answer(request):
        reply = script.pop(0) if script else bulk_answer(request)
        if isinstance(reply, Exception):
            raise reply
        return reply(request) if callable(reply) else reply

    return answer


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(429, {"error": {"type": "rejected_execution_exception", "reason": "queue"}, "status": 429}),
        Answer(503, "no healthy upstream"),
        EngineTimeoutError("no answer in time"),
        EngineUnreachableError("connection reset"),
        Answer(200, '{"errors":false,"ite'),
        Answer(200, {"items": []}),
        Answer(200, {"items": [{"index": {"_id": "other#0", "status": 201}}] * 4}),
        Answer(403, {"error": BLOCKED}),
    ],
    ids=["429", "503", "timeout", "reset", "truncated", "too few items", "other items", "disk watermark"],
)
def test_what_may_pass_is_sent_again(trouble):
    """The whole body goes again, as it was, and every document is taken."""
    totals, transport = send(after(trouble, trouble))
    assert [action_ids(request.body) for request in transport.requests] == [[f"d{n}#0" for n in range(4)]] * 3
    assert (totals["documents"], totals["indexed"], totals["passages"], totals["retried"]) == (4, 4, 4, 2 * 4)


def test_only_the_items_that_met_429_are_sent_again():
    """Of four items two are rejected by a full thread pool: the second request holds those two."""
    rejected = {"d1#0", "d3#0"}

    def some(request):
        return bulk_answer(request, lambda id_: (429, "queue full") if id_ in rejected else None)

    totals, transport = send(after(some))
    assert [action_ids(request.body) for request in transport.requests][1] == ["d1#0", "d3#0"]
    assert (totals["passages"], totals["retried"], totals["refused"]) == (4, 2, 0)


def test_413_splits_until_it_fits():
    """A server that takes two actions at most gets halves; nothing is refused."""

    def small(request):
        return bulk_answer(request) if len(action_ids(request.body)) <= 2 else Answer(413, None)

    totals, transport = send(small, count=8)
    assert len(action_ids(transport.requests[0].body)) == 8
    taken = Counter(
        id_ for request in transport.requests if len(action_ids(request.body)) <= 2 for id_ in action_ids(request.body)
    )
    assert taken == {f"d{n}#0": 1 for n in range(8)}
    assert (totals["passages"], totals["refused"]) == (8, 0)


def test_an_action_that_is_too_large_alone_is_refused():
    """The one document that no request can hold is refused with the status; its neighbours are taken."""

    def answer(request):
        return Answer(413, None) if "d2#0" in action_ids(request.body) else bulk_answer(request)

    totals, _ = send(answer)
    assert (totals["indexed"], totals["refused"]) == (3, 1)
    assert [(refusal.item, refusal.status) for refusal in totals["refusals"]] == [("d2#0", 413)]


def test_a_poisoned_body_is_searched_for_the_culprit():
    """A 400 for the whole request is narrowed down to the one action that causes it."""

    def answer(request):
        if "d1#0" in action_ids(request.body):
            return Answer(400, {"error": {"type": "parse_exception", "reason": "bad byte"}})
        return bulk_answer(request)

    totals, _ = send(answer)
    assert (totals["indexed"], totals["refused"]) == (3, 1)
    assert (totals["refusals"][0].item, totals["refusals"][0].reason) == ("d1#0", "bad byte")


def test_item_errors_are_refusals_with_id_type_and_reason():
    """A 400 of one item is for good: it is not sent again and keeps the engine's words."""

    def answer(request):
        return bulk_answer(request, lambda id_: (400, "no number") if id_ == "d0#0" else None)

    totals, transport = send(answer)
    assert len(transport.requests) == 1
    refusal = totals["refusals"][0]
    assert (refusal.item, refusal.status, refusal.type, refusal.reason) == (
        "d0#0",
        400,
        "mapper_parsing_exception",
        "no number",
    )
    assert (totals["indexed"], totals["refused"]) == (3, 1)


def test_an_item_that_keeps_failing_inside_the_engine_is_refused_in_the_end():
    """A 500 may be a closing shard, so it is tried a few times; then it is the document's own."""

    def answer(request):
        return bulk_answer(request, lambda id_: (500, "null pointer") if id_ == "d3#0" else None)

    totals, transport = send(answer)
    assert len(transport.requests) == MOST_FAILURES + 1
    assert (totals["indexed"], totals["refused"]) == (3, 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(401, {"error": {"type": "security_exception", "reason": "who"}}), AuthenticationError),
        (Answer(403, {"error": {"type": "security_exception", "reason": "no right"}}), AuthenticationError),
        (Answer(404, {"error": {"type": "index_not_found_exception", "reason": "no such index"}}), IndexMissingError),
        (
            Answer(403, {"error": {"type": "cluster_block_exception", "reason": "index [i] blocked by: write (api)"}}),
            ReadOnlyError,
        ),
    ],
    ids=["401", "403", "missing index", "write block"],
)
def test_what_will_not_pass_stops_at_once(answer, error):
    """Credentials, a missing index and a block by hand raise after one request, and nothing is booked."""
    transport = FunctionTransport(lambda _: answer)
    ledger = Ledger()
    sender = Sender(transport, "i", ledger.waiting, size=BodySize(), policy=AT_ONCE, stopped=Event())
    with pytest.raises(error):
        sender(body())
    assert len(transport.requests) == 1
    assert ledger.totals()["documents"] == 0


def test_item_errors_that_concern_every_item_stop_at_once():
    """A missing index is told per item by some versions; it is not four refused documents."""

    def answer(request):
        items = [{"index": {"_id": id_, "status": 404, "error": {"type": "index_not_found_exception", "reason": "i"}}}
                 for id_ in action_ids(request.body)]  # fmt: skip
        return Answer(200, {"errors": True, "items": items})

    with pytest.raises(IndexMissingError):
        send(answer)


def test_patience_with_an_overloaded_engine_has_an_end():
    """The error that is raised is the engine's last one."""
    with pytest.raises(OverloadedError):
        send(
            lambda _: Answer(429, {"error": {"type": "rejected_execution_exception", "reason": "q"}}),
            policy=NO_PATIENCE,
        )


def test_overload_makes_bodies_smaller_and_quiet_larger():
    """A 429 halves the size of all senders, a full body that is taken adds a step."""
    size = BodySize(1_000_000, step=1000)
    send(after(Answer(429, None)), size=size)
    assert size.limit < 1_000_000


def test_a_stopped_pipeline_books_nothing():
    """A body that was given up in the middle of its retries is not settled: the next load sends it again."""
    stopped = Event()
    stopped.set()
    totals, _ = send(lambda _: Answer(429, None), stopped=stopped)
    assert totals["documents"] == 0


def test_what_a_newer_load_has_written_is_left_alone():
    """409 for a version that is older than what is there: settled, not refused, not sent again."""

    def answer(request):
        return bulk_answer(request, lambda id_: (409, "version conflict") if id_ == "d1#0" else None, CONFLICT)

    totals, transport = send(answer)
    assert len(transport.requests) == 1
    assert (totals["passages"], totals["superseded"], totals["refused"]) == (3, 1, 0)
