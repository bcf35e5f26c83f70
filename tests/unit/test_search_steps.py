"""Steps that go together, in both loops; and procedures side by side."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading

import pytest

from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError, HybridSearchError, ModelError
from hybrid_search.search.steps import All, Encode, Send, run, run_async, together
from hybrid_search.search_warnings import SearchWarning, WarningCode

ENCODE, SEND = Encode(["q"], 1.0), Send(Request("GET", "/"))


def asking(*steps):
    """A procedure that asks one step after the other, and returns what it was told, errors as their texts."""
    told = []
    for step in steps:
        try:
            told.append((yield step))
        except HybridSearchError as error:
            told.append(str(error))
    return told


def answered(step):
    if step == "broken":
        raise ValueError("a fault")
    return f"answer to {step}"


def test_procedures_side_by_side_ask_at_the_same_time() -> None:
    """Two of one step and one of two: first all three, then the one that is left; results in order."""
    procedure = together(asking("a"), asking("b", "c"), asking())
    assert next(procedure) == All(["a", "b"])
    assert procedure.send([1, 2]) == All(["c"])
    with pytest.raises(StopIteration) as end:
        procedure.send([3])
    assert end.value.value == [[1], [2, 3], []]


def test_an_error_is_that_of_its_own_procedure() -> None:
    """The other one goes on; what a procedure raises itself ends all of them."""
    told = run(together(asking("a"), asking("broken", "b")), answered)
    assert told == [["answer to a"], ["the search failed: ValueError: a fault", "answer to b"]]
    closed = []

    def watched():
        try:
            yield "a"
        finally:
            closed.append(True)

    def raising():
        yield "b"
        raise ModelError("enough")

    with pytest.raises(ModelError, match="enough"):
        run(together(watched(), raising()), answered)
    assert closed == [True]


async def test_the_asynchronous_loop_asks_at_the_same_time() -> None:
    """Two steps meet: neither is answered before both have begun."""
    meeting = asyncio.Barrier(2)

    async def meet(step):
        await meeting.wait()
        return answered(step)

    assert await run_async(together(asking("a"), asking("b")), meet) == [["answer to a"], ["answer to b"]]


def test_the_synchronous_loop_sends_while_a_model_works() -> None:
    """The request is made before the model has answered, in whichever order they are asked for."""
    sent = threading.Event()

    def carry_out(_):
        sent.set()
        return "sent"

    def begin(_):
        assert not sent.is_set()
        return lambda: "encoded" if sent.is_set() else "nobody sent"

    for steps in ([ENCODE, SEND], [SEND, ENCODE]):
        sent.clear()
        (found,) = run(asking_all(steps), carry_out, begin)
        assert sorted(found) == ["encoded", "sent"]


def asking_all(steps):
    return [(yield All(steps))]


def test_a_model_that_cannot_begin_is_an_answer_too() -> None:
    """Its error stands in its place; the request is made."""

    def begin(_):
        raise ModelError("the client is closed")

    ((encoded, sent),) = run(asking_all([ENCODE, SEND]), answered, begin)
    assert isinstance(encoded, ModelError)
    assert "answer" in sent
    ((error,),) = run(asking_all([SEND]), lambda _: 1 / 0)
    assert isinstance(error, EngineError)


def test_a_warning_is_its_text_and_keeps_its_code() -> None:
    """Printed, compared and joined as before; copied and pickled with its code and part."""
    warning = SearchWarning("the dense leg failed: gone", WarningCode.LEG_FAILED, "dense")
    assert warning == "the dense leg failed: gone"
    for same in (copy.deepcopy(warning), pickle.loads(pickle.dumps(warning))):  # noqa: S301 - of our own
        assert (same, same.code, same.part) == (warning, "leg-failed", "dense")


def test_codes_say_whether_something_is_missing() -> None:
    """A query that was cut is answered in full; a leg that was late is not."""
    whole = {code for code in WarningCode if not code.degrades}
    found = {"query-cut", "no-known-term", "nothing-found", "few-documents", "list-cut", "pinned-not-found"}
    assert whole == {*found, "vectors-incomplete"}
