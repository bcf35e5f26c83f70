"""A busy engine is waited for by everything that a load, sync, verify, replay, delete and reindex send."""

from __future__ import annotations

import json
from contextlib import closing

import proxy as faults
import pytest
from loading import GeneratedEncoder, documents, record_line
from proxy import proxy

from hybrid_search.engine import connect, indices
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest import DeadLetters, LoadOptions, index_documents
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import EVERYTHING, delete_where
from hybrid_search.ingest.maintain.replay import replay
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.source import SourceOptions, index_source
from hybrid_search.ingest.work import Refusal
from hybrid_search.recreate import recreate
from hybrid_search.reindex import Encoders, reindex
from hybrid_search.settings import ChunkingSettings, DocumentSettings, EngineSettings, Settings

pytestmark = pytest.mark.faults

SETTINGS = Settings(documents=DocumentSettings(text=("text",)), chunking=ChunkingSettings(overlap=2))
RETRY = RetryPolicy(first=0.01, longest=0.05, patience=60.0)
OPTIONS = LoadOptions(retry=RETRY)
COUNT = 30


@pytest.fixture
def source(tmp_path):
    """A file of 30 documents."""
    path = tmp_path / "source.jsonl"
    path.write_text("".join(record_line(document) for document in documents(COUNT)))
    return path


@pytest.fixture(params=[faults.unavailable_503, faults.request_429, faults.reset_before], ids=lambda f: f.__name__)
def through(request, connection, index_name):
    """An index, and a connection on which two of three requests that name it or the aliases meet the fault."""
    index = index_name()
    index_documents(documents(COUNT), index, connection, GeneratedEncoder(), SETTINGS)
    with proxy(connection.where, request.param, meets=index) as broken:
        with connect(EngineSettings(url=broken.url)) as opened:
            yield index, opened
        assert broken.faults > 1
    for number in range(1, 4):
        connection.transport.send(Request.json("DELETE", f"/{index}-{number}"))


def test_a_verify_rides_it_out(through):
    """Every request is answered in the end; what was found is the same."""
    index, connection = through
    assert verify(documents(COUNT), index, connection, SETTINGS.chunking, deep=True, retry=RETRY).is_equal


def test_a_sync_rides_it_out(through, source, tmp_path):
    """The mapping is read, the documents compared, five removed."""
    index, connection = through
    source.write_text("".join(record_line(document) for document in documents(COUNT - 5)))
    what = SourceOptions(name="documents", sync=True, max_removed=EVERYTHING)
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters")
    encoder = GeneratedEncoder()
    report = index_source(source, index, connection, encoder, SETTINGS, files=files, what=what, options=OPTIONS)
    assert (report.removed, indices.count(connection_of(connection), index)) == (5, COUNT - 5)


def connection_of(connection):
    """The same engine, asked until it answers."""
    from hybrid_search.ingest.patience import patient

    return patient(connection, RETRY)


def test_a_removal_rides_it_out(through):
    """A busy engine loses a search or a delete on the way; all that match are gone in the end."""
    index, connection = through
    assert delete_where(connection, index, {"terms": {"doc_id": ["d1", "d2"]}}, retry=RETRY) == 2


def test_a_replay_rides_it_out(through, tmp_path):
    """The letter's document is there afterwards, and the file gone."""
    index, connection = through
    path = tmp_path / "letters.jsonl"
    with closing(DeadLetters(path)) as letters:
        letters.write([Refusal(next(documents(1, first=99)), "d99#0", 400, "mapper", "because")])
    report = replay(path, index, connection, GeneratedEncoder(), SETTINGS, options=OPTIONS)
    assert (report.indexed, path.exists()) == (1, False)


def test_a_rebuild_rides_it_out(through, source, tmp_path):
    """The new index is built, counted and put in the place of the old one."""
    index, connection = through
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters")
    encoder = GeneratedEncoder()
    recreate(source, index, connection, encoder, SETTINGS, files=files, options=OPTIONS)
    waiting = connection_of(connection)
    assert (indices.aliased(waiting, index), indices.count(waiting, index)) == ([f"{index}-1"], COUNT)


def test_a_reindex_rides_it_out(through, source, tmp_path):
    """The alias moves to an index that was loaded and verified through the faults."""
    index, connection = through
    waiting = connection_of(connection)
    indices.delete_index(waiting, index)
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters")
    encoders = Encoders(GeneratedEncoder())
    done = reindex(source, index, connection, encoders, SETTINGS, files=files, options=OPTIONS)
    assert (done.moved, indices.aliased(waiting, index)) == (True, [f"{index}-1"])
    assert json.dumps(done.as_json())
