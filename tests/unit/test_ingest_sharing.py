"""Who has which splits of a load that several processes do: pure functions over the state, in any order of events."""

from __future__ import annotations

import socket
import subprocess
import sys

import msgspec
import psutil
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hybrid_search.ingest.state.cluster import SharedLoad, TakenSplits
from hybrid_search.ingest.state.lease import lives
from hybrid_search.ingest.state.sharing import MOST_HELD, Committed, free_range, with_committed, with_taken

BEGUN = SharedLoad("identity", 10, since=1, removals=0, before=0)
EVENTS = st.lists(st.tuples(st.sampled_from(["take", "commit", "die"]), st.integers(0, 7)), max_size=400)


def test_the_lowest_free_splits_are_taken_small_ones_together():
    """Of ten, 0 to 2 are committed, a living load has 4, a dead one 3: that one is free, alone, as 4 is not."""
    taken = (TakenSplits(7, 4, 5), TakenSplits(8, 3, 4))
    shared = replace(BEGUN, committed=((0, 3),), taken=taken)
    assert free_range(shared, [7], [10] * 10, 30) == (3, 4)
    assert free_range(shared, [7, 8], [10] * 10, 30) == (5, 8)
    assert free_range(shared, [7, 8], [10] * 5 + [100] * 5, 30) == (5, 6)
    assert free_range(replace(shared, committed=((0, 10),)), [7], [10] * 10, 30) is None


def test_what_another_has_taken_over_is_not_committed_twice():
    """Load 7 was silent for so long that 8 has its splits: what 7 says of them counts for nothing."""
    done = Committed((0, 2), content=5, documents=20, passages=30)
    shared = replace(BEGUN, taken=(TakenSplits(8, 0, 2),))
    assert with_committed(shared, 7, [done], uncertain=False) == shared
    committed = with_committed(shared, 8, [done], uncertain=True)
    assert committed == replace(BEGUN, committed=((0, 2),), content="5", documents=20, passages=30, uncertain=True)
    assert not committed.is_committed


def test_a_process_that_ended_and_is_still_listed_does_not_live():
    """Its parent has not asked for its status: what it had of a load is free all the same."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        born = psutil.Process(child.pid).create_time()
        assert lives(socket.gethostname(), child.pid, born)
        assert not lives("another", child.pid, born)
        child.kill()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert not lives(socket.gethostname(), child.pid, born)


@given(events=EVENTS, splits=st.integers(1, 2_000), together=st.integers(1, 40))
def test_every_split_is_committed_once_and_the_state_stays_small(events, splits, together):
    """Eight processes take, commit out of order and die: at the end the sums are those of all splits, once each.

    Each holds at most four ranges: the state has 250 bytes, and at most 90 for each range that is held or was lost.
    """
    shared, sizes = replace(BEGUN, splits=splits), [1] * splits
    loads, born = list(range(8)), 8
    held = {load: [] for load in loads}

    def take(load):
        nonlocal shared
        if len(held[load]) < MOST_HELD:
            before = set(shared.taken)
            shared = with_taken(shared, load, loads, sizes, together)
            held[load] += [one for one in shared.taken if one not in before]

    def commit(load):
        nonlocal shared
        done = [of(one) for one in held[load][1:] or held[load]]
        shared = with_committed(shared, load, done, uncertain=False)
        held[load] = held[load][:1] if len(held[load]) > 1 else []

    for event, who in events:
        if event == "die":
            del held[loads[who]]
            loads[who], born = born, born + 1
            held[loads[who]] = []
        else:
            {"take": take, "commit": commit}[event](loads[who])
        assert len(msgspec.json.encode(shared)) <= 250 + 90 * len(loads) * MOST_HELD
    while not shared.is_committed:
        for load in loads:
            take(load)
            commit(load)
            commit(load)
    assert shared.committed == ((0, splits),)
    assert (shared.documents, shared.passages) == (splits, 2 * splits)
    assert int(shared.content, 16) == all_bits(range(splits))


def of(taken):
    """What is committed of a range: each split has one document of two passages."""
    numbers = range(taken.first, taken.end)
    return Committed((taken.first, taken.end), all_bits(numbers), len(numbers), 2 * len(numbers))


def all_bits(numbers):
    """The fingerprints of splits, added up bit by bit."""
    content = 0
    for number in numbers:
        content ^= hash((number, "fingerprint")) & (2**64 - 1)
    return content
