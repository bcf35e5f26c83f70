"""The files that outlive a load: whose they are, dead letters, bad records."""

from __future__ import annotations

import json
import os
import stat
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from hybrid_search.errors import RecordError, SettingsError, SourceError
from hybrid_search.ingest.state.bad_records import BadRecords
from hybrid_search.ingest.state.journal import JOURNAL, Journal
from hybrid_search.ingest.state.letters import LETTERS, DeadLetters, LetterOrigin, read_letters
from hybrid_search.ingest.state.lines import check_is_ours
from hybrid_search.ingest.work import Refusal
from hybrid_search.records import Document

LOAD = {"source": "a.jsonl", "index": "i"}


def refusal(document, reason="wrong type"):
    return Refusal(document, f"{document.id}#0", 400, "mapper_parsing_exception", reason)


def test_dead_letters_give_the_documents_back(tmp_path):
    """Text, fields and vectors come back as they were, also a lone surrogate; the last letter of an id counts."""
    path = tmp_path / "letters.jsonl"
    whole = Document("a", "text \ud800", {"n": [1, 2]}, np.array([0.1, -2.5], np.float32), {"7": 1.5}, "f:1")
    with closing(DeadLetters(path)) as letters:
        letters.write([refusal(Document("a", "old")), refusal(Document("b", "text"))])
        letters.write([refusal(whole)])
    found = [letter.document for letter in read_letters(path)]
    assert [document.id for document in found] == ["b", "a"]
    found.reverse()
    np.testing.assert_array_equal(found[0].dense, whole.dense)
    assert (found[0].text, found[0].fields, found[0].sparse, found[0].origin) == (
        whole.text,
        {"n": [1, 2]},
        {"7": 1.5},
        "f:1",
    )
    letter = json.loads(path.read_text().splitlines()[1])
    assert (letter["id"], letter["status"], letter["type"], letter["reason"]) == (
        "a", 400, "mapper_parsing_exception", "wrong type",
    )  # fmt: skip


def test_a_letter_says_where_it_belongs(tmp_path):
    """Index, its uuid, cluster, source and load are in each line; a letter of another index stands beside it."""
    path = tmp_path / "letters.jsonl"
    first = LetterOrigin("a.jsonl", 3, "live-1", "u1", "http://127.0.0.1:9200")
    other = LetterOrigin("a.jsonl", 1, "spare", "u2", "http://127.0.0.1:9200")
    later = replace(first, load=4)
    for origin, reason in ((None, "released"), (first, "old"), (other, "other"), (later, "new")):
        with closing(DeadLetters(path, origin)) as letters:
            letters.write([refusal(Document("a", "text"), reason)])
    assert [(letter.origin, letter.reason) for letter in read_letters(path)] == [(other, "other"), (later, "new")]
    line = json.loads(path.read_text().splitlines()[-1])
    assert {name: line[name] for name in asdict(later)} == asdict(later)


