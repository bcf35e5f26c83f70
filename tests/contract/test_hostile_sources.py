"""Sources that mean no good, or are merely broken: one line, and the rest is loaded."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.errors import SourceError
from hybrid_search.read.columns import read_parquet

BAD_NAME = os.fsdecode(b"caf\xe9")
MODELS = ["--set", "dense.model=none", "--set", "sparse.model=idf", "--set", "documents.text=text"]


@pytest.fixture
def load(opensearch, new_names, tmp_path, monkeypatch):
    """Loads a source into an index of this test; exit status and output."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    index = new_names(opensearch)

    def run(source, *options):
        words = ["index", str(source), index, *MODELS, "--url", opensearch.where, *options]
        result = CliRunner().invoke(app, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return run


def test_a_file_whose_name_is_not_utf_8_is_loaded(load, tmp_path):
    """JSON lines and Parquet: the name is written out, byte by byte, wherever it is kept."""
    lines, table = tmp_path / f"{BAD_NAME}.jsonl", tmp_path / f"{BAD_NAME}.parquet"
    lines.write_text(json.dumps({"_id": "a", "text": "tea"}))
    pq.write_table(pa.table({"_id": ["b"], "text": ["green tea"]}), tmp_path / "table")
    (tmp_path / "table").rename(table)
    for source in (lines, table):
        assert load(source)[0] == 0
        assert load(source)[0] == 0


def test_one_bad_name_does_not_fail_a_folder(load, tmp_path):
    """A file that cannot be an id is a bad record like any other."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("tea", BAD_NAME):
        (folder / f"{name}.md").write_text(f"# Tea\nabout {name == 'tea'}")
    status, output = load(folder)
    assert (status, "not valid text" in output) == (2, True)
    assert load(folder, "--skip-bad", str(tmp_path / "bad.jsonl"), "--max-bad", "all")[0] == 0


def test_a_device_is_no_file_for_bad_records(load, tmp_path):
    """Refused before anything is loaded, and not written to."""
    (tmp_path / "notes.jsonl").write_text('{"_id": "a", "text": "tea"}\n{bad\n')
    status, output = load(tmp_path / "notes.jsonl", "--skip-bad", "/dev/null")
    assert (status, "/dev/null: is a pipe or a device" in output) == (2, True)


def damaged(data):
    """Kinds of Parquet that is none, of the bytes of good Parquet."""
    zeros = bytearray(data)
    zeros[-200:-100] = bytes(100)
    flipped = bytearray(data)
    flipped[100:400] = b"\xff" * 300
    return [b"\x8a" * 3000, b"PAR1", data[: len(data) // 2], bytes(zeros), bytes(flipped)]


def test_damaged_parquet_is_one_line(tmp_path):
    """Junk, a head alone, half of it, a broken footer, broken data, text that is no UTF-8."""
    path = tmp_path / "docs.parquet"
    pq.write_table(pa.table({"_id": [str(n) for n in range(500)], "text": ["green tea"] * 500}), path)
    whole = path.read_bytes()
    no_text = pa.array([b"tea", b"\xff\xfe"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"_id": ["a", "b"], "text": no_text}), path)
    for data in [*damaged(whole), path.read_bytes()]:
        path.write_bytes(data)
        with pytest.raises(SourceError, match="cannot be read as Parquet") as caught:
            list(read_parquet(path))
        assert "\n" not in str(caught.value)
