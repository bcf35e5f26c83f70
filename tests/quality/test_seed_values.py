"""The published values of real models, to every published digit.

all-MiniLM-L6-v2 comes with an installed package and is always tested; the others need a hub
(HYBRID_SEARCH_TEST_WEIGHTS=1) and are the examples of their model cards.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.settings import DenseSettings, RerankSettings, Settings, SparseSettings

SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]

needs_weights = [
    pytest.mark.weights,
    pytest.mark.skipif(
        os.environ.get("HYBRID_SEARCH_TEST_WEIGHTS") != "1", reason="needs weights: set HYBRID_SEARCH_TEST_WEIGHTS=1"
    ),
]


@pytest.fixture(scope="module")
def minilm():
    return load_encoder(Settings(dense=DenseSettings(device="cpu"), sparse=SparseSettings(model="none")))


def test_all_minilm_l6_v2_gives_its_published_cosines(minilm):
    """.6660, .1046, .1411, and 1 with itself, because its vectors are normalised."""
    vectors = minilm.encode_documents(SENTENCES).dense
    cosines = vectors @ vectors.T
    np.testing.assert_allclose(cosines[[0, 0, 1], [1, 2, 2]], [0.6660, 0.1046, 0.1411], atol=5e-5)
    np.testing.assert_allclose(np.diag(cosines), 1.0, atol=1e-6)


def test_all_minilm_l6_v2_equals_sentence_transformers_on_mixed_lengths(minilm):
    """Our own forward pass and batches against the reference, a cut text and an empty one among them."""
    from sentence_transformers import SentenceTransformer

    from hybrid_search.encode.sources import find_model

    texts = [*SENTENCES, "", "word", " ".join(SENTENCES * 40), *(" ".join(SENTENCES[: n % 3 + 1]) for n in range(20))]
    reference = SentenceTransformer(str(find_model("all-MiniLM-L6-v2")), device="cpu")
    np.testing.assert_allclose(minilm.encode_documents(texts).dense, reference.encode(texts), atol=1e-5)
    np.testing.assert_allclose(minilm.encode_queries(texts).dense, reference.encode_query(texts), atol=1e-5)


def test_all_minilm_l6_v2_reads_256_tokens(minilm):
    """Its files say 256, less [CLS] and [SEP]; 384 dimensions, mean pooling."""
    assert minilm.max_tokens == 254
    assert (minilm.dense.dimension, minilm.dense.pooling, minilm.dense.normalized) == (384, "mean", True)


class TestSplade:
    """naver/splade-cocondenser-ensembledistil."""

    pytestmark = needs_weights

    @pytest.fixture(scope="class")
    def vectors(self):
        sparse = SparseSettings(model="naver/splade-cocondenser-ensembledistil", allow_pickle=True)
        return (
            load_encoder(Settings(dense=DenseSettings(model="none"), sparse=sparse)).encode_documents(SENTENCES).sparse
        )

    def test_dot_products(self, vectors):
        """35.629 9.154 .098 / 27.478 .019 / 29.553."""
        products = [
            sum(weight * vectors[right].get(piece, 0.0) for piece, weight in vectors[left].items())
            for left, right in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
        ]
        assert products == pytest.approx([35.629, 9.154, 0.098, 27.478, 0.019, 29.553], abs=5e-4)

    def test_sparsity(self, vectors):
        """99.84 % of the 30,522 entries are zero."""
        active = sum(len(vector) for vector in vectors) / len(vectors)
        assert 100 * (1 - active / 30_522) == pytest.approx(99.84, abs=0.005)


class TestCrossEncoders:
    """The scores of the model cards, on each model's own scale."""

    pytestmark = needs_weights

    def test_ms_marco_minilm_gives_logits(self):
        """8.607 5.506 6.353."""
        reranker = load_reranker(Settings(rerank=RerankSettings(model="cross-encoder/ms-marco-MiniLM-L6-v2")))
        scores = reranker.score(
            "How many people live in Berlin?",
            [
                "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
                (
                    "Berlin has a yearly total of about 135 million day visitors, making it one of the most-visited "
                    "cities in the European Union."
                ),
                (
                    "In 2013 around 600,000 Berliners were registered in one of the more than 2,300 sport and fitness "
                    "clubs."
                ),
            ],
        )
        np.testing.assert_allclose(scores, [8.607, 5.506, 6.353], atol=1e-3)

    def test_stsb_distilroberta_gives_similarities(self):
        """.673 .341 .005 .076 .005 .005 .067 .005 .005."""
        reranker = load_reranker(Settings(rerank=RerankSettings(model="cross-encoder/stsb-distilroberta-base")))
        scores = reranker.score(
            "A man is eating pasta.",
            [
                "A man is eating food.",
                "A man is eating a piece of bread.",
                "The girl is carrying a baby.",
                "A man is riding a horse.",
                "A woman is playing violin.",
                "Two men pushed carts through the woods.",
                "A man is riding a white horse on an enclosed ground.",
                "A monkey is playing drums.",
                "A cheetah is running behind its prey.",
            ],
        )
        np.testing.assert_allclose(scores, [0.673, 0.341, 0.005, 0.076, 0.005, 0.005, 0.067, 0.005, 0.005], atol=1e-3)
