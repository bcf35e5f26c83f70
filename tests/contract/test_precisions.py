"""Queries in another precision than the index's: refused, until ``models check`` has shown that the two agree."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.encode import agreement

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

sys.path.append(str(Path(__file__).parents[1] / "unit"))
import tiny_models as tiny

DOCUMENTS = [{"_id": f"d{n}", "text": text} for n, text in enumerate(("so sunny today", "he drove to berlin"))]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A tiny model, and the cache with its graphs, which are made once for all tests of the file."""
    folder = tmp_path_factory.mktemp("shared")
    return tiny.save_bi_encoder(folder / "model", initializer_range=0.1, num_hidden_layers=1), folder / "cache"


@pytest.fixture
def invoke(engine_url, tmp_path, monkeypatch, shared):
    """The command line with the model, run by ONNX Runtime; what was shown of it is forgotten."""
    model, cache = map(str, shared)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    shutil.rmtree(shared[1] / "hybrid-search" / "agreements", ignore_errors=True)
    agreement._say.cache_clear()
    # How fast each way is does not matter here, and would take half a minute.
    monkeypatch.setattr("hybrid_search.encode.ways.installed", lambda: ["onnx"])
    monkeypatch.setattr("hybrid_search.encode.ways.passages_per_second", lambda *_: 1.0)
    monkeypatch.setattr("hybrid_search.encode.measured.passages_per_second", lambda *_: 1.0)
    Path("documents.jsonl").write_text("".join(json.dumps(one) + "\n" for one in DOCUMENTS), "utf-8")

    def run(*arguments, precision=None):
        chosen = {"dense.model": model, "sparse.model": "none", "encode.backend": "onnx", "encode.precision": precision}
        sets = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
        environment = {"HYBRID_SEARCH_URL": engine_url, "COLUMNS": "200"}
        done = CliRunner().invoke(app, [*map(str, arguments), *(sets if precision else [])], env=environment)
        return done, " ".join(done.output.split())

    run.model = model
    return run


@pytest.mark.parametrize(("made", "asked"), [("fp32", "int8"), ("int8", "fp32")])
def test_agreement_opens_an_index_to_queries_of_another_precision(invoke, index_name, caplog, made, asked):
    """Not to a load, whose vectors are kept; and that it does is said."""
    index = index_name()
    done, told = invoke("index", "documents.jsonl", index, precision=made)
    assert done.exit_code == 0, told
    done, told = invoke("search", index, "sunny", "--legs", "dense", precision=asked)
    assert done.exit_code == 1
    assert f'Set encode.precision to "{made}", or show that the two agree here: hybrid-search models check' in told
    assert invoke("models", "check", invoke.model)[0].exit_code == 0
    with caplog.at_level(logging.WARNING):
        done, told = invoke("search", index, "sunny", "--legs", "dense", "--json", precision=asked)
    assert done.exit_code == 0, told
    assert {hit["id"] for hit in json.loads(done.stdout)["hits"]} == {"d0", "d1"}
    assert f"queries are encoded in {asked}" in caplog.text + told
    done, told = invoke("index", "documents.jsonl", index, precision=asked)
    assert done.exit_code == 1
    assert f'Set encode.precision to "{made}"' in told
    assert "models check" not in told
