"""Stages at once: order, bounds, errors and cancelling."""

from __future__ import annotations

import threading
import time

import pytest

from hybrid_search.ingest.stages.overlap import CHANNEL_CAPACITY, Overlap, side_by_side


def test_items_arrive_in_order():
    """A chain of stages hands on every item, in order."""
    with Overlap() as overlap:
        numbers = overlap.ahead("count", iter(range(1000)))
        doubled = overlap.ahead("double", (2 * number for number in numbers))
        assert list(doubled) == [2 * number for number in range(1000)]


def test_a_stage_runs_no_further_ahead_than_its_channel():
    """With a reader that takes nothing, a stage makes its capacity and the one item that does not fit."""
    made, making = [], threading.Semaphore(0)

    def numbers():
        for number in range(100):
            made.append(number)
            making.release()
            yield number

    with Overlap() as overlap:
        overlap.ahead("count", numbers())
        for _ in range(CHANNEL_CAPACITY + 1):
            making.acquire()
        assert not making.acquire(timeout=0.05)
        assert len(made) == CHANNEL_CAPACITY + 1


def test_stages_work_at_the_same_time():
    """A stage and its reader meet at a barrier, which they could not one after the other."""
    meeting = threading.Barrier(2)

    def numbers():
        yield 0
        meeting.wait()
        yield 1

    with Overlap() as overlap:
        arrived = overlap.ahead("count", numbers())
        assert next(arrived) == 0
        meeting.wait()
        assert next(arrived) == 1


def test_an_error_comes_after_all_that_preceded_it():
    """What was made before a stage failed is worked on; then the error is raised, the same object."""
    broken = ValueError("line 4")

    def numbers():
        yield from range(3)
        raise broken

    worked = []
    with Overlap() as overlap, pytest.raises(ValueError, match="line 4") as raised:
        overlap.drain("work", overlap.ahead("pass", overlap.ahead("count", numbers())), worked.append, threads=2)
    assert sorted(worked) == [0, 1, 2]
    assert raised.value is broken


def test_an_error_of_a_worker_stops_the_stages_before_it():
    """An endless source ends when the last stage fails, and no thread is left."""

    def endless():
        while True:
            yield 0

    def fail(_):
        raise RuntimeError("full")

    before = threading.active_count()
    with Overlap() as overlap, pytest.raises(RuntimeError, match="full"):
        overlap.drain("work", overlap.ahead("count", endless()), fail, threads=3)
    assert threading.active_count() == before


def test_leaving_the_block_stops_everything():
    """An interruption of the reader, as by Ctrl-C, ends an endless source."""

    def endless():
        while True:
            yield 0

    def interrupted(overlap):
        with overlap:
            next(overlap.ahead("count", endless()))
            raise KeyboardInterrupt

    before = threading.active_count()
    overlap = Overlap()
    with pytest.raises(KeyboardInterrupt):
        interrupted(overlap)
    assert overlap.stopped.is_set()
    assert threading.active_count() == before


def test_waiting_is_not_being_busy():
    """A stage that waits for a slow one before it counts only its own work."""

    def slow():
        for number in range(3):
            time.sleep(0.1)
            yield number

    with Overlap() as overlap:
        list(overlap.ahead("quick", iter(overlap.ahead("slow", slow()))))
    assert overlap.busy["slow"] >= 3 * 0.1
    assert overlap.busy["quick"] < overlap.busy["slow"] / 2


def test_work_side_by_side_is_handed_on_in_order():
    """Item 0 is finished last, as it waits for item 1, and comes first all the same."""
    second = threading.Event()

    def work(number):
        if number == 1:
            second.set()
        assert number != 0 or second.wait(10)
        return 2 * number

    assert list(side_by_side(range(10), work, 2)) == [2 * number for number in range(10)]


def test_finished_work_does_not_wait_for_further_items():
    """With room for 4, the first result comes once it is there, though the source gives a second item only then."""
    done, taken = threading.Event(), []

    def numbers():
        yield 0
        done.wait(10)
        time.sleep(0.05)  # the future is finished a moment after its work
        yield 1
        taken.append("third")
        yield 2

    def work(number):
        done.set()
        return number

    results = side_by_side(numbers(), work, 4)
    assert (next(results), taken) == (0, [])
    assert list(results) == [1, 2]
