"""``hybrid-search train`` on real indices: from judged queries or documents alone to a model that is live, and back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine import indices
from hybrid_search.engine.protocols import Request
from hybrid_search.read.settings_file import load_settings
from hybrid_search.train.sourced import name_for

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from tiny_models import save_bi_encoder
from train_fakes import SYLLABLES

COUNT = 60
TRAINING = ["--what", "dense", "--device", "cpu", "--epochs", 1, "--batch", 16, "--evaluations", 1, "--negatives", 1]


def name_of(number):
    return SYLLABLES[number % 10] + SYLLABLES[number // 10] + SYLLABLES[(number * 7) % 10]


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Documents, queries and judgements as files, and a tiny bi-encoder."""
    folder = tmp_path_factory.mktemp("material")
    save_bi_encoder(folder / "model", initializer_range=0.1)
    (folder / "qrels").mkdir()
    documents, queries = [], []
    for number in range(COUNT):
        name = name_of(number)
        title, text = f"about {name} and nothing else", f"the weather in {name} is lovely and sunny today, he drove"
        documents.append({"_id": f"d{number}", "title": title, "text": text})
        queries.append({"_id": f"q{number}", "text": f"how is it outside {name} {name}"})
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    (folder / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    rows = "".join(f"q{number}\td{number}\t1\n" for number in range(COUNT))
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    return folder


@pytest.fixture(scope="module")
def surroundings(connection, material, tmp_path_factory):
    """Environment variables of commands: an engine, the tiny model as the dense leg, and no sparse one."""
    given = {"HYBRID_SEARCH_URL": connection.where, "HYBRID_SEARCH_SPARSE_MODEL": "none", "COLUMNS": "200"}
    given |= {"HYBRID_SEARCH_DENSE_MODEL": str(material / "model"), "HYBRID_SEARCH_ENCODE_BACKEND": "torch"}
    return given | {name: str(tmp_path_factory.mktemp("xdg") / name) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME")}


@pytest.fixture(scope="module")
def command(surroundings):
    """Runs a command in these surroundings."""

    def run(*words, fails=False):
        result = CliRunner().invoke(app, [str(word) for word in words], env=surroundings)
        assert (result.exit_code != 0) == fails, result.output
        return result

    return run


@pytest.fixture(scope="module")
def alias(connection, command, material):
    """The documents under an alias, which tests leave as they found it."""
    name = f"test-train-{uuid4().hex[:8]}"
    command("reindex", material / "corpus.jsonl", name)
    yield name
    connection.transport.send(Request.json("DELETE", f"/{name}-1,{name}-2", ignore_unavailable="true"))


on_one_engine = pytest.mark.parametrize("engine_url", ["opensearch"], indirect=True)
"""For what depends on none: that all of a run works on each is shown once."""


def test_a_trained_model_goes_live_and_back(command, alias, material, tmp_path):
    """Train by the command, let ``reindex`` take the folder live, and ``rollback`` take it back."""
    out = tmp_path / "own"
    judged = ["--queries", material / "queries.jsonl", "--qrels", material]
    told = json.loads(command("train", alias, "--out", out, *judged, *TRAINING, "--json").stdout)
    card = json.loads((out / "training.json").read_text())
    assert told["measured"] == card["measured"]
    assert [one["system"] for one in card["measured"]] == ["bm25", "dense", "fused"]
    assert card["data"]["training_queries"] + card["data"]["validation_queries"] + card["data"]["test_queries"] == COUNT
    assert card["recipe"]["seed"] == 0
    assert "nDCG@10" in (out / "README.md").read_text()
    assert not out.with_name("own.unfinished").exists()
    live = command("reindex", material / "corpus.jsonl", alias, "--model", out, "--force")
    assert f"{alias} stands for {alias}-2" in live.output
    found = json.loads(command("search", alias, "lovely", "--json", "--set", f"dense.model={out}").stdout)
    assert found["hits"]
    back = command("rollback", alias)
    assert f"{alias} stands for {alias}-1 again" in back.output
    assert json.loads(command("search", alias, "lovely", "--json").stdout)["hits"]


@on_one_engine
def test_what_cannot_work_is_said_before_anything_is_trained(command, alias, material, tmp_path):
    """Too few pairs, one class alone, the same queries twice, a folder that is there, a leg that is not."""
    few, none = tmp_path / "few.tsv", tmp_path / "none.tsv"
    few.write_text("".join(f"q{number}\td{number}\t1\n" for number in range(12)))
    none.write_text("".join(f"q{number}\td{number}\t0\n" for number in range(COUNT)))
    queries = ["--queries", material / "queries.jsonl"]
    whole = [*queries, "--qrels", material]
    cases = [
        ([*queries, "--qrels", few], "12 queries with a relevant document"),
        ([*queries, "--qrels", none], "no query has a relevant document"),
        ([*whole, "--test-qrels", material / "qrels" / "train.tsv"], "training queries are test queries too"),
        ([*whole, "--what", "starter"], "no sparse leg"),
        ([*whole, "--what", "rerank"], "names no cross-encoder"),
        ([*queries], "go together"),
        ([], "nothing to learn from"),
    ]
    for given, message in cases:
        refused = command("train", alias, "--out", tmp_path / "own", *TRAINING, *given, fails=True)
        assert message in " ".join(refused.output.split()), refused.output
        assert not (tmp_path / "own").exists()
    there = command("train", alias, "--out", material, *whole, *TRAINING, fails=True)
    assert "is there and is not touched" in there.output


def test_a_head_of_ones_own_shares_the_pass_of_the_frozen_encoder(
    opensearch, new_names, material, tmp_path, monkeypatch
):
    """The starter's head, trained on real states of all-MiniLM-L6-v2 from clicks; its folder is a sparse.model."""
    from hybrid_search.encode import load_encoder
    from hybrid_search.encode.starter import WEIGHTS, StarterEncoder
    from hybrid_search.encode.starter_files import HEAD
    from hybrid_search.settings import Settings, SparseSettings

    monkeypatch.setenv("HYBRID_SEARCH_URL", opensearch.where)
    monkeypatch.setenv("HYBRID_SEARCH_ENCODE_BACKEND", "torch")
    monkeypatch.setenv("COLUMNS", "200")
    index, clicks = new_names(opensearch), tmp_path / "clicks.tsv"
    shown = [(number, position, (number + position - 1) % COUNT) for number in range(COUNT) for position in (1, 2)]
    rows = [f"how is it outside {name_of(n)}\td{found}\t{2 - position}\t{position}\n" for n, position, found in shown]
    clicks.write_text("".join(rows * 3))

    def run(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result

    run("index", material / "corpus.jsonl", index)
    out = tmp_path / "head"
    given = ["--clicks", clicks, "--what", "starter", *TRAINING[2:], "--batch", 32]
    card = json.loads(run("train", index, "--out", out, *given, "--json").stdout)
    assert card["data"]["origins"] == [f"clicks of {COUNT} queries"]
    assert [one["system"] for one in card["measured"]] == ["bm25", "dense", "sparse", "fused"]
    assert card["looks"][0][0] == 0
    encoder = load_encoder(Settings(sparse=SparseSettings(model=str(out))))
    assert isinstance(encoder, StarterEncoder)
    assert encoder.sparse.name == str(out)
    assert (out / HEAD).read_bytes() != WEIGHTS.read_bytes()
    assert encoder.encode_documents(["lovely weather"]).sparse[0]


@on_one_engine
def test_documents_alone_are_enough(command, connection, surroundings, material, tmp_path):
    """A source is loaded into an index of its own, which is gone when the model is there; titles are the queries."""
    source, given = material / "corpus.jsonl", ["--pairs", "title", *TRAINING]
    shown = command("train", source, "--out", tmp_path / "own", *given)
    assert "nDCG@10 on 12 held-out queries" in shown.stdout
    assert "etter" in shown.stdout
    assert "reindex SOURCE ALIAS --set dense.model=" in " ".join(shown.stdout.split())
    card = json.loads((tmp_path / "own" / "training.json").read_text())
    assert card["data"]["origins"] == [f"{COUNT} queries made of documents (title)"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings.items():
            patch.setenv(name, value)
        assert not indices.exists(connection, name_for(str(source), load_settings()))
    missing = command("train", tmp_path / "no.jsonl", "--out", tmp_path / "other", *given, fails=True)
    assert "neither an index nor a source" in " ".join(missing.output.split())


@on_one_engine
def test_a_killed_run_goes_on_when_it_is_given_again(command, alias, material, tmp_path, monkeypatch):
    """Killed when the model was being measured, it goes on from its last checkpoint; with other numbers it does not."""
    from hybrid_search.train.students import _Dense

    out, judged = tmp_path / "own", ["--queries", material / "queries.jsonl", "--qrels", material]
    measure = _Dense.after
    monkeypatch.setattr(_Dense, "after", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    command("train", alias, "--out", out, *judged, *TRAINING, fails=True)
    assert not out.exists()
    monkeypatch.setattr(_Dense, "after", measure)
    other = command("train", alias, "--out", out, *judged, *TRAINING, "--seed", 1, fails=True)
    assert "is an unfinished run of other data or numbers" in " ".join(other.output.split())
    again = command("train", alias, "--out", out, *judged, *TRAINING)
    assert "the run was broken off, and went on from step" in " ".join(again.stdout.split())
    assert out.is_dir()
