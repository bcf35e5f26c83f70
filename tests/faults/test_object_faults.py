"""A load from an object store that is killed, and begun again: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import gzip
import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loading import documents, record_line
from object_stores import BUCKET, bucket, s3
from proxy import pass_on, proxy
from tally import is_clean
from test_process_faults import SOURCE, finish, kill_while_held, start

from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.read import documents as read

pytestmark = pytest.mark.faults

KILLS = 2


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """500 documents in objects of lines, one of them compressed, and in row groups; a folder for a load's files."""
    with s3() as url, bucket(url, monkeypatch) as filled:
        lines = [record_line(document).encode() for document in documents(500, vectors=True)]
        filled.put("lines/a.jsonl", b"".join(lines[:400]))
        filled.put("lines/b.jsonl.gz", gzip.compress(b"".join(lines[400:])))
        found, file = list(documents(500)), io.BytesIO()
        columns = {"_id": [one.id for one in found], "text": [one.text for one in found]}
        pq.write_table(pa.table({**columns, "place": range(500)}), file, row_group_size=50)
        filled.put("rows/a.parquet", file.getvalue())
        yield tmp_path


@pytest.mark.parametrize("prefix", ["lines", "rows"])
def test_kill_9_of_a_load_from_objects(folder, connection, index_name, tally, prefix):
    """Killed twice after a random number of bodies, of which one is held, it ends with every document there once.

    The lines by one process with a journal, the rows as several do it, with what is settled in the index.
    """
    draw, index, source = random.Random(7), index_name(), f"s3://{BUCKET}/{prefix}"
    given = {"source": source, "join": prefix == "rows", "body_bytes": 6_000, "split_bytes": 2_000}
    with proxy(connection.where, pass_on) as between:
        held = [kill_while_held(start(folder, between.url, index, **given), between, draw, 8) for _ in range(KILLS)]
        between.fault = pass_on
        report = finish(folder, between.url, index, **given)
    assert held == [True] * KILLS
    assert (report["refused"], report["indexed"] < 500) == (0, True)  # what was taken is not sent again
    assert is_clean(
        tally.check("kill -9 of a load from S3", KILLS, connection, index, source=read(source, SOURCE)),
    )
    assert read_state(connection, index).before is None
