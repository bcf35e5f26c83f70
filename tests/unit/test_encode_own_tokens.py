"""No text is tokenized twice: what the library would make of it is made of the tokens that are there."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models as tiny
import torch
from test_encode_splade_head import NETWORKS, save

from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.own_tokens import OwnTokens
from hybrid_search.encode.sentence import SentenceBackbone
from hybrid_search.encode.sparse import load_sparse
from hybrid_search.settings import DenseSettings, SparseSettings

TEXTS = ["the weather is lovely today", "", "a", "so sunny outside " * 40, "he drove\tto the\n stadium 🙂", "\x00 ok"]


def never(*_, **__):
    raise AssertionError("the library tokenized again")


def dense(folder, **options):
    """With maximum pooling, which the plain network does not know."""
    return load_dense(DenseSettings(model=str(tiny.save_bi_encoder(folder, pooling="max")), device="cpu", **options))


@pytest.mark.parametrize("prompt", ["", "passage: "])
def test_a_bi_encoder_of_the_library_is_given_our_tokens(tmp_path, monkeypatch, prompt):
    """The same vectors as where it tokenizes itself, and it does not tokenize."""
    encoder = dense(tmp_path, document_prompt=prompt)
    assert isinstance(encoder.backbone, SentenceBackbone)
    library = encoder.backbone._by_the_library(TEXTS, prompt, query=False).embeddings.numpy()
    encoder.encode_documents(["a"])
    monkeypatch.setattr(type(encoder.backbone._model), "preprocess", never)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), library, atol=1e-6)


def test_where_the_library_makes_other_tokens_it_makes_them(tmp_path, monkeypatch):
    """One number that differs on the probes is enough; the vectors are then the library's own."""
    monkeypatch.setattr("hybrid_search.encode.own_tokens.torch.equal", lambda *_: False)
    encoder = dense(tmp_path)
    calls = []
    preprocess = type(encoder.backbone._model).preprocess
    monkeypatch.setattr(
        type(encoder.backbone._model), "preprocess", lambda *a, **b: calls.append(1) or preprocess(*a, **b)
    )
    found = encoder.encode_documents(TEXTS)
    assert calls
    assert np.isfinite(found).all()
    assert encoder.backbone._inputs == {("", False): None}


@pytest.mark.parametrize("network", list(NETWORKS))
def test_a_splade_model_is_given_our_tokens(tmp_path, monkeypatch, network):
    """Of every architecture the weights that the library gives; several thousand texts are tokenized in parts."""
    encoder = load_sparse(SparseSettings(model=str(save(tmp_path, network)), device="cpu"))
    library = encoder._by_the_library(TEXTS, "", query=False)
    encoder.encode_documents(["a"])
    assert encoder._inputs[False] is not None
    monkeypatch.setattr(type(encoder._model), "preprocess", never)
    monkeypatch.setattr("hybrid_search.encode.sparse.TOKENIZED", 4)
    for row, vector in zip(library, encoder.encode_documents(TEXTS), strict=True):
        made = torch.zeros(len(row))
        made[[int(term) for term in vector]] = torch.tensor(list(vector.values()))
        torch.testing.assert_close(made, row, atol=1e-5, rtol=1e-5)


def test_padding_stands_where_the_model_wants_it():
    """Ids 7 8 and 9: to the right, or to the left; what else the input has is handed on."""
    right = OwnTokens(("input_ids", "attention_mask", "token_type_ids"), {"modality": "text"}, pad=0, left=False)
    made = right.features([[7, 8], [9]], torch.device("cpu"))
    assert made["input_ids"].tolist() == [[7, 8], [9, 0]]
    assert made["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert made["token_type_ids"].tolist() == [[0, 0], [0, 0]]
    assert made["modality"] == "text"
    left = OwnTokens(("input_ids", "attention_mask"), {}, pad=5, left=True).features([[7, 8], [9]], torch.device("cpu"))
    assert left["input_ids"].tolist() == [[7, 8], [5, 9]]
    assert left["attention_mask"].tolist() == [[1, 1], [0, 1]]
