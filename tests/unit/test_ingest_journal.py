"""The journal and its ranges: what is settled, and where reading goes on, whatever happened to the file."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from contextlib import closing
from itertools import accumulate, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.errors import IngestError
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.journal import EARLIER, UNREADABLE, Journal, Part
from hybrid_search.records import ResumePoint

LOAD = {"source": "a.jsonl", "index": "i"}


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))))
def test_ranges_are_a_set_of_numbers(ranges):
    """Whatever is added, in whatever order, the same numbers are in it as in a set, in disjoint ascending ranges."""
    intervals, numbers = Intervals(), set()
    for first, end in ranges:
        intervals.add(first, end)
        numbers |= set(range(first, end))
    assert {number for number in range(-1, 62) if number in intervals} == numbers
    assert len(intervals) == len(numbers)
    edges = [edge for one in intervals for edge in one]
    assert edges == sorted(set(edges)), "ranges that touch are joined"


def test_a_journal_remembers_what_is_settled(tmp_path):
    """A load that ended early goes on; one that was finished begins again."""
    path = tmp_path / "load.journal"
    with closing(Journal(path, LOAD)) as journal:
        assert not journal.resumes
        journal.settled(0, 10)
        journal.settled(20, 30)
    with closing(Journal(path, LOAD)) as journal:
        assert list(journal.progress[0].done) == [(0, 10), (20, 30)]
        journal.settled(10, 20)
        journal.finish()
    with closing(Journal(path, LOAD)) as journal:
        assert not journal.resumes


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.randoms(), st.data())
def test_a_journal_knows_where_reading_goes_on(tmp_path_factory, sizes, random, data):
    """Bodies settle in any order, some without a place: ``resume`` is the last place before which nothing is open."""
    path = tmp_path_factory.mktemp("journal") / "load.journal"
    ends = list(accumulate(sizes))
    bodies = [(end - size, end, data.draw(st.booleans())) for size, end in zip(sizes, ends, strict=True)]
    shuffled = random.sample(bodies, len(bodies))[: data.draw(st.integers(0, len(bodies)))]
    with closing(Journal(path, LOAD)) as journal:
        for first, end, is_known in shuffled:
            journal.settled(first, end, ResumePoint(100 * end, end) if is_known else None)
        said = (journal.progress[0].prefix, journal.progress[0].resume)
    whole = list(takewhile(lambda body: body in shuffled, bodies))
    expected = max([end for _, end, is_known in whole if is_known], default=0)
    assert said == (expected, ResumePoint(100 * expected, expected) if expected else None)
    with closing(Journal(path, LOAD)) as journal:
        assert (journal.progress[0].prefix, journal.progress[0].resume) == said


def test_a_journal_of_another_load_says_what_changed(tmp_path):
    """Another source under the same name starts over, and the difference is named."""
    path = tmp_path / "load.journal"
    with closing(Journal(path, LOAD)) as journal:
        journal.settled(0, 10)
    with closing(Journal(path, {**LOAD, "source": "b.jsonl"})) as journal:
        assert journal.changes == ["source"]
        assert not journal.resumes


@settings(deadline=None)  # it writes files; how fast is not the question
@given(cut=st.integers(0, 200), torn=st.binary(max_size=20))
def test_a_journal_survives_being_cut_anywhere(tmp_path_factory, cut, torn):
    """Whatever a crash leaves at the end, a prefix of the records is read, and new ones can be added and read."""
    path = tmp_path_factory.mktemp("journal") / "load.journal"
    with closing(Journal(path, LOAD)) as journal:
        for number in range(5):
            journal.settled(2 * number, 2 * number + 1)
    content = path.read_bytes()
    head = content.index(b"\n") + 1  # a crash can tear the first line only by itself: nothing follows it
    path.write_bytes(content[: max(head, len(content) - cut)] + torn)
    with closing(Journal(path, LOAD)) as journal:
        known = list(journal.progress[0].done)
        assert known == [(2 * number, 2 * number + 1) for number in range(len(known))]
        journal.settled(100, 101)
    with closing(Journal(path, LOAD)) as journal:
        assert list(journal.progress[0].done) == [*known, (100, 101)]


def test_a_changed_byte_costs_its_own_line(tmp_path):
    """A record whose checksum is wrong is not believed; those after it are, and its documents are loaded again."""
    path = tmp_path / "load.journal"
    with closing(Journal(path, LOAD)) as journal:
        for first in (0, 10, 20):
            journal.settled(first, first + 10)
    path.write_bytes(path.read_bytes().replace(b"[10, 20]", b"[10, 90]"))
    with closing(Journal(path, LOAD)) as journal:
        assert list(journal.progress[0].done) == [(0, 10), (20, 30)]
        assert journal.changes == []
        journal.settled(10, 20)
    with closing(Journal(path, LOAD)) as journal:
        assert list(journal.progress[0].done) == [(0, 30)]


@pytest.fixture(scope="module")
def whole_journal(tmp_path_factory):
    """The bytes of a journal of 30 documents."""
    path = tmp_path_factory.mktemp("journal") / "load.journal"
    with closing(Journal(path, LOAD)) as journal:
        for first in (0, 10, 20):
            journal.settled(first, first + 10)
    return path.read_bytes()


@settings(deadline=None)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_flipped_bit_loses_at_most_its_neighbours(tmp_path_factory, whole_journal, at, bit):
    """Nothing that was not settled is ever believed; only a broken ``begin`` loses all, and says so."""
    path = tmp_path_factory.mktemp("journal") / "load.journal"
    content = bytearray(whole_journal)
    at %= len(content)
    content[at] ^= 1 << bit
    path.write_bytes(content)
    with closing(Journal(path, LOAD)) as journal:
        line = whole_journal.count(b"\n", 0, at)  # 0 and 1 are the header and ``begin``
        assert all(first % 10 == 0 and first < end <= 30 for first, end in journal.progress[0].done)
        assert journal.changes == [UNREADABLE] or len(journal.progress[0].done) >= 10
        assert not (journal.changes and line >= 2)


def test_a_record_of_a_later_release_is_passed_over(tmp_path):
    """A line with a right checksum and unknown content neither stops the load nor counts."""
    path = tmp_path / "load.journal"
    with closing(Journal(path, LOAD)) as journal:
        journal.settled(0, 10)
    data = b'{"split": "a.jsonl", "rows": 7}'
    with path.open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(data), data))
    with closing(Journal(path, LOAD)) as journal:
        assert list(journal.progress[0].done) == [(0, 10)]


@pytest.mark.parametrize(
    "header", [b"", b'{"hybrid_search": "journal", "version": 2}'], ids=["released", "before splits"]
)
def test_a_journal_without_splits_begins_anew_and_says_so(tmp_path, header):
    """The released version wrote no header, the one after it no splits: neither says where its documents are."""
    path = tmp_path / "load.journal"
    records = [json.dumps(record).encode() for record in ({"begin": LOAD}, {"done": [0, 10]})]
    path.write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(data), data) for data in [header, *records] if data))
    with closing(Journal(path, LOAD)) as journal:
        assert (journal.changes, journal.resumes) == ([EARLIER], False)
        journal.settled(0, 5)
    with closing(Journal(path, LOAD)) as journal:
        assert list(journal.progress[0].done) == [(0, 5)]


def part(name, times=(1,), content="x"):
    return Part(name, times, lambda: content)


def test_splits_are_settled_by_themselves(tmp_path):
    """Each has its own numbers, place and passages; one is complete when it was read to its end and is settled."""
    path, plan = tmp_path / "load.journal", [part("a"), part("b"), part("c")]
    with closing(Journal(path, LOAD, plan)) as journal:
        assert [journal.ended(20, 1), journal.settled(0, 10, ResumePoint(100, 10), 1)] == [False, False]
        assert journal.settled(10, 20, ResumePoint(200, 20), 1)
        journal.wrote(7, 30, 1)
        journal.settled(0, 5, ResumePoint(50, 5), 0)
    with closing(Journal(path, LOAD, plan)) as journal:
        a, b, c = journal.progress
        assert [one.is_complete for one in (a, b, c)] == [False, True, False]
        assert (a.prefix, a.resume, b.resume, c.resume) == (5, ResumePoint(50, 5), ResumePoint(200, 20), None)
        assert (journal.settled_documents, dict(journal.passages), journal.loads) == (25, {7: 30}, {7})


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        (part("a", content="other"), True),
        (part("a", times=(2,)), True),
        (part("a", times=(2,), content="other"), False),
        (part("a-moved"), False),
    ],
    ids=["times", "bytes", "changed", "gone"],
)
def test_a_split_that_changed_starts_over_and_the_others_go_on(tmp_path, now, kept):
    """The times of its files vouch for it, else its bytes; what it wrote is in the index all the same."""
    path = tmp_path / "load.journal"
    with closing(Journal(path, LOAD, [part("a"), part("b")])) as journal:
        for number in range(2):
            journal.wrote(7, 10, number)
            journal.settled(0, 10, part=number)
    for _ in range(2):
        with closing(Journal(path, LOAD, [now, part("b")])) as journal:
            assert [len(progress.done) for progress in journal.progress] == [10 * kept, 10]
            assert (journal.restarted, dict(journal.passages)) == (1 - kept, {7: 20})
            assert not journal.is_mixed
            journal.begun(0)
    with closing(Journal(path, LOAD, [now, part("b")])) as journal:
        journal.restart()
    with closing(Journal(path, LOAD, [now, part("b")])) as journal:
        assert journal.is_mixed
        journal.begin_anew("why")
        assert (journal.is_mixed, journal.resumes, journal.passages) == (False, False, Counter())


def test_numbers_of_lost_splits_are_not_given_again(tmp_path):
    """The lines that name a split are broken: what follows them belongs to nothing, also not to the next split."""
    path = tmp_path / "load.journal"
    with closing(Journal(path, LOAD, [part("a")])) as journal:
        journal.settled(0, 10)
    path.write_bytes(path.read_bytes().replace(b'"key": "a"', b'"key": "z"'))
    for _ in range(2):
        with closing(Journal(path, LOAD, [part("a")])) as journal:
            assert not journal.resumes
            journal.begun(0)


def test_a_second_load_is_refused_while_the_first_has_the_journal(tmp_path):
    """The lock is the process's own: it is free again when the first is closed."""
    path = tmp_path / "load.journal"
    with closing(Journal(path, LOAD)), pytest.raises(IngestError, match="another load has this file open"):
        Journal(path, LOAD)
    Journal(path, LOAD).close()
