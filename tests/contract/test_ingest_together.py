"""A load that several processes do together, its parts one after the other here, on every engine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loading import GeneratedEncoder, documents, record_line
from test_ingest_protocol import OPTIONS, SETTINGS
from test_ingest_resume import documents_of, noting

from hybrid_search.cli.loads import raise_if_incomplete
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IngestError, RecordError, SettingsError
from hybrid_search.ingest import left_out
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import delete_documents
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.one_pace import OnePace
from hybrid_search.ingest.pace import Pace, Refused
from hybrid_search.ingest.source import SourceOptions, index_source
from hybrid_search.ingest.state.cluster import PushedBack, read_state
from hybrid_search.ingest.state.lease import leased
from hybrid_search.ingest.state.letters import read_letters
from hybrid_search.ingest.together import joined
from hybrid_search.read.splits import plan_splits
from hybrid_search.settings import ChunkingSettings

COUNT = 400
SMALL = replace(OPTIONS, senders=1, body_bytes=2_000, most_body_bytes=2_000, split_bytes=4_000)
NAME = "source.jsonl"


class BrokenOffError(Exception):
    """Ends a process's part of the load from within."""


@pytest.fixture
def part(connection, index_name, tmp_path, monkeypatch):
    """A part of a load of ``source.jsonl``; ``stop`` breaks it off once so many documents are settled."""
    monkeypatch.setattr("hybrid_search.ingest.state.sharing.POLL", 0.01)
    path, index = tmp_path / NAME, index_name()
    path.write_text("".join(record_line(document) for document in documents(COUNT, first=1_000)))

    def load(*, stop=None, settings=SETTINGS, letters="letters.jsonl", bad=None, encoder=None, **what):
        def stopping(progress):
            if stop is not None and progress.documents >= stop:
                raise BrokenOffError

        options = SourceOptions(join=True, **what)
        files = LoadFiles(dead_letters=tmp_path / letters, skip_bad=bad)
        given = {"files": files, "what": options, "options": SMALL}
        arguments = (path, index, connection, encoder or GeneratedEncoder(), settings)
        if stop is None:
            return index_source(*arguments, progress=stopping, **given)
        with pytest.raises(BrokenOffError):
            index_source(*arguments, progress=stopping, **given)
        return None

    load.path, load.index = path, index
    load.shared = lambda: read_state(connection, index).shared.get(NAME)
    load.verify = lambda: verify(documents_of(path), index, connection, SETTINGS.chunking)
    return load


def committed(shared):
    """The numbers of the committed splits."""
    return [number for first, end in shared.committed for number in range(first, end)]


def test_one_process_alone_does_all_of_it(part):
    """It takes every split, ends the load, and leaves nothing in the state but that the source was read whole."""
    report = part()
    splits = len(plan_splits(part.path, split_bytes=SMALL.split_bytes))
    assert report.notes == (f"this process loaded {splits} of {splits} splits of the source, and ended the load",)
    assert (report.documents, report.indexed, part.shared()) == (COUNT, COUNT, None)
    assert part.verify().is_equal
    assert part().unchanged == COUNT


def test_what_is_committed_is_not_read_again(part, monkeypatch):
    """A process is broken off after 200 documents: the next takes the splits that it has not committed."""
    part(stop=200)
    shared, places = part.shared(), []
    done = committed(shared)
    assert 0 < len(done) < shared.splits
    monkeypatch.setattr("hybrid_search.ingest.source.read_split", noting(places))
    report = part()
    assert len(places) == shared.splits - len(done)
    assert report.documents == COUNT - shared.documents
    assert report.notes[0] == f"takes part in a load: {len(done)} of {shared.splits} splits are settled already"
    assert part.verify().is_equal


def test_what_others_have_left_out_counts_too(part):
    """Each 16th of 400 has no text, which makes 25: who ends the load counts those of all, once."""
    every = enumerate(documents(COUNT))
    part.path.write_text("".join(record_line(one, text=one.text if number % 16 else " ") for number, one in every))
    part(stop=200)
    done = part.shared()
    assert (0 < done.left_out < 25, done.documents < COUNT - 25) == (True, True)
    report = part()
    assert (report.skipped, report.excess) == (25, "25 of 400 records were left out, more than 1%")


class Refusing(GeneratedEncoder):
    """Gives no vectors to the first and the last of 400 documents."""

    def encode_documents(self, texts):
        refused = {n: "no vector" for n, text in enumerate(texts) if text.startswith(("w1000x", "w1399x"))}
        return replace(super().encode_documents(texts), refused=refused)


def test_what_others_have_refused_counts_too(part, tmp_path):
    """A document is refused by each of two processes: who ends the load says that it was two, in two files."""
    part(stop=200, encoder=Refusing())
    assert part.shared().refused == 1
    report = part(letters="others.jsonl", encoder=Refusing())
    assert (report.refused, report.refused_in_all) == (1, 2)
    with pytest.raises(IngestError, match="2 documents were refused, by all processes of the load together"):
        raise_if_incomplete(report)
    files = [tmp_path / "letters.jsonl", tmp_path / "others.jsonl"]
    assert [letter.document.id for file in files for letter in read_letters(file)] == ["d1000", "d1399"]


def test_an_overloaded_engine_is_told_of_through_the_record(part, connection):
    """Who is refused puts it down, another that looks slows down; the load goes on with that in its record."""
    part(stop=200)
    paces = [Pace(), Pace()]
    here, there = (OnePace(connection, part.index, NAME, n, pace) for n, pace in enumerate(paces, 1))
    here.refused(Refused(3, 2.0))
    here.exchange()
    there.exchange()
    assert (paces[1].failures, part.shared().pushed_back) == (3, PushedBack(1, 1, 3, 2.0))
    assert part().documents < COUNT
    assert part.verify().is_equal


