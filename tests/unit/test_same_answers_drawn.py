"""Whatever texts are drawn, and however they are mixed, each gets what sentence-transformers gives it alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_models as tiny
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from hybrid_search.encode.cross import load_cross
from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.sparse import load_sparse
from hybrid_search.errors import ModelError
from hybrid_search.settings import DenseSettings, EncodeSettings, RerankSettings, SparseSettings

LIMIT = 64
"""Tokens that the models read; with two special ones 62 words."""

WORDS = st.sampled_from(
    ["so", "sunny", "berlin", "zebra", "\U0001f31e", "\U0001f468\u200d\U0001f469", "a\x00b", "\u0645\u0631"]
)
TEXT = st.builds(
    lambda words, times: " ".join(words * times),
    st.lists(WORDS, max_size=6),
    st.sampled_from([1, 1, 2, 9, 10, 11, 31, 62, 200]),
) | st.text(max_size=40)
MIXED = st.lists(TEXT, min_size=1, max_size=9)
SLOWLY = settings(deadline=None, max_examples=40)
TORCH = EncodeSettings(backend="torch")


@pytest.fixture(scope="module")
def bi_encoders(tmp_path_factory):
    """Ours and the library's, over the same files."""
    from sentence_transformers import SentenceTransformer

    folder = tiny.save_bi_encoder(tmp_path_factory.mktemp("dense"))
    ours = load_dense(DenseSettings(model=str(folder), device="cpu", batch_size=3), TORCH)
    return ours, SentenceTransformer(str(folder), device="cpu")


@pytest.fixture(scope="module")
def splades(tmp_path_factory):
    """Ours and the library's, over the same files."""
    from sentence_transformers import SparseEncoder

    folder = tiny.save_splade(tmp_path_factory.mktemp("splade"))
    ours = load_sparse(SparseSettings(model=str(folder), device="cpu", batch_size=3), TORCH)
    return ours, SparseEncoder(str(folder), device="cpu")


@pytest.fixture(scope="module")
def cross_encoders(tmp_path_factory):
    """Ours and the library's, over the same files."""
    from sentence_transformers import CrossEncoder

    folder = tiny.save_cross_encoder(tmp_path_factory.mktemp("cross"))
    ours = load_cross(RerankSettings(model=str(folder), device="cpu"), TORCH)
    return ours, CrossEncoder(str(folder), device="cpu")


@SLOWLY
@given(MIXED)
@example(["so " * (LIMIT - 3), "so " * (LIMIT - 2), "so " * (LIMIT - 1), ""])
def test_dense_vectors(bi_encoders, texts):
    """Lengths from nothing to beyond the limit in one batch: padding, cutting and order leave no trace."""
    ours, library = bi_encoders
    alone = np.concatenate([library.encode_document([text]) for text in texts])
    np.testing.assert_allclose(ours.encode_documents(texts), alone, atol=1e-5)


@SLOWLY
@given(MIXED)
def test_sparse_weights(splades, texts):
    """The terms are the same, and so are their weights; terms lighter than the tolerance may come and go."""
    ours, library = splades
    for text, found in zip(texts, ours.encode_documents(texts), strict=True):
        weights = library.encode_document([text], convert_to_sparse_tensor=False)[0]
        expected = {str(term): float(weight) for term, weight in enumerate(weights) if weight > 0}
        for term in found.keys() | expected.keys():
            assert abs(found.get(term, 0.0) - expected.get(term, 0.0)) <= 1e-5


@SLOWLY
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=7))
def test_scores_of_pairs(cross_encoders, pairs):
    """Pairs of several queries, of which either side may be too long."""
    ours, library = cross_encoders
    alone = [float(library.predict([pair], show_progress_bar=False)[0]) for pair in pairs]
    np.testing.assert_allclose(ours.score_pairs(pairs), alone, atol=1e-5)


@SLOWLY
@given(st.integers(0, 4), st.integers(0, 31), st.sampled_from([float("nan"), float("inf"), float("-inf")]))
def test_one_number_that_is_none_refuses_the_pass(bi_encoders, row, component, value):
    """Wherever it stands; the error says which model gave it."""
    ours, _ = bi_encoders
    ((_, output),) = ours.forward(["so sunny"] * 5, query=True)
    spoiled = output.embeddings.clone()
    spoiled[row, component] = value
    with pytest.raises(ModelError, match="not finite") as refused:
        ours.vectors(replace(output, embeddings=spoiled))
    assert refused.value.where == ours.fingerprint.name


@given(st.integers(1, 64).filter(lambda size: size != 32))
def test_vectors_of_another_size_are_refused(bi_encoders, size):
    """The files say 32 components; the error says what came, and from which model."""
    ours, _ = bi_encoders
    ((_, output),) = ours.forward(["so sunny"], query=True)
    with pytest.raises(ModelError, match=rf"\(1, {size}\).*32 components") as refused:
        ours.vectors(replace(output, embeddings=torch.zeros(1, size)))
    assert refused.value.where == ours.fingerprint.name
