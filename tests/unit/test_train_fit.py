"""Training by sentence-transformers' trainers, on tiny models: it learns, resumes, repeats itself and ends in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_models import save_bi_encoder, save_cross_encoder, save_splade
from train_fakes import bench, corpus, pairs

from hybrid_search.encode.cross import load_cross
from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.finetune.cross import CrossStudent
from hybrid_search.encode.finetune.dense import DenseStudent, batches_apart
from hybrid_search.encode.finetune.fit import put_back, write_trained
from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.scores import dense_scores
from hybrid_search.encode.finetune.splade import SpladeStudent
from hybrid_search.encode.finetune.watch import Watch
from hybrid_search.encode.sparse import load_sparse
from hybrid_search.errors import ModelError
from hybrid_search.search.rerank import Reranking
from hybrid_search.settings import DenseSettings, RerankSettings, SparseSettings
from hybrid_search.train.reranked import look_by

QUICK = {"epochs": 2, "batch": 8, "mini_batch": 4, "negatives": 1, "rate": 1e-3, "evaluations": 1, "device": "cpu"}
WHOLE = Recipe(**QUICK, patience=9)


class StoppedError(Exception):
    """A kill in the middle."""


def watch_of(recipe, folder, *, kill_at=None):
    def progress(step, done, total):
        del total
        if step == "train" and done == kill_at:
            raise StoppedError

    folder.mkdir(parents=True, exist_ok=True)
    return Watch(recipe, lambda: 0.0, progress, folder)


def fitted_dense(model, recipe, folder, **options):
    student = DenseStudent(DenseSettings(model=str(model), device="cpu"), recipe)
    fitted = student.fit(pairs(recipe.negatives), bench().validation(), watch_of(recipe, folder, **options))
    student.save(folder / "model")
    return fitted


@pytest.fixture(scope="module")
def bi_encoder(tmp_path_factory):
    return save_bi_encoder(tmp_path_factory.mktemp("bi-encoder"), initializer_range=0.1)


def weights(folder):
    return load_file(folder / "model" / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(bi_encoder, tmp_path_factory):
    """How a run of four steps went that nobody killed, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return fitted_dense(bi_encoder, WHOLE, folder), folder


def test_the_seed_decides_every_weight(bi_encoder, whole, tmp_path):
    """Another seed gives another file; that one seed gives one file twice is seen where a run is killed."""
    fitted_dense(bi_encoder, replace(WHOLE, seed=1), tmp_path)
    assert not same(weights(whole[1]), weights(tmp_path))


def test_a_run_that_was_killed_goes_on_from_its_checkpoint(bi_encoder, whole, tmp_path):
    """The weights are those of a run that nobody killed, and looks before the kill are not repeated."""
    with pytest.raises(StoppedError):
        fitted_dense(bi_encoder, WHOLE, tmp_path, kill_at=3)  # of four steps; looks at 2 and 4
    resumed = fitted_dense(bi_encoder, WHOLE, tmp_path)
    assert [one.step for one in resumed.steps] == [0, 2, 4]
    assert resumed.steps == whole[0].steps
    assert same(weights(whole[1]), weights(tmp_path))


def test_adapters_leave_a_plain_model(bi_encoder, tmp_path):
    """They are added to the weights that they adapt: the folder loads as any other, and no other tensor changed."""
    fitted_dense(bi_encoder, replace(WHOLE, epochs=1, rate=1e-2, lora=4), tmp_path)
    before, after = load_file(bi_encoder / "model.safetensors"), weights(tmp_path)
    assert before.keys() == after.keys()
    assert np.array_equal(before["embeddings.word_embeddings.weight"], after["embeddings.word_embeddings.weight"])
    assert load_dense(DenseSettings(model=str(tmp_path / "model"))).dimension == 32