def test_a_letter_of_the_released_version_has_no_origin(tmp_path):
    """It did not say where it belongs; all else of it is read."""
    path = tmp_path / "letters.jsonl"
    path.write_text(
        '{"id": "a", "item": "a#0", "status": 400, "type": "t", "reason": "r", "time": "2025-01-01T00:00:00+00:00", '
        '"document": {"id": "a", "text": "x", "fields": {}, "dense": null, "sparse": null, "origin": "s:1"}}\n'
    )
    (letter,) = read_letters(path)
    assert (letter.document.id, letter.origin, letter.item, letter.status, letter.reason, letter.time) == (
        "a", None, "a#0", 400, "r", "2025-01-01T00:00:00+00:00",
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
    assert [letter.document.id for letter in read_letters(path)] == ["a", "c"]


def test_no_refusal_leaves_no_file(tmp_path):
    """The dead-letter file of a load without refusals is gone afterwards."""
    path = tmp_path / "letters.jsonl"
    DeadLetters(path).close()
    assert not path.exists()


def test_broken_dead_letters_are_named(tmp_path):
    """A line that holds something else is named with its number; so is a file that is missing, or another's."""
    path = tmp_path / "letters.jsonl"
    with closing(DeadLetters(path)) as letters:
        letters.write([refusal(Document("a", "text"))])
    path.write_text(path.read_text() + '{"id": "a"}\n')
    with pytest.raises(SourceError, match=r"letters.jsonl:3: not a line of a dead-letter file"):
        list(read_letters(path))
    with pytest.raises(SourceError, match="cannot be read"):
        list(read_letters(tmp_path / "none.jsonl"))
    path.write_text('{"id": "a"}\n')
    with pytest.raises(SettingsError, match="is not a file that hybrid-search has made"):
        list(read_letters(path))


OPENINGS = {
    "journal": lambda path: Journal(path, LOAD),
    "dead letters": DeadLetters,
    "bad records": lambda path: BadRecords(path, resumes=False),
}
FOREIGN = {
    "documents": b'{"id": "a", "text": "x"}\n{"id": "b", "text": "y"}\n',
    "one line": b'{"id": "a"}',
    "a brace": b"{",
    "notes": b"milk\nbread\n",
    "empty line": b"\n",
    "zeros": bytes(100),
    "long line": b"x" * 200_000,
}


def seen(path):
    """What must not change of a file that is not ours."""
    status = path.lstat()
    return path.read_bytes(), status.st_mtime_ns, status.st_mode, status.st_ino, sorted(path.parent.iterdir())


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_a_file_that_is_not_ours_is_untouched(tmp_path, opening, content):
    """Byte for byte, and nothing beside it: it may be the source itself, or the user's notes."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    before = seen(path)
    with pytest.raises(SettingsError, match=r"data.jsonl: is not a file that hybrid-search has made.*untouched"):
        opening(path)
    with pytest.raises(SettingsError, match="untouched"):
        check_is_ours(path, LETTERS)
    assert seen(path) == before


def test_files_can_be_looked_at_before_anything_is_done(tmp_path):
    """A missing file is right, and neither it nor its folder is made; one of ours is right, of another kind not."""
    check_is_ours(tmp_path / "none" / "letters.jsonl", LETTERS)
    assert list(tmp_path.iterdir()) == []
    Journal(tmp_path / "load.journal", LOAD).close()
    check_is_ours(tmp_path / "load.journal", JOURNAL)
    with pytest.raises(SettingsError, match="for another purpose"):
        check_is_ours(tmp_path / "load.journal", LETTERS)
    with pytest.raises(SettingsError, match="is a folder"):
        check_is_ours(tmp_path, LETTERS)


def test_a_link_to_nothing_makes_the_file_that_it_names(tmp_path):
    """As every program that writes through a link does."""
    (tmp_path / "link").symlink_to(tmp_path / "there.journal")
    Journal(tmp_path / "link", LOAD).close()
    check_is_ours(tmp_path / "there.journal", JOURNAL)


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_what_is_no_file_is_refused(tmp_path, opening):
    """A folder, a pipe (which is not waited for), a device, and a link to somebody's file: one sentence each."""
    pipe, link, notes = tmp_path / "pipe", tmp_path / "link", tmp_path / "notes"
    os.mkfifo(pipe)
    notes.write_text("milk\n")
    link.symlink_to(notes)
    for path, what in (
        (tmp_path, "is a folder, not a file"),
        (pipe, "is a pipe or a device, not a file"),
        (Path("/dev/null"), "is a pipe or a device, not a file"),
        (link, "is not a file that hybrid-search has made"),
    ):
        with pytest.raises(SettingsError, match=what):
            opening(path)
    assert notes.read_text() == "milk\n"


@pytest.mark.parametrize("made", OPENINGS)
@pytest.mark.parametrize("wanted", OPENINGS)
def test_a_file_of_ours_keeps_its_purpose(tmp_path, made, wanted):
    """The journal is not taken for dead letters, nor the other way round; each opens its own again."""
    path = tmp_path / "file"
    held = OPENINGS[made](path)
    if made == "dead letters":
        held.write([refusal(Document("a", "text"))])
    held.close()
    before = path.read_bytes()
    if made == wanted:
        OPENINGS[wanted](path).close()
    else:
        with pytest.raises(SettingsError, match=rf"for another purpose \({made}\)"):
            OPENINGS[wanted](path)
    assert path.read_bytes() == before


def test_dead_letters_and_bad_records_of_the_released_version_are_ours(tmp_path):
    """They have no header; letters are read and added to, bad records begun anew."""
    path = tmp_path / "letters.jsonl"
    with closing(DeadLetters(path)) as letters:
        letters.write([refusal(Document("a", 'say "text"'))])
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    with closing(DeadLetters(path)) as letters:
        letters.write([refusal(Document("b", "text"))])
    assert [letter.document.id for letter in read_letters(path)] == ["a", "b"]
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"where": null, "what": "broken", "remedy": "Mend it", "record": "x"}\n')
    with closing(BadRecords(bad, resumes=True)) as opened:
        assert len(opened) == 1
    with closing(BadRecords(bad, resumes=False)) as opened:
        assert len(opened) == 0


def test_a_file_of_a_later_release_is_not_guessed_at(tmp_path):
    """Its format is unknown, so nothing is written to it."""
    path = tmp_path / "letters.jsonl"
    path.write_text('{"hybrid_search": "dead letters", "version": 9}\n')
    with pytest.raises(SettingsError, match=r"later release of hybrid-search \(format 9\)"):
        DeadLetters(path)


def test_a_first_line_that_a_crash_tore_is_begun_again(tmp_path):
    """A file that holds a part of our own header, or nothing, is ours."""
    path = tmp_path / "load.journal"
    Journal(path, LOAD).close()
    header = path.read_bytes().partition(b"\n")[0]
    for size in (0, 30, len(header)):
        path.write_bytes(header[:size])
        with closing(Journal(path, LOAD)) as journal:
            journal.settled(0, 10)
        assert path.read_bytes().startswith(header + b"\n")


def test_new_files_are_for_their_owner(tmp_path):
    """Documents are in them: nobody else reads the file or lists its folder."""
    path = tmp_path / "state" / "loads" / "load.journal"
    Journal(path, LOAD).close()
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)


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
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert [line["where"] for line in lines] == ["a.jsonl:7", "a.jsonl:9"]
    assert lines[0]["record"] == '{"id": 1 "x"}'
    BadRecords(path, resumes=False).close()
    assert len(path.read_text().splitlines()) == 1, "only the header is left"
