"""Matryoshka truncation: the first components of a vector, as sentence-transformers cuts them."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models as tiny
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search import load_encoder
from hybrid_search.encode.bert import BertBackbone
from hybrid_search.encode.dense import DenseEncoder, load_dense
from hybrid_search.errors import ModelError
from hybrid_search.settings import DenseSettings, Settings

TEXTS = ["the weather is lovely today", "", "he drove to the stadium " * 5, "so sunny"]
WHOLE = 32
LAYOUTS = [
    pytest.param("mean", True, id="fast-normalised"),
    pytest.param("mean", False, id="fast-raw"),
    pytest.param("max", True, id="slow-normalised"),
    pytest.param("max", False, id="slow-raw"),
]


def load(folder, **settings) -> DenseEncoder:
    return load_dense(DenseSettings(model=str(folder), device="cpu", **settings))


def reference(folder, normalize, **options):
    """Normalised again where the model normalises, which sentence-transformers does when it is asked to."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", **options)
    return model.encode_document(TEXTS, normalize_embeddings=normalize)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return tiny.save_bi_encoder(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def encoders(plain):
    """One encoder for each dimension."""
    return {dimension: load(plain, dimension=dimension) for dimension in (1, 7, 8, 31, 32)}


@pytest.mark.parametrize(("pooling", "normalize"), LAYOUTS)
def test_the_dimension_of_the_settings_truncates_as_sentence_transformers_does(tmp_path, pooling, normalize):
    """The first 8 of 32 components, within 1e-5."""
    folder = tiny.save_bi_encoder(tmp_path, pooling=pooling, normalize=normalize)
    encoder = load(folder, dimension=8)
    assert isinstance(encoder.backbone, BertBackbone) == (pooling == "mean")
    expected = reference(folder, normalize, truncate_dim=8)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize(("pooling", "normalize"), LAYOUTS)
def test_so_does_the_models_own_configuration(tmp_path, pooling, normalize):
    """``truncate_dim`` is what the model's authors recommend."""
    folder = tiny.save_matryoshka(tmp_path, 8, pooling=pooling, normalize=normalize)
    encoder = load(folder)
    assert encoder.fingerprint.dimension == 8
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), reference(folder, normalize), atol=1e-5)


def test_the_settings_go_before_the_models_own_configuration(tmp_path, plain):
    """Also to take all 32 components of a model that would keep 8."""
    folder = tiny.save_matryoshka(tmp_path, 8)
    assert load(folder, dimension=4).encode_documents(TEXTS).shape == (4, 4)
    np.testing.assert_array_equal(
        load(folder, dimension=WHOLE).encode_documents(TEXTS), load(plain).encode_documents(TEXTS)
    )


def test_a_configuration_that_keeps_more_than_there_is_keeps_all(tmp_path):
    """As in sentence-transformers."""
    assert load(tiny.save_matryoshka(tmp_path, 100)).fingerprint.dimension == WHOLE


def test_more_components_than_the_model_gives_are_refused(plain):
    """Both numbers, and what to write instead."""
    with pytest.raises(ModelError, match=r"have 32 components, and dense\.dimension asks for 33\. Give .* at most 32"):
        load(plain, dimension=33)


@pytest.mark.parametrize("keep", [0, -1, "8", 2.5])
def test_a_truncation_that_is_no_number_is_refused(tmp_path, keep):
    """The file is the model's, so the message names it."""
    with pytest.raises(ModelError, match=r"config_sentence_transformers\.json: truncate_dim is"):
        load(tiny.save_matryoshka(tmp_path, keep))


def test_truncation_is_part_of_the_fingerprint(encoders, plain):
    """Eight components are another index; all of them are what the model always was."""
    difference = encoders[8].fingerprint.difference(load(plain).fingerprint)
    assert [line.partition(":")[0] for line in difference] == ["dimension", "extra"]
    assert encoders[8].fingerprint.extra["truncated_from"] == WHOLE
    assert encoders[WHOLE].fingerprint.difference(load(plain).fingerprint) == []


def test_the_starter_truncates_its_dense_vectors_and_nothing_else():
    """The sparse ones are made of whole states."""
    whole, cut = load_encoder(Settings()), load_encoder(Settings(dense=DenseSettings(dimension=64)))
    expected, found = (encoder.encode_queries(TEXTS[:1]) for encoder in (whole, cut))
    head = expected.dense[:, :64]
    np.testing.assert_allclose(found.dense, head / np.linalg.norm(head), atol=1e-6)
    assert found.sparse == expected.sparse
    assert cut.dense.dimension == 64


@given(
    text=st.text(alphabet="abcdefghij ,.é\u0301\x00\u202e😀", max_size=300),
    dimension=st.sampled_from([1, 7, 8, 31, 32]),
    query=st.booleans(),
)
def test_every_text_is_cut_alike(encoders, text, dimension, query):
    """Truncated vectors are the head of the whole one, scaled to length one; any text, NUL and emoji too."""

    def encode(encoder):
        return (encoder.encode_queries if query else encoder.encode_documents)([text])[0]

    head = encode(encoders[WHOLE])[:dimension]
    np.testing.assert_allclose(encode(encoders[dimension]), head / max(np.linalg.norm(head), 1e-12), atol=1e-6)
