"""The commands with an index of its owner as the source: from init to verify."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from owned import MAPPINGS, article, delete, make, source_of, write
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine import Connection
from hybrid_search.read.settings_file import load_settings

WORDS_ALONE = ["--set", "dense.model=none", "--set", "sparse.model=idf", "--set", "search.legs=bm25,sparse"]


@pytest.fixture
def source(connection: Connection, index_name: Callable[[], str]) -> str:
    """40 articles with a number that looks like a label, and a vector in each."""
    index = index_name()
    vector: dict[str, Any] = {"type": "dense_vector", "dims": 8}
    settings: dict[str, Any] = {}
    if connection.dialect.engine == "opensearch":
        vector = {"type": "knn_vector", "dimension": 8, "method": {"name": "hnsw", "engine": "lucene"}}
        settings = {"index.knn": True}
    properties = {**MAPPINGS["properties"], "code": {"type": "keyword"}, "embedding": vector}
    make(connection, index, {"properties": properties}, **settings)
    found = {f"a{n}": article(n, code=f"Code of thing {n}", embedding=[1.0 + n] + [1.0] * 7) for n in range(40)}
    write(connection, index, found)
    return source_of(connection, index)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals and caches of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def test_from_init_to_verify(
    source: str,
    connection: Connection,
    opensearch: Connection,
    new_names: Callable[[Connection], str],
    tmp_path: Path,
) -> None:
    """Init takes what is mapped; a dry run counts; a sync follows what its owner deletes."""
    file, index = tmp_path / "articles.toml", new_names(opensearch)
    status, output = run("init", source, "-o", str(file), "--source-url", connection.where)
    assert status == 0, output
    assert f"hybrid-search index {source} INDEX" in " ".join(output.split())
    settings = load_settings(file, {}, {}).documents
    assert (settings.id, settings.dense) == ("_id", "embedding")
    assert set(settings.text) == {"headline", "body"}
    assert {"brand", "code"} <= set(settings.keyword)
    assert ("year" in settings.number, "published" in settings.date) == (True, True)
    file.write_text(file.read_text().replace('dense = "embedding"', ""))
    options = ["-s", str(file), "--url", opensearch.where, "--source-url", connection.where, *WORDS_ALONE]
    status, output = run("index", source, index, "--dry-run", "--json", *options)
    assert (status, json.loads(output[output.index("{") :])["new"]) == (0, 40), output
    status, output = run("index", source, index, "--json", *options)
    assert status == 0, output
    assert "about 40 documents" in output or "40 documents" in output
    assert run("verify", index, source, *options)[0] == 0
    delete(connection, source[3:], ["a1", "a2"])
    assert run("index", source, index, "--sync", *options)[0] == 0
    status, output = run("verify", index, source, "--json", *options)
    assert (status, json.loads(output)["documents"]) == (0, 38)


def test_a_secret_in_the_address_of_the_source_is_not_printed(tmp_path: Path) -> None:
    """Not where nothing answers, not in what is to be done next; that others see it in the process list is said."""
    url = "http://ann:old-secret@127.0.0.1:9"
    status, output = run("init", "es:articles", "-o", str(tmp_path / "x.toml"), "--source-url", url)
    assert status == 1
    assert "old-secret" not in output
    assert "HYBRID_SEARCH_SOURCE_URL" in output
