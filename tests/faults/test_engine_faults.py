"""An engine that rejects, breaks off, lies or is blocked while documents are loaded: nothing lost, nothing twice."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import replace
from functools import partial

import proxy as faults
import pytest
from loading import GeneratedEncoder, documents
from proxy import proxy
from tally import is_clean

from hybrid_search.engine import connect, indices
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IngestError, OverloadedError
from hybrid_search.ingest import DeadLetters, Journal, LoadOptions, index_documents
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.records import Document, IndexSchema
from hybrid_search.settings import DocumentSettings, EngineSettings, Settings

pytestmark = pytest.mark.faults

SETTINGS = Settings(documents=DocumentSettings(text=("text",), number=("place",)))
COUNT = 400
OPTIONS = LoadOptions(
    body_bytes=15_000, most_body_bytes=15_000, retry=RetryPolicy(first=0.01, longest=0.1, patience=60.0)
)
FAULTS = [
    faults.items_429,
    faults.request_429,
    faults.unavailable_503,
    faults.too_large_413,
    faults.reset_before,
    faults.reset_in_body,
    faults.reset_after,
    faults.timeout_after,
    faults.truncated,
    faults.corrupt,
    faults.answer_of_another,
]


def load(found, index, connection, **options):
    settings = {"options": OPTIONS, **options}
    return index_documents(found, index, connection, GeneratedEncoder(), SETTINGS, **settings)


def refusals(path):
    """Ids and reasons of a dead-letter file."""
    letters = (json.loads(line) for line in path.read_text().splitlines()[1:]) if path.exists() else ()
    return [(letter["id"], letter["reason"]) for letter in letters]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_document_arrives_once(fault, connection, index_name, tally, tmp_path):
    """Two of three bulk requests meet the fault; every document is in the index once, or refused with its reason."""
    index, letters = index_name(), tmp_path / "letters.jsonl"
    with (
        proxy(connection.where, fault) as broken,
        connect(EngineSettings(url=broken.url)) as through,
        closing(DeadLetters(letters)) as dead_letters,
    ):
        options = replace(OPTIONS, timeout=1.0 if fault is faults.timeout_after else OPTIONS.timeout)
        report = load(documents(COUNT, vectors=True), index, through, dead_letters=dead_letters, options=options)
    source = documents(COUNT, vectors=True)
    row = tally.check(fault.__name__, broken.faults, connection, index, source=source, refused=refusals(letters))
    assert is_clean(row)
    assert broken.faults > 1
    assert report.retried > 0
    assert report.indexed + report.refused == COUNT
    assert report.refused == 0


@pytest.mark.parametrize("meets", ["/_settings", "/_refresh", "/_count"])
def test_the_settings_are_set_and_restored_by_a_busy_engine(meets, connection, index_name):
    """Two of three requests around the load are answered by 503; the load is the same, and nothing of it stays."""
    index = index_name()
    load(documents(1, vectors=True), index, connection)
    indices.update_settings(connection, index, {"index.refresh_interval": "7s"})
    with (
        proxy(connection.where, faults.unavailable_503, meets=meets) as broken,
        connect(EngineSettings(url=broken.url)) as through,
    ):
        load(documents(COUNT, vectors=True), index, through)
    assert broken.faults > 1
    assert indices.count(connection, index) == COUNT
    assert indices.read_settings(connection, index)["index.refresh_interval"] == "7s"
    assert read_state(connection, index).before is None


def test_a_block_of_the_disk_watermark_is_waited_for(connection, index_name, tally):
    """The engine sets the block when its disk is nearly full and lifts it later; the load waits and says why."""
    index, waits = index_name(), []

    def blocking():
        yield from documents(COUNT // 2, vectors=True)
        indices.update_settings(connection, index, {"index.blocks.read_only_allow_delete": True})
        yield from documents(COUNT // 2, first=COUNT // 2, vectors=True)

    def unblock():
        indices.update_settings(connection, index, {"index.blocks.read_only_allow_delete": None})

    def follow(progress):
        if progress.waiting:
            waits.append(progress.waiting)
            unblock()

    load(blocking(), index, connection, progress=follow)
    assert any("block" in wait for wait in waits)
    row = tally.check("read-only-allow-delete", 1, connection, index, source=documents(COUNT, vectors=True))
    assert is_clean(row)


def test_poison_is_refused_with_its_reason_and_the_rest_arrives(connection, index_name, tally, tmp_path):
    """Wrong types, an object for a number, an id that is too long, bad Unicode and a text of 10 MB among good ones."""
    index, letters, bad = index_name(), tmp_path / "letters.jsonl", []
    vectors = next(documents(1, vectors=True))
    poison = [
        Document("p0", "text", {"place": "no number"}, vectors.dense, vectors.sparse),
        Document("p1", "text", {"place": {"an": "object"}}, vectors.dense, vectors.sparse),
        Document("p2", "text", {"place": 1}, vectors.dense, {"x" * 40_000: 1.0}),
    ]
    unholdable = [Document("i" * 600, "text"), Document("p3", "bad \ud800")]
    large = Document("large", "word " * 2_000_000, {}, vectors.dense, vectors.sparse)
    good = [*documents(COUNT, vectors=True), large]
    mixed = [*good[:200], *poison, *unholdable, *good[200:]]
    with closing(DeadLetters(letters)) as dead_letters:
        report = load(
            mixed, index, connection, dead_letters=dead_letters, on_bad=lambda error, _: bad.append(str(error))
        )
    refused = refusals(letters)
    row = tally.check("poison", 5, connection, index, source=[*good, *poison], refused=refused)
    assert is_clean(row)
    assert {id_ for id_, _ in refused} == {"p0", "p1", "p2"}
    assert (report.indexed, report.refused, report.skipped) == (COUNT + 1, 3, 2)
    assert ["600 bytes" in bad[0], "cannot be written as JSON" in bad[1]] == [True, True]


def test_a_mapping_that_is_changed_underneath_refuses_with_reasons(connection, index_name, tally, tmp_path):
    """In the middle of the load someone maps a field to a type that half of the documents do not have."""
    index, letters = index_name(), tmp_path / "letters.jsonl"
    labelled = [
        Document(d.id, d.text, {**d.fields, "label": "word" if number % 2 else 7}, d.dense, d.sparse)
        for number, d in enumerate(documents(COUNT, vectors=True))
    ]

    def changing():
        yield from labelled[: COUNT // 2]
        mapping = {"properties": {"fields": {"properties": {"label": {"type": "integer"}}}}}
        connection.send(Request.json("PUT", f"/{index}/_mapping", mapping))
        yield from labelled[COUNT // 2 :]

    with closing(DeadLetters(letters)) as dead_letters:
        report = load(changing(), index, connection, dead_letters=dead_letters)
    refused = refusals(letters)
    row = tally.check("mapping changed", 1, connection, index, source=labelled, refused=refused)
    assert is_clean(row)
    assert report.refused == len(refused) > 0
    assert all("label" in reason for _, reason in refused)


def test_two_loads_of_the_same_source_at_once(connection, index_name, tally, tmp_path):
    """The second is refused with a sentence that says so, and the first is not disturbed."""
    index, path, refused = index_name(), tmp_path / "load.journal", []

    def second(_):
        if not refused:
            with pytest.raises(IngestError, match="another load has this file open") as error:
                Journal(path, {})
            refused.append(error)

    with closing(Journal(path, {})) as journal:
        load(documents(COUNT, vectors=True), index, connection, journal=journal, progress=second)
    assert len(refused) == 1
    row = tally.check("two at once", 1, connection, index, source=documents(COUNT, vectors=True))
    assert is_clean(row)


def test_a_clock_that_is_set_back_changes_nothing(connection, index_name, tally, monkeypatch):
    """The wall clock runs backwards during the load, with retries in it."""
    index, now = index_name(), [2e9]

    def backwards():
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    with proxy(connection.where, faults.request_429) as broken, connect(EngineSettings(url=broken.url)) as through:
        load(documents(COUNT, vectors=True), index, through)
    row = tally.check("clock set back", 1, connection, index, source=documents(COUNT, vectors=True))
    assert is_clean(row)


def test_an_alias_is_not_moved_on_a_guess(connection, index_name):
    """A busy engine that does not say what an alias stands for is an error: the alias stays where it was, alone."""
    alias, old, new = index_name(), index_name(), index_name()
    for name in (old, new):
        indices.create_index(connection, name, IndexSchema(None, None))
    indices.point_alias(connection, alias, old)
    with (
        proxy(connection.where, faults.unavailable_503, meets="/_alias/") as broken,
        connect(EngineSettings(url=broken.url)) as through,
    ):
        for call in (partial(indices.point_alias, through, alias, new), partial(indices.aliased, through, alias)):
            with pytest.raises(OverloadedError):
                call()
        assert indices.aliased(connection, alias) == [old]
        assert indices.point_alias(through, alias, new) == [old]
    assert broken.faults == 2
    assert indices.aliased(connection, alias) == [new]
