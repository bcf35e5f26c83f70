"""A load's state in the cluster, on every engine: numbers, leases, provenance, and what later loads make of it."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import replace

import psutil
import pytest
from loading import GeneratedEncoder, documents, record_line

from hybrid_search.engine import indices
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IngestError, SettingsError
from hybrid_search.ingest import DeadLetters, LoadOptions, index_documents
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import EVERYTHING, delete_where
from hybrid_search.ingest.maintain.replay import replay
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.source import SourceOptions, index_source
from hybrid_search.ingest.state.cluster import RunningLoad, read_state, update_state
from hybrid_search.ingest.state.lease import is_left, leased, mend
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings, DocumentSettings, Settings

SETTINGS = Settings(documents=DocumentSettings(text=("text",), number=("place",)), chunking=ChunkingSettings(overlap=2))
OPTIONS = LoadOptions(retry=RetryPolicy(first=0.05, patience=30.0))


@pytest.fixture
def index(connection, index_name):
    """An index of 20 documents of four passages each, of the source "documents"."""
    name = index_name()
    load(documents(20, words=20), name, connection)
    return name


def load(found, index, connection, **options):
    given = {"options": OPTIONS, **options}
    return index_documents(found, index, connection, GeneratedEncoder(), SETTINGS, **given)


def passage(connection, index, id_):
    """What is stored of a passage, without its vectors."""
    answer = connection.send(Request.json("GET", f"/{index}/_doc/{id_.replace('#', '%23')}"))
    return answer["_source"]


def change_state(connection, index, **values):
    import msgspec

    return update_state(connection, index, lambda state: msgspec.structs.replace(state, **values))


def test_every_passage_says_its_source_its_load_and_how_many_there_are(connection, index):
    """20 words with 8 a passage and 2 shared make 3 or 4 passages; all say so, with the number of the one load."""
    first = passage(connection, index, "d3#0")
    count = first["passages"]
    assert count > 20 / 8
    for number in range(count):
        there = passage(connection, index, f"d3#{number}")
        assert (there["source"], there["load"], there["passages"]) == ("documents", first["load"], count)
    report = load(documents(1, first=50), index, connection, source="other")
    assert report.load > first["load"]
    assert passage(connection, index, "d50#0")["load"] == report.load


def test_a_document_that_has_lost_its_last_passages_is_partial_and_loaded_again(connection, index):
    """They leave no gap; their number, which every passage knows, tells."""
    last = passage(connection, index, "d3#0")["passages"] - 1
    delete_where(connection, index, {"ids": {"values": [f"d3#{last}"]}})
    report = verify(documents(20, words=20), index, connection, SETTINGS.chunking)
    assert (report.partial.first, report.is_equal) == (("d3",), False)
    assert load(documents(20, words=20), index, connection).indexed == 1
    assert verify(documents(20, words=20), index, connection, SETTINGS.chunking).is_equal


@pytest.mark.parametrize(
    "edit",
    [{"text": "edited by hand"}, {"fields": {"place": 7_777}}, {"filter": {"place": 7_777}}],
    ids=["text", "fields", "filter"],
)
def test_an_edit_in_the_index_itself_is_seen_only_by_a_deep_look(connection, index, edit):
    """The hash beside it says what it said; what is stored says otherwise."""
    connection.send(Request.json("POST", f"/{index}/_update/d3%231", {"doc": edit}, refresh="true"))
    found = documents(20, words=20)
    assert verify(found, index, connection, SETTINGS.chunking).is_equal
    report = verify(documents(20, words=20), index, connection, SETTINGS.chunking, deep=True)
    assert report.edited.first == ("d3",)
    assert not report.is_equal


def test_a_missing_vector_is_seen_by_a_deep_look(connection, index):
    """The passage is there with its text and hash, and no kNN search will ever find it."""
    whole = passage(connection, index, "d3#1")
    bare = {name: value for name, value in whole.items() if name not in {"dense", "sparse"}}
    connection.send(Request.json("PUT", f"/{index}/_doc/d3%231", bare, refresh="true"))
    assert verify(documents(20, words=20), index, connection, SETTINGS.chunking).is_equal
    report = verify(documents(20, words=20), index, connection, SETTINGS.chunking, deep=True)
    assert report.edited.first == ("d3",)


def test_a_late_writer_overwrites_nothing_newer(connection, index_name):
    """A load that began first and writes last: the newer content stays, and it is counted."""
    index = index_name()
    load(documents(3), index, connection)
    old = [replace(document, text="the old text") for document in documents(3)]
    new = [replace(document, text="the new text") for document in documents(3)]

    def late():
        load(new, index, connection)  # while the other load is already under way
        yield from old

    found = late()

    def stalled():
        yield replace(next(documents(1, first=9)), text="first")
        yield from found

    report = load(stalled(), index, connection)
    assert {passage(connection, index, f"d{number}#0")["text"] for number in range(3)} == {"the new text"}
    assert report.superseded == 3


def test_two_loads_side_by_side_restore_what_was_before_both(connection, index):
    """Refresh is off while either runs; the first to end leaves it off, the last one puts back the user's 7 s."""
    indices.update_settings(connection, index, {"index.refresh_interval": "7s"})

    def refresh():
        return indices.read_settings(connection, index)["index.refresh_interval"]

    seen = []
    with leased(connection, connection, index, "first", exclusive=True):
        with leased(connection, connection, index, "second", exclusive=True):
            seen.append(refresh())
        seen.append(refresh())
    assert [*seen, refresh()] == ["-1", "-1", "7s"]
    assert (read_state(connection, index).before, read_state(connection, index).loads) == (None, {})


