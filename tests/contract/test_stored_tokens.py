"""Token states beside passages, on every engine: stored by a load, verified, kept by a rebuild, and ranked by."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hybrid_search import SearchClient
from hybrid_search.cli.app import app
from hybrid_search.encode.late import LateReranker
from hybrid_search.encode.late_stored import compress
from hybrid_search.engine.indices import open_index, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.evaluate import run_experiment
from hybrid_search.records import Query
from hybrid_search.search.reranking import FIRST_SLICE
from hybrid_search.settings import DenseSettings, EngineSettings, RerankSettings, Settings, SparseSettings

sys.path.append(str(Path(__file__).parents[1] / "unit"))
import tiny_models as tiny

WORDS = tiny.WORDS.split()
COUNT = FIRST_SLICE + 8
DOCUMENTS = [{"_id": f"d{n}", "text": " ".join(WORDS[(n * k) % len(WORDS)] for k in range(1, 9))} for n in range(COUNT)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.save_bi_encoder(tmp_path_factory.mktemp("model"), num_hidden_layers=1))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "documents.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS), "utf-8")
    return path


@pytest.fixture
def invoke(engine_url, model, tmp_path, monkeypatch):
    """The command line with the tiny model, token states stored unless the arguments say otherwise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments, stored="true"):
        chosen = {"dense.model": model, "sparse.model": "none", "rerank.model": "late", "rerank.stored": stored}
        sets = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
        environment = {"HYBRID_SEARCH_URL": engine_url, "COLUMNS": "200"}
        return CliRunner().invoke(app, [*map(str, arguments), *sets], env=environment)

    return run


@pytest.fixture
def index(invoke, source, index_name):
    name = index_name()
    result = invoke("index", source, name)
    assert result.exit_code == 0, result.output
    return name


def settings(model, engine_url) -> Settings:
    return Settings(
        dense=DenseSettings(model=model, device="cpu"),
        sparse=SparseSettings(model="none"),
        rerank=RerankSettings(model="late"),
        engine=EngineSettings(url=engine_url),
    )


def stored_of(connection, index):
    body = {"size": 100, "_source": ["doc_id", "late"], "query": {"exists": {"field": "doc_id"}}}
    hits = connection.send(Request.json("POST", f"/{index}/_search", body))["hits"]["hits"]
    return {hit["_source"]["doc_id"]: hit["_source"].get("late") for hit in hits}


def test_a_search_ranks_by_what_is_stored_and_encodes_no_passage(index, model, engine_url, monkeypatch):
    """The index says that it has tokens; the settings of the search need not. All of the window at once."""
    with SearchClient(index, settings=settings(model, engine_url)) as client:
        assert client.searcher.compares_stored
        encoder = client.searcher.encoder.bi_encoder
        found = encoder.token_states([document["text"] for document in DOCUMENTS], query=False)
        states = {document["_id"]: one for document, one in zip(DOCUMENTS, found, strict=True)}
        asked = []
        monkeypatch.setattr(LateReranker, "score", None)  # what encodes passages
        original = LateReranker.score_stored
        monkeypatch.setattr(LateReranker, "score_stored", lambda *a: asked.append(len(a[2])) or original(*a))
        result = client.search("so sunny today", COUNT)
        assert not result.degraded
        assert asked == [COUNT]
        for hit in result.hits:
            (wanted,) = LateReranker(encoder).score_stored("so sunny today", [compress(states[hit.id])])
            assert hit.rerank.score == pytest.approx(wanted, abs=1e-5)


def test_evaluation_compares_what_is_stored_as_a_search_does(index, model, engine_url, monkeypatch):
    """Otherwise it would measure another system than the one that answers, and encode every passage of every window."""
    with SearchClient(index, settings=settings(model, engine_url)) as client:
        query = Query("so sunny today", id="q1")
        wanted = {hit.id: hit.score for hit in client.search(query, COUNT).hits}
        monkeypatch.setattr(LateReranker, "score", None)  # what encodes passages
        found = run_experiment(client, [query], {"q1": {"d1": 1}}, fusions=["min-max"], rerank=True)
        (row,) = (row for row in found.rows if row.system.reranked and len(row.system.legs) == 2)
        assert dict(row.rankings["q1"]) == pytest.approx(wanted, abs=1e-6)


def test_a_passage_without_tokens_is_encoded_again(connection, index, model, engine_url):
    """Another program wrote it over: then all of the window are compared by whole states."""
    edited = {"doc": {"late": None}}
    connection.send(Request.json("POST", f"/{index}/_update/d3%230", edited))
    refresh(connection, index)
    with SearchClient(index, settings=settings(model, engine_url)) as client:
        result = client.search("so sunny today", COUNT)
        assert not result.degraded
        texts = {d["_id"]: d["text"] for d in DOCUMENTS}
        wanted = client.searcher.reranker.score("so sunny today", [texts[hit.id] for hit in result.hits])
        assert [hit.rerank.score for hit in result.hits] == pytest.approx(list(wanted), abs=1e-5)


def test_the_tokens_are_verified_and_kept_by_a_second_load(connection, invoke, source, index):
    """Deep verification sees one that is missing; the load that mends it takes the tokens from the cache."""
    before = stored_of(connection, index)
    assert len(before) == COUNT
    assert all(before.values())
    assert open_index(connection, index).schema.late.extra["format"] == "turned-sign"
    assert invoke("verify", index, source, "--deep").exit_code == 0
    connection.send(Request.json("DELETE", f"/{index}/_doc/d5%230"))
    connection.send(Request.json("POST", f"/{index}/_update/d3%230", {"doc": {"late": None}}))
    refresh(connection, index)
    told = invoke("verify", index, source, "--deep", "--json")
    report = json.loads(told.stdout)
    assert (report["missing"]["first"], report["edited"]["first"]) == (["d5"], ["d3"])
    again = invoke("index", source, index, "--json")
    assert again.exit_code == 0, again.output
    refresh(connection, index)
    assert stored_of(connection, index)["d5"] == before["d5"]


def test_a_load_that_stores_none_does_not_go_into_an_index_that_stores_them(invoke, source, index, index_name):
    """Half an index with tokens would be slow by chance; the message names both. Nor the other way round."""
    refused = invoke("index", source, index, stored="false")
    assert refused.exit_code == 1
    assert "stored tokens: turned-sign of" in " ".join(refused.output.split())
    bare = index_name()
    assert invoke("index", source, bare, stored="false").exit_code == 0
    refused = invoke("index", source, bare)
    assert "stored tokens: none / turned-sign of" in " ".join(refused.output.split())


def test_a_rebuild_keeps_the_tokens(connection, invoke, source, index_name):
    """``reindex`` builds the next index of the name with them."""
    alias = index_name()
    try:
        for _ in range(2):
            done = invoke("reindex", source, alias, "--json")
            assert done.exit_code == 0, done.output
            stored = stored_of(connection, alias)
            assert len(stored) == COUNT
            assert all(stored.values())
    finally:
        for number in (1, 2, 3):
            connection.transport.send(Request.json("DELETE", f"/{alias}-{number}"))
