"""A source in splits: read side by side, gone on with in each, begun anew where one has changed, on every engine."""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import replace

import pytest
from loading import GeneratedEncoder, documents, record_line
from test_ingest_protocol import OPTIONS, SETTINGS
from test_ingest_resume import documents_of, noting

from hybrid_search.engine.protocols import Request
from hybrid_search.errors import RecordError
from hybrid_search.ingest import left_out
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.source import SourceOptions, index_source
from hybrid_search.read.splits import plan_splits
from hybrid_search.records import ResumePoint

COUNT = 400
SMALL = replace(OPTIONS, senders=1, body_bytes=4_000, most_body_bytes=4_000, split_bytes=10_000)
"""Some four splits of a hundred documents, and bodies of a few."""


class BrokenOffError(Exception):
    """Ends a load from within."""


@pytest.fixture
def loading(connection, index_name, tmp_path):
    """Loads ``source.jsonl`` of the test's folder into one index; ``stop`` breaks it off after so many documents."""
    index = index_name()

    def load(*, name="source.jsonl", stop=None, what=None, skip_bad=None, **options):
        def stopping(progress):
            if stop is not None and progress.documents >= stop:
                raise BrokenOffError

        files = LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl", skip_bad)
        arguments = (tmp_path / name, index, connection, GeneratedEncoder(), SETTINGS)
        given = {"files": files, "what": what, "progress": stopping, "options": replace(SMALL, **options)}
        if stop is None:
            return index_source(*arguments, **given)
        with pytest.raises(BrokenOffError):
            index_source(*arguments, **given)
        return None

    load.index = index
    load.verify = lambda name="source.jsonl": verify(
        documents_of(tmp_path / name), index, connection, SETTINGS.chunking
    )
    return load


def write(path, count=COUNT, **changes):
    """A source of documents of equally long lines; ``changes`` are texts by number."""
    path.write_text("".join(line(document, changes) for document in documents(count, first=1_000)))


def line(document, changes):
    changed = changes.get(document.id)
    return record_line(document) if changed is None else record_line(document, text=changed)


@pytest.mark.parametrize("readers", [1, 3])
def test_a_load_goes_on_in_every_split(loading, tmp_path, monkeypatch, readers):
    """Broken off after 250 of 400 documents: finished splits are passed over, begun ones sought in."""
    write(tmp_path / "source.jsonl")
    loading(stop=250, readers=readers)
    places = []
    monkeypatch.setattr("hybrid_search.ingest.source.read_split", noting(places))
    report = loading(readers=readers)
    splits = len(plan_splits(tmp_path / "source.jsonl", split_bytes=SMALL.split_bytes))
    assert splits > 3
    assert len(places) < splits or all(places)
    assert any(isinstance(place, ResumePoint) for place in places) or len(places) < splits
    assert (report.resumed >= 250, report.documents) == (True, COUNT - report.resumed)
    assert report.indexed + report.unchanged == report.documents
    assert loading.verify().is_equal


def test_several_readers_read_every_document_once(loading, tmp_path):
    """Four at once, of splits that are fewer and more than they are."""
    write(tmp_path / "source.jsonl")
    for split_bytes in (1_000, 30_000):
        report = loading(readers=4, split_bytes=split_bytes)
        assert (report.documents, report.indexed + report.unchanged) == (COUNT, COUNT)
    assert loading.verify().is_equal


@pytest.mark.parametrize("readers", [1, 3])
def test_bad_records_name_their_line_in_any_split(loading, tmp_path, readers):
    """The line is that of the file, however many splits are before it, also after a load was broken off."""
    path, bad = tmp_path / "source.jsonl", tmp_path / "bad.jsonl"
    write(path)
    lines = path.read_text().splitlines(keepends=True)
    lines[50] = lines[350] = "{broken\n"
    path.write_text("".join(lines))
    loading(stop=150, skip_bad=bad, readers=readers)
    report = loading(skip_bad=bad, readers=readers)
    assert report.skipped == 2
    assert f"{path}:51" in bad.read_text()
    assert f"{path}:351" in bad.read_text()
    assert report.resumed + report.documents == COUNT - 2