def test_what_was_looked_at_is_what_is_loaded(whole):
    """The folder's fused nDCG@10 is that of the best look: the checkpoint that is kept is the one that is saved."""
    fitted, folder = whole
    encoder, one = load_dense(DenseSettings(model=str(folder / "model"), device="cpu")), bench()
    queries = encoder.encode_queries([query.text for query in one.judged.queries])
    scores = dense_scores(queries, encoder.encode_documents(list(one.corpus.texts)))
    assert one.measured(scores)["fused"].mean["nDCG@10"] == pytest.approx(fitted.best.fused, abs=0.05)


def test_the_budget_ends_a_run(bi_encoder, tmp_path):
    """A budget of no time ends after one step, with a look at it."""
    fitted = fitted_dense(bi_encoder, replace(WHOLE, minutes=1e-6), tmp_path)
    assert fitted.ended == "the budget of 1e-06 minutes"
    assert [one.step for one in fitted.steps] == [0, 1]


@pytest.mark.parametrize("loss", ["contrastive", "distill"])
def test_sizes_and_margins_are_trained(bi_encoder, tmp_path, loss):
    """Matryoshka sizes, and a teacher's margins over two negatives."""
    recipe = Recipe(**{**QUICK, "negatives": 2, "epochs": 1}, loss=loss, dimensions=(32, 16))
    assert fitted_dense(bi_encoder, recipe, tmp_path).best.fused > 0


def test_a_splade_model_is_trained_and_loads(tmp_path):
    """SpladeLoss with its regularisers; the folder is a sparse.model."""
    base = save_splade(tmp_path / "base", initializer_range=0.1)
    recipe = Recipe(**{**QUICK, "epochs": 1}, what="sparse")
    student = SpladeStudent(SparseSettings(model=str(base), device="cpu"), recipe)
    fitted = student.fit(pairs(), bench("sparse").validation(), watch_of(recipe, tmp_path / "work"))
    student.save(tmp_path / "model")
    assert len(fitted.steps) == 2
    assert load_sparse(SparseSettings(model=str(tmp_path / "model"), device="cpu")).encode_queries(["sunny"])[0]


@pytest.mark.parametrize("kind", ["cross", "bi"])
def test_a_cross_encoder_is_trained_and_loads(tmp_path, kind):
    """Of a cross-encoder, or of a bi-encoder under a new head; the folder is a rerank.model."""
    save = save_cross_encoder if kind == "cross" else save_bi_encoder
    base = save(tmp_path / "base", initializer_range=0.1)
    recipe = Recipe(**{**QUICK, "epochs": 1}, what="rerank")
    student = CrossStudent(RerankSettings(model=str(base), device="cpu"), recipe)

    def measured(score):
        return look_by(bench(), corpus(), Reranking(10, 0.5), score)

    fitted = student.fit(pairs(), measured, watch_of(recipe, tmp_path / "work"))
    student.save(tmp_path / "model")
    assert len(fitted.steps) >= 2
    scores = load_cross(RerankSettings(model=str(tmp_path / "model"), device="cpu")).score("sunny", ["a day", "a sea"])
    assert np.isfinite(scores).all()


def test_weights_that_are_not_finite_are_refused(tmp_path):
    """They are never written, so that no folder holds them."""
    import torch

    layer = torch.nn.Linear(2, 2)
    write_trained(layer, tmp_path / "kept.safetensors")
    with torch.no_grad():
        layer.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match="not finite"):
        write_trained(layer, tmp_path / "bad.safetensors")
    put_back(layer, tmp_path / "kept.safetensors")
    assert torch.isfinite(layer.weight).all()
    assert not (tmp_path / "bad.safetensors").exists()


def test_no_pair_of_a_batch_answers_another():
    """Three queries share a document, so that each stands in a batch of its own; all rows are used once."""
    some = pairs()
    shared = [replace(one, document="d00") for one in some[:3]] + some[3:]
    relevant = {one.query: {one.document} for one in shared}
    batches = batches_apart(shared, relevant, 6, seed=0)
    for batch in batches:
        documents = [shared[row].document for row in batch]
        assert len(documents) == len(set(documents))
    assert sorted(row for batch in batches for row in batch) == list(range(len(shared)))