def test_a_source_is_loaded_by_one_process_at_a_time(connection, index, tmp_path):
    """The second is refused with the process that holds it; another source is not."""
    source = tmp_path / "a.jsonl"
    source.write_text("".join(record_line(document) for document in documents(3, first=30)))
    arguments = (source, index, connection, GeneratedEncoder(), SETTINGS)
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters")
    with leased(connection, connection, index, "a.jsonl", exclusive=True):
        with pytest.raises(IngestError, match=rf"being loaded by process {psutil.Process().pid}"):
            index_source(*arguments, files=files)
        assert index_source(*arguments, files=files, what=SourceOptions(name="b")).indexed == 3


def dead(source="killed", host="elsewhere", pid=1, silence=3600.0):
    """A load that was killed an hour ago on another machine."""
    then = time.time() - silence
    return RunningLoad(source, host, pid, then, then, then)


def test_what_a_killed_load_left_is_mended_by_verify(connection, index):
    """refresh_interval -1 would hide what everybody writes; a running load is not mended."""
    indices.update_settings(connection, index, {"index.refresh_interval": "-1"})
    before = {"index.refresh_interval": "3s"}
    change_state(connection, index, loads={"1": dead(silence=1.0)}, before=before)
    assert (is_left(connection, index), mend(connection, index)) == (False, False)
    change_state(connection, index, loads={"1": dead()}, before=before)
    assert is_left(connection, index)
    assert verify(documents(20, words=20), index, connection, SETTINGS.chunking).mended
    assert indices.read_settings(connection, index)["index.refresh_interval"] == "3s"
    assert not is_left(connection, index)


def test_a_killed_load_of_this_machine_is_known_by_its_process(connection, index):
    """No process has its number and time of birth: the next load begins at once and restores what it left."""
    import socket

    own = dead(source="documents", host=socket.gethostname(), pid=psutil.Process().pid, silence=0.0)
    change_state(connection, index, loads={"1": own}, before={"index.refresh_interval": "4s"})
    report = load(documents(21, words=20), index, connection, sync=True)
    assert any("restored" in note for note in report.notes)
    assert indices.read_settings(connection, index)["index.refresh_interval"] == "4s"


def refused(connection, index, letters, source, *good):
    """A load of the source with one document that the engine refuses, whose letter is kept."""
    bad = Document("bad", "version one", {"place": "no number"})
    path = letters.parent / source
    path.write_text("".join(record_line(document) for document in good) + json_line(bad))
    files = LoadFiles(letters.parent / f"{source}.journal", letters)
    return index_source(
        path, index, connection, GeneratedEncoder(), STRINGS, files=files, what=SourceOptions(name=source)
    )


STRINGS = Settings(documents=DocumentSettings(text=("text",)), chunking=ChunkingSettings(overlap=2))


def json_line(document):
    return json.dumps({"_id": document.id, "text": document.text, **document.fields}) + "\n"


def test_a_letter_that_a_later_load_has_settled_is_not_sent(connection, index_name, tmp_path):
    """The document is refused, corrected in the source and loaded, or removed from it: its letter comes too late."""
    index, letters = index_name(), tmp_path / "letters.jsonl"
    load(documents(2), index, connection)
    assert refused(connection, index, letters, "s.jsonl").refused == 1
    (tmp_path / "s.jsonl").write_text(json_line(Document("bad", "version two", {"place": 2})))
    files = LoadFiles(tmp_path / "journal-2", tmp_path / "letters-2.jsonl")
    what = SourceOptions(name="s.jsonl", sync=True, max_removed=EVERYTHING)
    index_source(tmp_path / "s.jsonl", index, connection, GeneratedEncoder(), STRINGS, files=files, what=what)
    report = replay(letters, index, connection, GeneratedEncoder(), STRINGS)
    assert (report.indexed, letters.exists()) == (0, False)
    assert any("settled by a later load" in note for note in report.notes)
    assert passage(connection, index, "bad#0")["text"] == "version two"


