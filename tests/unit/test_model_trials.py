"""``models``: what is at hand, what one is, and the fastest way to encode; on tiny models of random weights."""

from __future__ import annotations

import json
import tomllib

import pytest
import tiny_models as tiny
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.encode.card import card_of
from hybrid_search.encode.measured import PASSAGES, measure_model
from hybrid_search.encode.trials import BATCHES, Trial, Way, try_ways
from hybrid_search.settings import DenseSettings, Settings, SparseSettings

TEXTS = ["the weather is lovely today", "he drove to the stadium", "how many people live in berlin"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    """A model of each kind."""
    root = tmp_path_factory.mktemp("models")
    save = {"dense": tiny.save_bi_encoder, "sparse": tiny.save_splade, "rerank": tiny.save_cross_encoder}
    return {role: str(make(root / role)) for role, make in save.items()}


def run(*arguments: str) -> str:
    """What a command prints; it must end well."""
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_way_is_tried(folders) -> None:
    """torch first among them, all in agreement with it, and the batch sizes of the best."""
    settings = Settings(dense=DenseSettings(model=folders["dense"]), sparse=SparseSettings(model="none"))
    trials = try_ways(settings, TEXTS, ["lovely weather"])
    ways = [trial.way for trial in trials]
    assert Way("torch", "fp32", 32) in ways
    assert {way.batch_size for way in ways if way.backend == ways[0].backend} == set(BATCHES)
    assert all(trial.agreement > 0.9999 for trial in trials)
    assert len(set(ways)) == len(ways)


def test_a_way_is_part_of_the_settings() -> None:
    """The backend and precision of all models, the batch size of both legs."""
    found = Way("onnx", "fp32", 16).within(Settings())
    assert (found.encode.backend, found.dense.batch_size, found.sparse.batch_size) == ("onnx", 16, 16)


def test_what_is_halved_counts_the_same() -> None:
    """Twice the passages a second is worth half the milliseconds for a query: 10 / 50 = 20 / 100."""
    one, other = Trial(Way("torch", "fp32", 8), 50.0, 10.0, 1.0), Trial(Way("onnx", "fp32", 8), 100.0, 20.0, 1.0)
    assert one.cost == other.cost == 0.2


def test_the_fastest_way_becomes_settings(folders, tmp_path) -> None:
    """The command times a source's own passages and writes what it found."""
    source = tmp_path / "documents.jsonl"
    source.write_text("".join(json.dumps({"_id": str(n), "text": text}) + "\n" for n, text in enumerate(TEXTS)))
    out = tmp_path / "fast.toml"
    models = ("--set", f"dense.model={folders['dense']}", "--set", "sparse.model=none")
    found = json.loads(run("models", "tune", str(source), *models, "--write", str(out), "--json"))
    written = tomllib.loads(out.read_text())
    assert written["encode"]["backend"] == found[0]["way"]["backend"]
    assert written["dense"]["batch_size"] == found[0]["way"]["batch_size"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--precision", "int4"), "must be one of fp32, bf16, fp16, int8, got 'int4'"),
        (("--set", "dense.url=http://127.0.0.1:1"), "dense.url: the models are behind it"),
    ],
)
def test_what_cannot_be_tried(arguments, said, tmp_path) -> None:
    """Before a model is loaded."""
    done = CliRunner().invoke(app, ["models", "tune", str(tmp_path), *arguments])
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize(("role", "what"), [("dense", "bi-encoder"), ("sparse", "sparse"), ("rerank", "cross-encoder")])
def test_a_card_is_read_from_the_files(folders, role, what) -> None:
    """Nothing is loaded: kind, section, size and digest."""
    card = card_of(folders[role])
    assert card.role == role
    assert what in card.what
    assert card.max_tokens == {"dense": 32}.get(role, 64)
    assert len(card.weights) == 16


@pytest.mark.parametrize("role", ["dense", "sparse", "rerank"])
def test_a_model_here_is_the_librarys(folders, role) -> None:
    """Its vectors, weights or scores are those of sentence-transformers, and something was timed."""
    found = measure_model(folders[role], seconds=0.1, ways=False)
    assert found.agreement is not None
    assert found.agreement > 1 - 1e-5
    assert found.passages_per_second > 0
    assert (found.sparsity is not None) == (role == "sparse")


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_sparsity_is_the_librarys(folders) -> None:
    """``SparseEncoder.sparsity`` of the library's own vectors of the same passages."""
    from sentence_transformers import SparseEncoder

    library = SparseEncoder(folders["sparse"], device="cpu")
    wanted = library.sparsity(library.encode_document(list(PASSAGES)))
    found = measure_model(folders["sparse"], seconds=0.1, ways=False).sparsity["passages"]
    assert found == pytest.approx(wanted, rel=1e-5)


def test_a_check_is_printed(folders) -> None:
    """The card and the figures, for people and as JSON."""
    shown = run("models", "check", folders["sparse"], "--no-ways")
    assert "sparse.model" in shown
    assert "sparsity of queries" in shown
    assert "least cosine to torch" not in shown
    assert json.loads(run("models", "check", folders["dense"], "--no-measure", "--json"))["measured"] is None


def test_the_list_has_what_is_installed() -> None:
    """The model of the package that carries MiniLM, and the names of our own."""
    shown = run("models", "list")
    assert "sparse.model = starter" in shown
    names = [card["name"] for card in json.loads(run("models", "list", "--json"))]
    assert "sentence-transformers/all-MiniLM-L6-v2" in names
