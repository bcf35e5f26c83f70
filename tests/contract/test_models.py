"""Models in the settings, from the command line to a real engine: wrong ones, truncated ones, and what they leave out.

The models are tiny ones with random weights and the real architectures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine.indices import exists

sys.path.append(str(Path(__file__).parents[1] / "unit"))
import tiny_models as tiny

DOCUMENTS = [
    {"_id": "a", "text": "the weather is lovely today"},
    {"_id": "b", "text": "how many people live in berlin " * 8},
    {"_id": "c", "text": "he drove to the stadium"},
]
SAVE = {"bi": tiny.save_bi_encoder, "splade": tiny.save_splade, "cross": tiny.save_cross_encoder}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: str(save(root / name)) for name, save in SAVE.items()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Documents, a query and its judgement."""
    folder = tmp_path_factory.mktemp("source")
    lines = "".join(json.dumps(document) + "\n" for document in DOCUMENTS)
    (folder / "documents.jsonl").write_text(lines, "utf-8")
    (folder / "queries.tsv").write_text("q1\tlovely weather\n", "utf-8")
    (folder / "qrels.tsv").write_text("q1\ta\t1\n", "utf-8")
    return folder


@pytest.fixture
def invoke(engine_url, tmp_path, monkeypatch):
    """The command line, with each engine in turn."""
    monkeypatch.chdir(tmp_path)  # nothing of a settings file elsewhere

    def run(*arguments):
        environment = {"HYBRID_SEARCH_URL": engine_url, "COLUMNS": "120"}
        return CliRunner().invoke(app, [str(a) for a in arguments], env=environment)

    return run


@pytest.fixture
def load(invoke, source, index_name):
    """Index the documents with some models; the report and the index's name."""

    def run(**sections):
        name = index_name()
        chosen = {"dense.model": "none", "sparse.model": "none", **sections}
        result = invoke("index", source / "documents.jsonl", name, "--no-cache", "--json", *settings(chosen))
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout), name

    return run


def settings(sections):
    return [part for key, value in sections.items() for part in ("--set", f"{key}={value}")]


def test_a_model_in_the_wrong_section_loads_nothing(invoke, models, source, connection, index_name):
    """Nothing is indexed, no index is left behind, and one line says which section the model fits."""
    fits = {"splade": "sparse", "cross": "rerank", "bi": "dense"}
    wrong = [(section, model) for section in ("dense", "sparse") for model in fits if fits[model] != section]
    for section, model in wrong:
        name = index_name()
        chosen = {"dense.model": "none", "sparse.model": "none", f"{section}.model": models[model]}
        result = invoke("index", source / "documents.jsonl", name, "--no-cache", *settings(chosen))
        assert result.exit_code == 1
        assert f"Set {fits[model]}.model to it" in " ".join(result.output.split())
        assert not exists(connection, name)


@pytest.mark.parametrize("model", ["bi", "splade"])
def test_no_command_reranks_with_a_model_that_is_no_cross_encoder(invoke, models, source, load, model):
    """``search`` and ``evaluate``, by their flags and by the settings."""
    _, index = load(**{"dense.model": models["bi"]})
    judged = ("--queries", source / "queries.tsv", "--qrels", source / "qrels.tsv")
    for command in (
        ("search", index, "lovely weather", "--rerank", models[model]),
        ("search", index, "lovely weather", *settings({"rerank.model": models[model]})),
        ("evaluate", index, *judged, "--rerank", models[model]),
    ):
        result = invoke(*command)
        assert result.exit_code == 1
        assert "rerank.model takes a cross-encoder with one label" in " ".join(result.output.split())


def test_a_cross_encoder_reranks(invoke, models, load):
    """The same command with the right model."""
    _, index = load(**{"dense.model": models["bi"]})
    result = invoke("search", index, "lovely weather", "--rerank", models["cross"], "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["hits"]


def test_an_index_of_truncated_vectors_is_searched_with_truncated_queries(invoke, models, load):
    """Eight of 32 components: the index says so, and another number of them is refused with the difference."""
    _, index = load(**{"dense.model": models["bi"], "dense.dimension": 8})
    found = invoke("search", index, "lovely weather", "--legs", "dense", "--json")
    assert found.exit_code == 0, found.output
    assert len(json.loads(found.stdout)["hits"]) == len(DOCUMENTS)
    chosen = settings({"dense.model": models["bi"], "dense.dimension": 16})
    refused = invoke("search", index, "lovely weather", "--legs", "dense", *chosen)
    assert refused.exit_code == 1
    assert "dimension: 8 / 16" in " ".join(refused.output.split())


def test_what_the_model_does_not_read_is_said_with_numbers(invoke, models, load):
    """48 words in one chunk of 60 tokens, of which the model reads 30; a query of 40 words."""
    report, index = load(**{"dense.model": models["bi"], "chunking.max_tokens": 60})
    (note,) = [note for note in report["notes"] if "chunking" in note]
    assert note.startswith("chunking.max_tokens is 60, and the model reads 30 of a passage")
    assert "the ends of 1 of 3 passages are in no vector, the longest has 48 tokens" in note
    found = json.loads(invoke("search", index, "sunny " * 40, "--json").stdout)
    assert "the dense leg read the first 30 of the query's 40 tokens" in found["warnings"]