@pytest.mark.parametrize("name", ["source.jsonl", "parts"])
@pytest.mark.parametrize("sync", [False, True])
def test_what_earlier_runs_left_out_counts_too(loading, tmp_path, name, sync):
    """Each 16th of 400 has no text, which makes 25: two runs count them once, whether files can be sought in or not."""
    lines = [
        record_line(document, text=document.text if number % 16 else " ")
        for number, document in enumerate(documents(COUNT))
    ]
    (tmp_path / "source.jsonl").write_text("".join(lines))
    (tmp_path / "parts").mkdir()
    for part in range(4):
        content = "".join(lines[100 * part : 100 * (part + 1)]).encode()
        (tmp_path / "parts" / f"{part}.jsonl.gz").write_bytes(gzip.compress(content))
    loading(name=name, stop=250)
    report = loading(name=name, what=SourceOptions(sync=sync))
    assert (report.resumed >= 250, report.resumed + report.documents) == (True, COUNT - 25)
    assert (report.skipped, report.excess) == (25, "25 of 400 records were left out, more than 1%")


def test_a_split_that_has_changed_starts_over_and_the_others_go_on(loading, tmp_path, monkeypatch):
    """Two documents of the first split are corrected: it is compared anew, and nothing else that was settled is."""
    write(tmp_path / "source.jsonl")
    loading(stop=250)
    other = dict.fromkeys(("d1003", "d1005"), "other x0 words x1 than x2 before x3 !!!")
    write(tmp_path / "source.jsonl", **other)
    assert len(other["d1003"]) == len(next(documents(1, first=1_003)).text)
    checked = []
    monkeypatch.setattr("hybrid_search.ingest.load.Checking", noting_documents(checked))
    report = loading()
    splits = plan_splits(tmp_path / "source.jsonl", split_bytes=SMALL.split_bytes)
    assert any("parts of the source have changed" in note for note in report.notes)
    assert 0 < report.resumed < 250
    assert len(checked) == COUNT - report.resumed
    assert len(splits) > 3
    assert {"d1003", "d1005"} <= set(checked)
    assert report.indexed + report.unchanged == COUNT - report.resumed
    assert loading.verify().is_equal


@pytest.mark.parametrize("stop", [None, 250])
def test_passages_of_a_split_that_starts_over_hide_no_loss(loading, connection, tmp_path, stop):
    """Ten passages of the second split are deleted, fewer than those that the changed first one has in the index.

    It is seen by the next run; or by the one after, where that was broken off and half of it is deleted then.
    """
    write(tmp_path / "source.jsonl")
    loading(stop=250)
    write(tmp_path / "source.jsonl", d1003="other x0 words x1 than x2 before x3 !!!")
    if stop is not None:
        loading(stop=50)
    lost = "".join(f'{{"delete":{{"_index":"{loading.index}","_id":"d{n}#0"}}}}\n' for n in range(1_110, 1_120))
    connection.send(Request("POST", "/_bulk", {"refresh": "true"}, lost.encode(), "application/x-ndjson"))
    loading()
    assert loading.verify().is_equal


def noting_documents(checked):
    """The stage of the checks, which notes the documents that reach it."""
    from hybrid_search.ingest.stages.prepare import Checking

    class Noting(Checking):
        def __call__(self, batch):
            checked.extend(document.id for _, document in batch.items)
            return super().__call__(batch)

    return Noting


@pytest.fixture
def hardly_looked_through(monkeypatch):
    """The look before the load sees two records, so that it is the load which finds what is wrong with others."""
    monkeypatch.setattr(left_out, "SAMPLED", 2)


@pytest.mark.usefixtures("hardly_looked_through")
@pytest.mark.parametrize("readers", [1, 3])
def test_an_id_in_two_splits_is_found(loading, tmp_path, readers):
    """The last line has the id of the first; in one run, and when the first was loaded by the run before."""
    path = tmp_path / "source.jsonl"
    write(path)
    with path.open("a") as file:
        file.write(record_line(next(documents(1, first=1_000)), text="another text"))
    with pytest.raises(RecordError, match=rf"the id 'd1000' has come before, at {path}:"):
        loading(readers=readers)
    places = [rf"{path}:{COUNT + 1}: .* at {path}:1\.", rf"{path}:1: .* at {path}:{COUNT + 1}\."]
    with pytest.raises(RecordError, match="|".join(places[: min(readers, 2)])):  # side by side, either may be first
        loading(readers=readers)