def test_bad_records_in_the_file_are_those_of_this_load(part, tmp_path):
    """Two lines are no JSON: broken off and gone on with, both are there once; once one is mended, the other alone."""
    bad, lines = tmp_path / "bad.jsonl", part.path.read_text().splitlines(keepends=True)
    part.path.write_text("".join(["{first\n", *lines, "{last\n"]))
    for changed, kept in (("{first\n", 2), ("", 1)):
        part.path.write_text("".join([changed, *lines, "{last\n"]))
        part(stop=200, bad=bad)
        assert part(bad=bad).skipped == kept
        assert len(bad.read_text().splitlines()) == 1 + kept


def other_bytes(part, _connection):
    part.path.write_text(part.path.read_text().replace("w1003x1 w1003x2", "w1003x2 w1003x1"))


def deleted(part, connection):
    delete_documents(connection, part.index, ["d1000", "d1001"])


@pytest.mark.parametrize("change", [other_bytes, deleted])
def test_what_others_have_committed_is_not_believed_blindly(part, connection, change):
    """It stands only for the same bytes, also among as many, and as long as it is in the index."""
    part(stop=200)
    change(part, connection)
    report = part()
    why = "what they have read differs" if change is other_bytes else "not all in the index"
    assert (report.documents, why in report.notes[0]) == (COUNT, True)
    assert part.verify().is_equal


def test_what_somebody_has_deleted_meanwhile_is_missed_at_the_end(part, connection):
    """By the engine's own request, which raises no count of ours: the counts differ; the next run loads it again."""
    part(stop=200)
    connection.send(Request.json("DELETE", f"/{part.index}/_doc/d1001%230", refresh="true"))
    with pytest.raises(IngestError, match="1 document that was settled is not in the index any more"):
        part()
    report = part()
    assert (report.indexed, report.unchanged) == (1, COUNT - 1)
    assert part.verify().is_equal


def test_other_options_begin_a_load_anew_that_nobody_is_at(part):
    """Those who do it together must mean the same."""
    part(stop=200)
    report = part(take_over=True)
    assert (report.documents, "the options differ" in report.notes[0]) == (COUNT, True)


def test_who_joins_when_all_is_done_has_nothing_to_do(part, monkeypatch):
    """It had begun when another ended the load: it does not load everything anew, and nobody is told that it did."""
    inside = []

    def late(*arguments):
        if not inside:
            inside.append(None)
            inside[0] = part(letters="others.jsonl")
        return joined(*arguments)

    monkeypatch.setattr("hybrid_search.ingest.source.joined", late)
    report = part()
    splits = len(plan_splits(part.path, split_bytes=SMALL.split_bytes))
    assert (inside[0].documents, report.documents, part.shared()) == (COUNT, 0, None)
    assert report.notes == (f"this process loaded 0 of {splits} splits of the source; another process ends the load",)
    assert part().documents == COUNT  # who begins after the end reads all of it again


def test_an_id_in_two_processes_splits_is_found(part, monkeypatch):
    """The other process has loaded the first document of the id: with another text, and with the very same."""
    monkeypatch.setattr(left_out, "SAMPLED", 2)  # the look before the load would find it among the first
    lines = part.path.read_text().splitlines(keepends=True)
    part.path.write_text("".join([*lines, lines[0]]))
    part(stop=200)
    with pytest.raises(RecordError, match=rf"{NAME}:{COUNT + 1}: the id 'd1000' is given twice, first at .*{NAME}:1:"):
        part()
    part.path.write_text("".join([*lines, lines[0].replace("w1000x1", "w1000x9")]))
    with pytest.raises(RecordError, match=rf"{NAME}:{COUNT + 1}: the id 'd1000'"):
        part()
    part.path.write_text("".join(lines))
    part()
    assert part.verify().is_equal


def test_a_load_by_itself_and_one_together_exclude_each_other(part, connection):
    """Whichever is there first; the message says how to take part. Afterwards its word counts for nothing."""
    part(stop=200)
    assert part.shared() is not None
    alone = leased(connection, connection, part.index, NAME, exclusive=True)
    with alone, pytest.raises(IngestError, match="is being loaded by process"):
        part()
    assert part.shared() is None
    together = leased(connection, connection, part.index, NAME, exclusive=False, joined=True)
    with together, pytest.raises(IngestError, match="or do it together with it: --join"):
        index_source(part.path, part.index, connection, GeneratedEncoder(), SETTINGS)


def test_who_joins_with_something_else_is_refused_while_others_run(part, connection):
    """Other settings: two loads of one source would fight over its documents."""
    part(stop=200)
    settings = replace_chunking(SETTINGS)
    other = leased(connection, connection, part.index, NAME, exclusive=False, joined=True)
    with other, pytest.raises(IngestError, match=r"other processes load 'source.jsonl' at this moment, and the source"):
        part(settings=settings)
    assert part().documents > 0


def replace_chunking(settings):
    from msgspec.structs import replace as changed

    return changed(settings, chunking=ChunkingSettings(overlap=1))


@pytest.mark.parametrize(
    ("source", "what"), [("-", {}), ("hf:name", {}), ("a.jsonl", {"limit": 5})], ids=["pipe", "hub", "limit"]
)
def test_what_one_process_must_read_is_not_shared(source, what):
    """A stream comes once; the first documents of a source are known only to who reads from its beginning."""
    with pytest.raises(SettingsError, match=r"--join, --workers, --ray: .* by one process"):
        SourceOptions(join=True, **what).check(source)
