"""Loads from an object store: side by side, gone on with after a break, one version of each object, on every engine."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loading import GeneratedEncoder, documents, record_line
from object_stores import BUCKET, SECRET, bucket, s3, wire
from test_ingest_protocol import OPTIONS, SETTINGS

from hybrid_search.errors import SourceChangedError
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.source import SourceOptions, index_source
from hybrid_search.read import documents as documents_of

SMALL = replace(OPTIONS, senders=1, body_bytes=4_000, most_body_bytes=4_000, split_bytes=10_000)


@pytest.fixture(scope="module")
def store():
    """One store for all tests of this file."""
    with s3() as url:
        yield url


@pytest.fixture
def filled(store, monkeypatch):
    """An empty bucket."""
    with bucket(store, monkeypatch) as found:
        yield found


@pytest.fixture
def loading(connection, index_name, tmp_path):
    """Loads ``s3://BUCKET/in`` into one index."""
    index = index_name()

    def load(what=None, source=f"s3://{BUCKET}/in", **more):
        files = LoadFiles(None if what else tmp_path / "journal", tmp_path / "letters.jsonl")
        given = {"files": files, "what": what, "options": SMALL, **more}
        return index_source(source, index, connection, GeneratedEncoder(), SETTINGS, **given)

    load.verify = lambda: verify(
        documents_of(f"s3://{BUCKET}/in", SETTINGS.documents), index, connection, SETTINGS.chunking
    )
    load.index = index
    return load


def lines(first, count):
    return "".join(record_line(one) + "\n" for one in documents(count, first=first)).encode()


def rows(first, count):
    found = list(documents(count, first=first))
    file = io.BytesIO()
    table = pa.table({"_id": [one.id for one in found], "text": [one.text for one in found]})
    pq.write_table(table, file, row_group_size=50)
    return file.getvalue()


def test_a_prefix_is_loaded_by_several_together(filled, loading):
    """Plain and compressed objects of lines, cut where they can be, become the documents that they hold, once each."""
    filled.put("in/a.jsonl", lines(0, 400))
    filled.put("in/b.jsonl.gz", gzip.compress(lines(400, 100)))
    report = loading(SourceOptions(join=True))
    assert report.indexed == 500
    assert "splits of the source, and ended the load" in " ".join(report.notes)
    assert loading.verify().is_equal


def test_row_groups_of_an_object_are_splits(filled, loading):
    """A Parquet object is read by row groups, and what is loaded is what a file would give."""
    filled.put("in/a.parquet", rows(0, 400))
    assert loading().indexed == 400
    assert loading.verify().is_equal


def test_nothing_is_lost_where_connections_break(filled, loading, monkeypatch):
    """Of a wire that is cut in the middle of answers every document arrives, once."""
    filled.put("in/a.jsonl", lines(0, 2_000))
    with wire(filled.url, cuts=4, most=20_000) as broken:
        monkeypatch.setenv("AWS_ENDPOINT_URL", broken.url)
        assert loading().indexed == 2_000
        assert broken.cut == 4
        assert loading.verify().is_equal


def test_an_object_that_changes_during_the_load_ends_it_and_the_next_goes_on(filled, loading):
    """The error says so; run again, what is unchanged is passed over, and the other object is read anew."""
    filled.put("in/a.jsonl", lines(0, 3_000))  # much more than is read ahead
    filled.put("in/b.jsonl", lines(3_000, 400))
    changed = []
    faster = replace(SMALL, body_bytes=40_000, most_body_bytes=40_000, split_bytes=100_000)

    def change(progress):
        if progress.documents and not changed:
            changed.append(filled.put("in/b.jsonl", lines(3_000, 300)))

    with pytest.raises(SourceChangedError, match=f"s3://{BUCKET}/in/b.jsonl: the object was changed or removed"):
        loading(progress=change, options=faster)
    report = loading(options=faster)
    assert report.resumed > 0
    assert report.resumed + report.documents == 3_300
    assert loading.verify().is_equal


def test_the_command_loads_an_object_by_workers(filled, loading, connection, tmp_path):
    """By the command, with two processes and no models; no secret is printed."""
    filled.put("in/a.jsonl", lines(0, 200))
    filled.put("in/b.jsonl", lines(200, 200))
    command = [sys.executable, "-m", "hybrid_search", "index", f"s3://{BUCKET}/in", loading.index, "--workers", "2"]
    plain = ["--url", connection.where, "--set", "dense.model=none", "--set", "sparse.model=idf", "--no-cache"]
    found = subprocess.run([*command, *plain], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == 0, found.stderr
    assert "400" in found.stdout
    assert SECRET not in found.stdout + found.stderr
    missing = subprocess.run(
        [*command[:4], f"s3://{BUCKET}/nothing", *command[5:], *plain], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert f"s3://{BUCKET}/nothing: no such object, and none below it" in missing.stderr
