"""A load that was broken off, and the run that goes on: what is read again, believed and sent, on every engine."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from loading import GeneratedEncoder, documents, record_line
from test_ingest_protocol import OPTIONS, SETTINGS, STRINGS, json_line, load, passage

from hybrid_search.engine import indices
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest import Journal
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import delete_where
from hybrid_search.ingest.maintain.replay import replay
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.source import SourceOptions, index_source
from hybrid_search.read import documents as reading
from hybrid_search.read.splits import read_split
from hybrid_search.records import Document


class BrokenOffError(Exception):
    """Ends a load from within."""


def interrupted(source, index, connection, files, after):
    """A load of the source that is broken off after so many settled documents."""

    def stop(progress):
        if progress.documents >= after:
            raise BrokenOffError

    small = replace(OPTIONS, senders=1, body_bytes=4_000, most_body_bytes=4_000)
    with pytest.raises(BrokenOffError):
        index_source(source, index, connection, GeneratedEncoder(), SETTINGS, files=files, progress=stop, options=small)


def test_a_resumed_load_does_not_read_again_what_is_settled(connection, index_name, tmp_path, monkeypatch):
    """400 documents, broken off after 100: the next run begins behind them.

    The numbers add up: what was settled and what is loaded now are all of them.
    """
    index, source = index_name(), tmp_path / "source.jsonl"
    lines = [record_line(document).encode() for document in documents(400, vectors=True)]
    source.write_bytes(b"".join(lines))
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl")
    interrupted(source, index, connection, files, 100)
    places = []
    monkeypatch.setattr("hybrid_search.ingest.source.read_split", noting(places))
    report = index_source(source, index, connection, GeneratedEncoder(), SETTINGS, files=files, options=OPTIONS)
    (place,) = places
    assert (place.line >= 100, place.offset) == (True, sum(map(len, lines[: place.line])))
    assert report.resumed >= 100
    assert report.documents == 400 - report.resumed
    assert report.indexed + report.unchanged == report.documents
    assert verify(documents_of(source), index, connection, SETTINGS.chunking).is_equal


def noting(places):
    """The reader, which notes from where it is asked to read."""

    def read(split, *arguments, start, **options):
        places.append(start)
        return read_split(split, *arguments, start=start, **options)

    return read


def documents_of(source):
    return reading(source, SETTINGS.documents)


def test_a_journal_is_not_believed_when_its_passages_are_gone(connection, index_name, tmp_path):
    """Somebody deletes by the engine's own request, which raises no count of ours: the source is read anew."""
    index, source = index_name(), tmp_path / "source.jsonl"
    source.write_text("".join(record_line(document) for document in documents(400, vectors=True)))
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl")
    interrupted(source, index, connection, files, 200)
    indices.refresh(connection, index)
    lines = b"".join(b'{"delete":{"_index":"%s","_id":"d%d#0"}}\n' % (index.encode(), n) for n in range(100))
    connection.send(Request("POST", "/_bulk", {"refresh": "true"}, lines, "application/x-ndjson"))
    report = index_source(source, index, connection, GeneratedEncoder(), SETTINGS, files=files, options=OPTIONS)
    assert report.resumed == 0
    assert any("has lost documents that were settled" in note for note in report.notes)
    assert verify(documents_of(source), index, connection, SETTINGS.chunking).is_equal


def test_a_letter_of_the_run_that_was_continued_is_not_settled_by_the_next(connection, index_name, tmp_path):
    """Refused, kept, broken off; the next run begins behind it, so that the letter is the only one who knows it."""
    index, source, letters = index_name(), tmp_path / "source.jsonl", tmp_path / "letters.jsonl"
    bad = json_line(Document("bad", "good words", {"place": "no number"}))
    source.write_text(bad + "".join(record_line(document) for document in documents(400, vectors=True)))
    load(documents(1, first=999), index, connection)  # an index in which place is a number
    files = LoadFiles(tmp_path / "journal", letters)
    small = replace(OPTIONS, senders=1, body_bytes=4_000, most_body_bytes=4_000)
    arguments = (source, index, connection, GeneratedEncoder(), STRINGS)

    def stop(progress):
        if progress.documents >= 100:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        index_source(*arguments, files=files, progress=stop, options=small)
    report = index_source(*arguments, files=files, options=OPTIONS)
    assert (report.resumed >= 100, report.refused) == (True, 0)
    letters.write_text(letters.read_text().replace('"no number"', "7"))
    again = replay(letters, index, connection, GeneratedEncoder(), STRINGS)
    assert (again.indexed, letters.exists()) == (1, False)
    assert passage(connection, index, "bad#0")["text"] == "good words"


def test_a_program_s_journal_is_not_believed_either(connection, index_name, tmp_path):
    """Broken off after 150 of 300 documents; half of those are deleted meanwhile, and come back."""
    index, path = index_name(), tmp_path / "journal"

    def broken():
        yield from documents(150)
        raise BrokenOffError

    with closing(Journal(path, {})) as journal, pytest.raises(BrokenOffError):
        load(broken(), index, connection, journal=journal)
    delete_where(connection, index, {"range": {"filter.place": {"lt": 75}}})
    with closing(Journal(path, {})) as journal:
        report = load(documents(300), index, connection, journal=journal)
    assert (report.resumed, report.indexed) == (0, 225)
    assert verify(documents(300), index, connection, SETTINGS.chunking).is_equal


def test_a_link_to_today_s_file_is_one_source(connection, index_name, tmp_path):
    """latest.jsonl points to another file every day: the same name and place, so that it may remove what it lost."""
    index, link = index_name(), tmp_path / "latest.jsonl"
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl")
    for day, count in (("monday", 20), ("tuesday", 19)):
        target = tmp_path / f"{day}.jsonl"
        target.write_text("".join(record_line(document) for document in documents(count)))
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        what = SourceOptions(sync=True)
        report = index_source(link, index, connection, GeneratedEncoder(), SETTINGS, files=files, what=what)
    assert (report.source, report.removed) == ("latest.jsonl", 1)