@pytest.mark.usefixtures("hardly_looked_through")
@pytest.mark.parametrize("sync", [False, True])
def test_an_id_that_a_changed_split_takes_from_a_settled_one_is_found(loading, tmp_path, sync):
    """The fourth line gets the id of the settled 151st; once it is its own again, no text of the other is left."""
    path = tmp_path / "source.jsonl"
    write(path)
    loading(stop=250)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[3].replace("d1003", "d1150"), *lines[4:]]))
    what = SourceOptions(sync=sync, max_removed=Limit(None))
    with pytest.raises(RecordError, match=rf"{path}:151: the id 'd1150' has come before, at {path}:4\."):
        loading(what=what)
    path.write_text("".join(lines))
    assert loading(what=what).documents == COUNT
    assert loading.verify().is_equal


def test_an_id_that_is_taken_from_a_settled_document_is_kept_where_bad_records_are(loading, tmp_path):
    """The settled document is replaced by the one that comes before it, and is in the file of bad records."""
    path, bad = tmp_path / "source.jsonl", tmp_path / "bad.jsonl"
    write(path)
    loading(stop=250, skip_bad=bad)
    path.write_text(path.read_text().replace("d1003", "d1150", 1))
    report = loading(skip_bad=bad)
    assert report.skipped == 1
    assert f"{path}:151" in bad.read_text()


def test_a_table_goes_on_behind_its_rows(loading, tmp_path, monkeypatch):
    """CSV is one split, in which reading goes on at a byte."""
    rows = ["_id,text,place\n", *(f'd{n},"some\nwords {n}",{n}\n' for n in range(COUNT))]
    (tmp_path / "source.csv").write_text("".join(rows))
    loading(name="source.csv", stop=200)
    places = []
    monkeypatch.setattr("hybrid_search.ingest.source.read_split", noting(places))
    report = loading(name="source.csv")
    assert [place.offset >= len("".join(rows[:201])) for place in places] == [True]
    assert report.resumed + report.documents == COUNT
    assert loading.verify("source.csv").is_equal


def test_a_file_of_many_documents_that_looks_like_one_goes_on(loading, tmp_path):
    """A console's export is a text file by its name: broken off in its midst, the rest of it is not passed over."""
    pairs = (f'{{"index":{{"_id":"{one.id}"}}}}\n{record_line(one)}' for one in documents(COUNT))
    (tmp_path / "source.txt").write_text("POST notes/_bulk\n" + "".join(pairs))
    loading(name="source.txt", stop=250)
    report = loading(name="source.txt")
    assert report.resumed + report.documents == COUNT
    assert loading.verify("source.txt").is_equal


def test_compressed_files_that_were_finished_are_not_read_again(loading, tmp_path, monkeypatch):
    """Four files of 100 documents, broken off after 250: two of them are read, from their beginnings."""
    (tmp_path / "parts").mkdir()
    for part in range(4):
        content = "".join(record_line(document) for document in documents(100, first=100 * part))
        (tmp_path / "parts" / f"{part}.jsonl.gz").write_bytes(gzip.compress(content.encode()))
    loading(name="parts", stop=250)
    places = []
    monkeypatch.setattr("hybrid_search.ingest.source.read_split", noting(places))
    report = loading(name="parts")
    assert places == [None, None]
    assert report.resumed + report.documents == COUNT
    assert loading.verify("parts").is_equal


@pytest.mark.parametrize("limit", [50, 150, 400, 1_000])
def test_a_limit_counts_through_the_splits(loading, tmp_path, limit):
    """The first so many of the source, also in two runs; with it there is one reader."""
    write(tmp_path / "source.jsonl")
    what, wanted = SourceOptions(limit=limit), min(limit, COUNT)
    loading(what=what, stop=20, readers=3)
    report = loading(what=what, readers=3)
    assert report.resumed + report.documents == wanted
    assert loading.verify().missing.count == COUNT - wanted


def test_the_progress_says_how_many_documents_there_may_be(tmp_path, connection, index_name):
    """By the bytes that were read: all lines are equally long, so that the first guess is right within a few."""
    write(tmp_path / "source.jsonl")
    said = Counter()
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl")

    def follow(progress):
        said[progress.expected] += 1

    index_source(
        tmp_path / "source.jsonl",
        index_name(),
        connection,
        GeneratedEncoder(),
        SETTINGS,
        files=files,
        progress=follow,
        options=SMALL,
    )
    assert all(abs(expected - COUNT) <= 8 for expected in said)
