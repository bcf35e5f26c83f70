"""The files that outlive a load: ranges, journal, dead letters, bad records."""

from __future__ import annotations

import json
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.errors import IngestError, RecordError, SourceError
from hybrid_search.ingest.state.bad_records import BadRecords
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.journal import Journal
from hybrid_search.ingest.state.letters import DeadLetters, read_dead_letters
from hybrid_search.ingest.work import Refusal
from hybrid_search.records import Document

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
        assert list(journal.done) == [(0, 10), (20, 30)]
        journal.settled(10, 20)
        journal.finish()
    with closing(Journal(path, LOAD)) as journal:
        assert not journal.resumes


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
    path.write_bytes(content[: max(0, len(content) - cut)] + torn)
    with closing(Journal(path, LOAD)) as journal:
        known = list(journal.done)
        assert known == [(2 * number, 2 * number + 1) for number in range(len(known))]
        journal.settled(100, 101)
    with closing(Journal(path, LOAD)) as journal:
        assert list(journal.done) == [*known, (100, 101)]


def test_a_changed_byte_ends_the_journal(tmp_path):
    """Only what precedes a record whose checksum is wrong is believed."""
    path = tmp_path / "load.journal"
    with closing(Journal(path, LOAD)) as journal:
        journal.settled(0, 10)
        journal.settled(10, 20)
    path.write_bytes(path.read_bytes().replace(b"[10, 20]", b"[10, 90]"))
    with closing(Journal(path, LOAD)) as journal:
        assert list(journal.done) == [(0, 10)]


def test_a_second_load_is_refused_while_the_first_has_the_journal(tmp_path):
    """The lock is the process's own: it is free again when the first is closed."""
    path = tmp_path / "load.journal"
    with closing(Journal(path, LOAD)), pytest.raises(IngestError, match="another load has this file open"):
        Journal(path, LOAD)
    Journal(path, LOAD).close()


def refusal(document, reason="wrong type"):
    return Refusal(document, f"{document.id}#0", 400, "mapper_parsing_exception", reason)


def test_dead_letters_give_the_documents_back(tmp_path):
    """Text, fields and vectors come back as they were, also a lone surrogate; the last letter of an id counts."""
    path = tmp_path / "letters.jsonl"
    whole = Document("a", "text \ud800", {"n": [1, 2]}, np.array([0.1, -2.5], np.float32), {"7": 1.5}, "f:1")
    with closing(DeadLetters(path)) as letters:
        letters.write([refusal(Document("a", "old")), refusal(Document("b", "text"))])
        letters.write([refusal(whole)])
    found = list(read_dead_letters(path))
    assert [document.id for document in found] == ["a", "b"]
    np.testing.assert_array_equal(found[0].dense, whole.dense)
    assert (found[0].text, found[0].fields, found[0].sparse, found[0].origin) == (
        whole.text,
        {"n": [1, 2]},
        {"7": 1.5},
        "f:1",
    )
    letter = json.loads(path.read_text().splitlines()[0])
    assert (letter["id"], letter["status"], letter["type"], letter["reason"]) == (
        "a", 400, "mapper_parsing_exception", "wrong type",
    )  # fmt: skip


def test_a_torn_dead_letter_is_cut_off(tmp_path):
    """A crash in the middle of a line loses that line, whose document the journal does not hold settled."""
    path = tmp_path / "letters.jsonl"
    with closing(DeadLetters(path)) as letters:
        letters.write([refusal(Document("a", "text"))])
    with path.open("ab") as file:
        file.write(b'{"id": "b", "docum')
    with closing(DeadLetters(path)) as letters:
        letters.write([refusal(Document("c", "text"))])
    assert [document.id for document in read_dead_letters(path)] == ["a", "c"]


def test_no_refusal_leaves_no_file(tmp_path):
    """The dead-letter file of a load without refusals is gone afterwards."""
    path = tmp_path / "letters.jsonl"
    DeadLetters(path).close()
    assert not path.exists()


def test_other_files_are_no_dead_letters(tmp_path):
    """A line that holds something else is named with its number; so is a file that is missing."""
    path = tmp_path / "letters.jsonl"
    path.write_text('{"id": "a"}\n')
    with pytest.raises(SourceError, match=r"letters.jsonl:1: not a line of a dead-letter file"):
        list(read_dead_letters(path))
    with pytest.raises(SourceError, match="cannot be read"):
        list(read_dead_letters(tmp_path / "none.jsonl"))


def test_bad_records_are_kept_once_over_a_resumed_load(tmp_path):
    """The source is read again when a load goes on; a record that is known bad is not written twice."""
    path = tmp_path / "bad.jsonl"
    broken = RecordError("expected a comma", where="a.jsonl:7", remedy="Correct it")
    with closing(BadRecords(path, resumes=False)) as bad:
        bad.record(broken, b'{"id": 1 "x"}\n')
    with closing(BadRecords(path, resumes=True)) as bad:
        bad.record(broken, b'{"id": 1 "x"}\n')
        bad.document(RecordError("the text is empty", where="a.jsonl:9"), Document("d", " "))
        assert len(bad) == 2
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["where"] for line in lines] == ["a.jsonl:7", "a.jsonl:9"]
    assert lines[0]["record"] == '{"id": 1 "x"}'
    BadRecords(path, resumes=False).close()
    assert path.read_text() == ""
