from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import VOCABULARY, save_tokenizer, save_transformer, write_json

from hybrid_search.encode.idf import IdfEncoder
from hybrid_search.encode.sparse import InferenceFreeQueries, SparseEncoder, load_sparse, positive_entries
from hybrid_search.encode.tokens import load_tokenizer
from hybrid_search.errors import ModelError
from hybrid_search.settings import SparseSettings

TEXTS = ["the weather is lovely today", "a", "he drove to the stadium", "so sunny outside " * 6]


def load(folder, **settings) -> SparseEncoder:
    encoder = load_sparse(SparseSettings(model=str(folder), device="cpu", **settings))
    assert isinstance(encoder, SparseEncoder)
    return encoder


def array(vector):
    dense = np.zeros(len(VOCABULARY), np.float32)
    for piece, weight in vector.items():
        dense[int(piece)] = weight
    return dense


@pytest.fixture(scope="module")
def splade(tmp_path_factory):
    """A masked language model, which sentence-transformers completes with SPLADE's max pooling."""
    return save_transformer(tmp_path_factory.mktemp("splade"), "BertForMaskedLM")


@pytest.fixture(scope="module")
def encoder(splade):
    return load(splade, batch_size=1)


def test_weights_are_splades_formula(splade, encoder):
    """max over tokens of log(1 + relu(logit)), computed here with transformers alone, text by text."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(splade), AutoModelForMaskedLM.from_pretrained(splade).eval()
    for text, vector in zip(TEXTS, encoder.encode_documents(TEXTS), strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        expected = torch.log1p(torch.relu(logits)).amax(dim=0).numpy()
        np.testing.assert_allclose(array(vector), expected, atol=1e-5)


def test_names_are_vocabulary_ids_and_weights_positive(encoder):
    """What rank_features takes: no zero, nothing below."""
    for vector in [*encoder.encode_documents(TEXTS), *encoder.encode_queries(TEXTS)]:
        assert vector
        assert all(0 <= int(piece) < len(VOCABULARY) and piece == str(int(piece)) for piece in vector)
        assert all(isinstance(weight, float) and weight > 0 for weight in vector.values())


def test_passages_are_pruned_to_the_heaviest_terms_and_queries_are_not(splade, encoder):
    """A query is short; its terms are what finds anything."""
    (whole,) = encoder.encode_documents(TEXTS[:1])
    pruned = load(splade, max_terms=5)
    (kept,) = pruned.encode_documents(TEXTS[:1])
    assert kept == pytest.approx(dict(sorted(whole.items(), key=lambda item: -item[1])[:5]))
    assert len(pruned.encode_queries(TEXTS[:1])[0]) == len(whole)
    assert pruned.fingerprint.difference(encoder.fingerprint) != []


def test_no_texts_give_no_vectors(encoder):
    """An empty call must not reach the model."""
    assert encoder.encode_documents([]) == []


@pytest.fixture(scope="module")
def inference_free(tmp_path_factory, splade):
    """A Router: documents by the masked language model, queries by a table of weights 1, 2, 3 ..."""
    import sentence_transformers as library
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SparseStaticEmbedding, SpladePooling

    transformer = MLMTransformer(str(splade))
    table = SparseStaticEmbedding(transformer.tokenizer, weight=torch.arange(1.0, len(VOCABULARY) + 1), frozen=True)
    router = Router.for_query_document(query_modules=[table], document_modules=[transformer, SpladePooling("max")])
    folder = tmp_path_factory.mktemp("router")
    library.SparseEncoder(modules=[router]).save(str(folder))
    return folder


def test_an_inference_free_model_looks_queries_up(inference_free, encoder):
    """Each word of the query weighs what the table says, documents go through the network."""
    routed = load(inference_free)
    weather, sunny = VOCABULARY.index("weather"), VOCABULARY.index("sunny")
    assert routed.encode_queries(["weather sunny"]) == [{str(weather): weather + 1.0, str(sunny): sunny + 1.0}]
    np.testing.assert_allclose(
        array(routed.encode_documents(TEXTS)[0]), array(encoder.encode_documents(TEXTS)[0]), atol=1e-5
    )


def test_any_model_of_the_tables_vocabulary_can_have_inference_free_queries(splade, encoder):
    """Queries come from the idf table, passages and fingerprint from the model."""
    idf = IdfEncoder(load_tokenizer(splade), np.full(len(VOCABULARY), 2.5, np.float32), name="t", vocabulary="")
    free = InferenceFreeQueries(encoder, idf)
    assert free.encode_queries(["sunny"]) == [{str(VOCABULARY.index("sunny")): 2.5}]
    assert free.encode_documents(["sunny"]) == encoder.encode_documents(["sunny"])
    assert free.fingerprint == encoder.fingerprint


def test_inference_free_queries_need_the_vocabulary_of_the_table(splade):
    """The tiny model's ids mean other words than BERT's."""
    with pytest.raises(ModelError, match=r"BERT uncased.*inference_free_queries"):
        load_sparse(SparseSettings(model=str(splade), inference_free_queries=True))


def test_a_model_without_the_vocabulary_head_is_refused_in_the_packages_words(tmp_path):
    """No weights, no model: the library's exception does not get out."""
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    save_tokenizer(tmp_path)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(tmp_path)


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0]), max_size=30), st.integers(1, 8))
def test_pruning_keeps_the_heaviest_positive_entries(values, max_terms):
    """Sorted by weight, then by id: the reference is a sort in plain Python."""
    positive = [(-value, number) for number, value in enumerate(values) if value > 0]
    expected = {str(number): -weight for weight, number in sorted(positive)[:max_terms]}
    assert dict(positive_entries(torch.tensor(values), max_terms)) == expected
    assert len(positive_entries(torch.tensor(values), None)) == len(positive)