def test_a_letter_for_another_index_is_refused_and_kept(connection, index_name, tmp_path):
    """Not even an index of the same name is the same."""
    index, letters = index_name(), tmp_path / "letters.jsonl"
    load(documents(2), index, connection)
    refused(connection, index, letters, "s.jsonl")
    before = letters.read_bytes()
    indices.delete_index(connection, index)
    load(documents(2), index, connection)
    with pytest.raises(IngestError, match="for another index"):
        replay(letters, index, connection, GeneratedEncoder(), STRINGS)
    assert letters.read_bytes() == before


def test_a_replay_does_not_touch_what_is_no_letter(connection, index, tmp_path):
    """A user's notes stay as they are, byte for byte."""
    notes = tmp_path / "notes.txt"
    notes.write_text("milk, bread\n")
    with pytest.raises(SettingsError, match="is not a file that hybrid-search has made"):
        replay(notes, index, connection, GeneratedEncoder(), SETTINGS)
    assert notes.read_text() == "milk, bread\n"


@pytest.mark.parametrize("purpose", ["journal", "dead_letters", "skip_bad"])
def test_a_users_file_is_never_written_to(connection, index_name, tmp_path, purpose):
    """Named as a file of the load, or the source itself: refused before an index is made."""
    index, source, mine = index_name(), tmp_path / "source.jsonl", tmp_path / "mine.txt"
    source.write_text("".join(record_line(document) for document in documents(3)))
    mine.write_text("mine\n")
    for path in (mine, source):
        before = path.read_bytes()
        with pytest.raises(SettingsError):
            index_source(source, index, connection, GeneratedEncoder(), SETTINGS, files=LoadFiles(**{purpose: path}))
        assert path.read_bytes() == before
    assert not indices.exists(connection, index)


def test_a_long_document_is_sent_in_several_bodies(connection, index_name):
    """4,000 words make some 660 passages; bodies of 20 kB hold a few dozen; all are there, and known as whole."""
    index = index_name()
    found = [*documents(3), *documents(1, first=3, words=4_000), *documents(3, first=4)]
    small = replace(OPTIONS, body_bytes=20_000, most_body_bytes=20_000)
    report = load(found, index, connection, options=small)
    assert (report.documents, report.indexed) == (7, 7)
    assert report.passages == passage(connection, index, "d3#0")["passages"] + 6 > 500
    assert verify(found, index, connection, SETTINGS.chunking).is_equal
    assert load(found, index, connection).unchanged == 7


def test_dead_letters_of_a_program_need_no_origin(connection, index, tmp_path):
    """A letter that says nothing of its index is sent unless the document is there whole."""
    path = tmp_path / "letters.jsonl"
    from hybrid_search.ingest.work import Refusal

    with closing(DeadLetters(path)) as letters:
        for document in [*documents(1, words=20), *documents(1, first=40)]:
            letters.write([Refusal(document, f"{document.id}#0", 400, "mapper", "because")])
    report = replay(path, index, connection, GeneratedEncoder(), SETTINGS)
    assert (report.indexed, path.exists()) == (1, False)


def test_a_load_that_was_taken_for_dead_stops(connection, index, monkeypatch):
    """It slept for too long, and another load of its source has begun: its next sign of life finds no place."""
    monkeypatch.setattr("hybrid_search.ingest.state.lease.RENEWAL", 0.05)
    with leased(connection, connection, index, "s", exclusive=True) as lease:
        lease.check()
        newer = RunningLoad("s", "elsewhere", 1, 0.0, 0.0, time.time())
        change_state(connection, index, loads={str(lease.load + 1): newer})
        with pytest.raises(IngestError, match="has taken this one for dead"):
            wait_until_lost(lease)
    change_state(connection, index, loads={})


def wait_until_lost(lease):
    while True:
        lease.check()
        time.sleep(0.01)


def test_a_letter_and_its_accent_are_indexed_as_one(connection, index_name):
    """ "café" as file names on a Mac come, in two characters: composed in the index, and known again by every way."""
    index = index_name()
    found = [Document("a", "un cafe\u0301 noir"), Document("b", "un caf\u00e9 noir")]
    load(found, index, connection)
    assert {passage(connection, index, f"{id_}#0")["text"] for id_ in "ab"} == {"un caf\u00e9 noir"}
    assert load(found, index, connection).unchanged == 2
    assert verify(found, index, connection, SETTINGS.chunking, deep=True).is_equal
