"""Weights that the files lack, that the configuration does not speak of, or that the library would make up."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models as tiny
import torch

from hybrid_search.encode.bert import BertBackbone
from hybrid_search.encode.cross import load_cross
from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.sentence import SentenceBackbone
from hybrid_search.encode.sparse import load_sparse
from hybrid_search.errors import ModelError
from hybrid_search.settings import DenseSettings, RerankSettings, SparseSettings

TEXTS = ["the weather is lovely today", "so sunny outside"]
SLOW = {"pooling": "max"}
"""A layout that the fast path does not know."""


def load(role, folder):
    settings = {"dense": DenseSettings, "sparse": SparseSettings, "rerank": RerankSettings}[role]
    loader = {"dense": load_dense, "sparse": load_sparse, "rerank": load_cross}[role]
    return loader(settings(model=str(folder), device="cpu"))


def save(kind, folder, **config):
    """A model by the path that loads it: its section, and for bi-encoders the fast or the slow one."""
    if kind == "fast":
        return "dense", tiny.save_bi_encoder(folder, **config)
    if kind == "slow":
        return "dense", tiny.save_bi_encoder(folder, **SLOW, **config)
    return kind, {"sparse": tiny.save_splade, "rerank": tiny.save_cross_encoder}[kind](folder, **config)


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("fast", "encoder.layer.1.output.dense.weight"),
        ("slow", "encoder.layer.1.output.dense.weight"),
        ("slow", "embeddings.LayerNorm.bias"),
        ("sparse", "cls.predictions.transform.dense"),
        ("sparse", "cls.predictions.bias"),
        ("rerank", "classifier"),
        ("rerank", "bert.pooler"),
    ],
)
def test_a_model_that_lacks_weights_is_refused_with_their_names(tmp_path, kind, part):
    """They would be drawn at random, otherwise at each start, under one fingerprint."""
    role, folder = save(kind, tmp_path)
    tiny.change_weights(folder, drop=part)
    with pytest.raises(ModelError, match=r"(not in|lack).*" + part.rpartition(".")[2]):
        load(role, folder)


def test_a_head_that_the_class_promises_and_the_files_lack_is_refused(tmp_path):
    """A bi-encoder whose configuration was edited to say cross-encoder: nothing but the weights can tell."""
    tiny.save_transformer(tmp_path, "BertModel")
    tiny.change_json(
        tmp_path / "config.json", architectures=["BertForSequenceClassification"], id2label={"0": "LABEL_0"}
    )
    with pytest.raises(ModelError, match=r"2 of its weights are not in its files .*classifier\.bias"):
        load("rerank", tmp_path)


def test_missing_weights_that_do_nothing_do_no_harm(tmp_path):
    """Where tokens are pooled, BERT's pooler is not asked; many bi-encoders are saved without it."""
    from sentence_transformers import SentenceTransformer

    tiny.save_bi_encoder(tmp_path, **SLOW)
    tiny.change_weights(tmp_path, drop="pooler")
    encoder = load("dense", tmp_path)
    assert isinstance(encoder.backbone, SentenceBackbone)
    expected = SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), expected, atol=1e-5)


def test_a_matrix_that_is_tied_to_a_stored_one_is_not_missing(tmp_path):
    """SPLADE's decoder is the matrix of word embeddings, and is stored once."""
    folder = tiny.save_splade(tmp_path)
    tiny.change_weights(folder, drop="cls.predictions.decoder")
    assert load("sparse", folder).encode_queries(TEXTS)


@pytest.mark.parametrize("kind", ["fast", "slow", "sparse", "rerank"])
def test_more_layers_than_the_configuration_has_are_refused(tmp_path, kind):
    """Two layers are stored and one is configured: half of the model would be left out without a word."""
    role, folder = save(kind, tmp_path)
    tiny.change_json(folder / "config.json", num_hidden_layers=1)
    with pytest.raises(ModelError, match=r"16 weights of layers that its config\.json does not have .*layer\.1\."):
        load(role, folder)


@pytest.mark.parametrize("kind", ["fast", "slow", "sparse", "rerank"])
def test_fewer_layers_than_the_configuration_has_are_refused(tmp_path, kind):
    """The third would be random."""
    role, folder = save(kind, tmp_path)
    tiny.change_json(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(ModelError, match=r"layer\.2\."):
        load(role, folder)


@pytest.mark.parametrize("kind", ["fast", "slow", "sparse", "rerank"])
@pytest.mark.parametrize("key", ["vocab_size", "max_position_embeddings", "hidden_size"])
def test_weights_of_another_size_are_refused(tmp_path, kind, key):
    """The configuration is of a model twice as large."""
    role, folder = save(kind, tmp_path)
    size = tiny.read_config(folder)[key]
    tiny.change_json(folder / "config.json", **{key: 2 * size})
    with pytest.raises(ModelError, match=r"other sizes than|its config\.json says"):
        load(role, folder)


def test_a_part_that_the_library_puts_on_top_is_refused(tmp_path):
    """Without ``model_type``, sentence-transformers takes any modules for a bi-encoder's and adds a random layer."""
    folder = tiny.save_splade(tmp_path)
    tiny.write_json(folder / "config_sentence_transformers.json", {})
    tiny.change_json(folder / "1_SpladePooling" / "config.json", embedding_dimension=len(tiny.VOCABULARY))
    with pytest.raises(ModelError, match=r"part of random weights on top \(SparseAutoEncoder\)"):
        load("sparse", folder)


@pytest.mark.parametrize("kind", ["fast", "slow", "sparse", "rerank"])
def test_damaged_weights_are_refused_when_they_give_no_numbers(tmp_path, kind):
    """A NaN in a matrix makes every vector NaN, which no engine takes; the message names the model."""
    role, folder = save(kind, tmp_path)
    prefix = "" if role == "dense" else "bert."
    name = f"{prefix}encoder.layer.0.output.dense.weight"
    tiny.change_weights(folder, drop=name, add={name: torch.full((32, 64), float("nan"))})
    encoder = load(role, folder)
    with pytest.raises(ModelError, match=r"not finite") as refused:
        encoder.score(TEXTS[0], TEXTS) if role == "rerank" else encoder.encode_documents(TEXTS)
    assert refused.value.where == str(folder)


def test_loading_leaves_the_library_as_it_was(tmp_path):
    """The report is asked for while a model is loaded, also when that fails."""
    from transformers import AutoModel, PreTrainedModel

    before = PreTrainedModel.__dict__["from_pretrained"]
    folder = tiny.save_bi_encoder(tmp_path, **SLOW)
    load("dense", folder)
    tiny.change_weights(folder, drop="LayerNorm")
    with pytest.raises(ModelError):
        load("dense", folder)
    assert PreTrainedModel.__dict__["from_pretrained"] is before
    assert not isinstance(AutoModel.from_pretrained(folder), tuple)


def test_a_sound_model_takes_the_fast_path(tmp_path):
    """The checks above cost no import of the slow one."""
    assert isinstance(load("dense", tiny.save_bi_encoder(tmp_path)).backbone, BertBackbone)
