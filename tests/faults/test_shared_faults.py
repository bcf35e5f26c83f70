"""Processes that load one source together, some of which are killed: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import json
import random
import time

import pytest
from loading import documents, record_line
from proxy import Gate, pass_on, proxy
from tally import RUNS, is_clean
from test_process_faults import COUNT, SEED, finish, folder, source, start

from hybrid_search.engine import indices
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.read.splits import plan_splits

pytestmark = pytest.mark.faults
assert folder  # the fixture, which is used by its name

SHARED = {"join": True, "split_bytes": 40_000, "body_bytes": 10_000}
NAME = "source.jsonl"


def ended(process):
    """The report of a process that has come to its end."""
    output, error = process.communicate()
    assert process.returncode == 0, error
    return json.loads(output)


def wait_for(connection, index, condition):
    """Wait until what the index says of the shared load meets a condition."""
    for _ in range(600):
        shared = read_state(connection, index).shared.get(NAME) if indices.exists(connection, index) else None
        if shared is not None and condition(shared):
            return
        time.sleep(0.1)
    raise AssertionError(shared)


def check_settled(connection, index):
    """The state has neither loads nor splits of any, and the index is as it was before them."""
    state = read_state(connection, index)
    assert (state.loads, state.before, state.shared) == ({}, None, {})
    assert state.sources[NAME].documents == COUNT
    assert indices.read_settings(connection, index)["index.refresh_interval"] == "1s"


def test_three_processes_share_a_load(folder, connection, index_name, tally):
    """Every split is loaded by one of them, and one of them ends the load."""
    index = index_name()
    reports = [ended(process) for process in [start(folder, connection.where, index, **SHARED) for _ in range(3)]]
    splits = len(plan_splits(folder / NAME, split_bytes=SHARED["split_bytes"]))
    assert splits > 10
    assert sum(report["documents"] for report in reports) == COUNT
    assert sum(report["indexed"] for report in reports) == COUNT
    assert sum("and ended the load" in note for report in reports for note in report["notes"]) == 1
    assert is_clean(tally.check("load by three processes", 1, connection, index, source=source(folder)))
    check_settled(connection, index)


@pytest.mark.parametrize("applied", [False, True])
def test_what_a_killed_process_had_is_taken_by_another(folder, connection, index_name, tally, applied):
    """It is killed while a body of it is held; the other has loaded all the rest by then, and takes that too."""
    index, gate = index_name(), Gate(passing=2, applied=applied)
    with proxy(connection.where, gate) as between:
        killed = start(folder, between.url, index, **SHARED)
        assert gate.holds(killed)
        other = start(folder, connection.where, index, **SHARED)
        wait_for(connection, index, is_left_to_the_first)
        killed.kill()
        killed.communicate()
        gate.drop()
        report = ended(other)
    assert report["documents"] > 0
    assert any("and ended the load" in note for note in report["notes"])
    assert is_clean(tally.check("kill -9 of one of two", 1, connection, index, source=source(folder)))
    check_settled(connection, index)


def is_left_to_the_first(shared):
    """All that is not committed is held by the process that began the load."""
    return {one.load for one in shared.taken} == {shared.since} and done(shared) + held(shared) == shared.splits


def done(shared):
    return sum(end - first for first, end in shared.committed)


def held(shared):
    return sum(one.end - one.first for one in shared.taken)


def test_a_shared_load_goes_on_after_all_are_killed(folder, connection, index_name, tally):
    """What was committed is not read again by those that come later; a load by itself would be refused meanwhile."""
    index, gate = index_name(), Gate(passing=0)
    with proxy(connection.where, once_committed(connection, index, gate)) as between:
        processes = [start(folder, between.url, index, **SHARED) for _ in range(2)]
        for process in processes:
            assert gate.holds(process)
        alone = start(folder, connection.where, index, body_bytes=10_000)
        assert "or do it together with it: --join" in alone.communicate()[1]
        for process in processes:
            process.kill()
            process.communicate()
        gate.drop()
    committed = read_state(connection, index).shared[NAME].documents
    assert 0 < committed < COUNT
    report = finish(folder, connection.where, index, **SHARED)
    assert report["documents"] == COUNT - committed
    assert is_clean(tally.check("kill -9 of two of two", 1, connection, index, source=source(folder)))
    check_settled(connection, index)


def once_committed(connection, index, gate):
    """A fault that holds what comes after the first split was committed."""

    def fault(exchange):
        shared = read_state(connection, index).shared.get(NAME)
        (gate if shared is not None and shared.committed else pass_on)(exchange)

    return fault


def test_kill_9_while_the_state_is_written(folder, connection, index_name, tally):
    """A request about the state is held when the kill comes, answered or not: the next process ends the load."""
    draw, killed = random.Random(SEED), 0
    for number in range(max(2, RUNS // 3)):
        index, gate = index_name(), Gate(draw.randint(0, 30), applied=number % 2 == 0)
        with proxy(connection.where, gate, meets="hybrid-search-state") as between:
            process = start(folder, between.url, index, **SHARED)
            killed += gate.holds(process)
            process.kill()
            process.communicate()
            gate.drop()
        finish(folder, connection.where, index, **SHARED)
        assert is_clean(tally.check("kill -9 at the state", 1, connection, index, source=source(folder)))
        check_settled(connection, index)
    assert killed > 0


def test_the_last_one_removes_what_the_source_has_lost(folder, connection, index_name):
    """100 of 2,000 documents go from the source, another is new: two processes sync, one of them removes."""
    index = index_name()
    finish(folder, connection.where, index, body_bytes=100_000)
    kept = [*documents(COUNT - 100, vectors=True), *documents(1, first=9_999, vectors=True)]
    (folder / NAME).write_text("".join(map(record_line, kept)))
    processes = [start(folder, connection.where, index, **{**SHARED, "sync": True}) for _ in range(2)]
    reports = [ended(process) for process in processes]
    assert sorted(report["removed"] for report in reports) == [0, 100]
    assert sum(report["indexed"] for report in reports) == 1
    assert indices.count(connection, index) == len(kept)
