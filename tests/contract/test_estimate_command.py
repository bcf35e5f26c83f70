"""``estimate`` on real engines: its figures, the load that follows, and nothing left behind."""

from __future__ import annotations

import json

import pytest
from loading import documents, record_line
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine.protocols import Request
from hybrid_search.evaluate.sweep.copies import PREFIX


@pytest.fixture
def command(connection, tmp_path, monkeypatch):
    """Runs a command with no model to load; its exit status and output."""
    given = {"HYBRID_SEARCH_DENSE_MODEL": "none", "HYBRID_SEARCH_SPARSE_MODEL": "idf", "COLUMNS": "200"}
    given |= {name: str(tmp_path / name) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME")}
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    def run(*words, url=connection.where):
        options = ["--set", "documents.text=text", *(["--url", url] if url else [])]
        return CliRunner().invoke(app, [*map(str, words), *options])

    return run


def test_an_estimate_is_made_kept_and_compared(command, connection, index_name, tmp_path):
    """The sample is loaded into an index that is gone afterwards; the load says how far the estimate was off."""
    source, index = tmp_path / "a.jsonl", index_name()
    source.write_text("".join(map(record_line, documents(120, words=12))))
    result = command("estimate", source, index, "--workers", "1,2", "--json", "--sample", 40)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["documents"], found["sampled"]["passages_each"], found["passages"]) == (120, 1.0, 120)
    assert found["setting"]["engine"].startswith(connection.dialect.engine)
    assert found["probe"]["disk"] > found["probe"]["sparse"] > 0
    assert found["workers"]["2"]["wall"] <= found["workers"]["1"]["wall"]
    assert connection.send(Request.json("GET", f"/{PREFIX}estimate-*/_settings")) == {}
    loaded = command("index", source, index)
    assert loaded.exit_code == 0, loaded.output
    assert f"{index}: estimated " in loaded.stderr
    assert "120 passages estimated, 120 loaded (+0 %)" in loaded.stderr


def test_the_table_shows_the_formulas(command, tmp_path):
    """For 50 million documents of a pipe's kind: every figure says what it is made of."""
    source = tmp_path / "a.jsonl"
    source.write_text("".join(map(record_line, documents(60))))
    result = command("estimate", source, "--documents", 50_000_000)
    assert result.exit_code == 0, result.output
    for said in ("50,000,000", "documents x 1.00", "(1 + replicas)", "wall = fixed + 1.15 x", "asked for"):
        assert said in result.output


def test_without_an_engine_it_says_what_is_missing(command, tmp_path, monkeypatch):
    """No node is started for an estimate."""
    monkeypatch.setenv("HYBRID_SEARCH_DENSE_MODEL", "precomputed")
    monkeypatch.setenv("HYBRID_SEARCH_DENSE_DIMENSION", "16")
    source = tmp_path / "a.jsonl"
    source.write_text("".join(map(record_line, documents(30, vectors=True))))
    words = ("estimate", source, "--no-probe", "--set", "documents.dense=dense", "--set", "dense.dimension=16")
    result = command(*words, "--set", "sparse.model=none")
    assert result.exit_code == 0, result.output
    assert "No engine was asked" in result.output
    assert "elasticsearch bbq_hnsw" in result.output
    assert "opensearch faiss_on_disk" in result.output
