from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tiny_models import save_cross_encoder, save_transformer

from hybrid_search.encode.cross import CrossReranker, load_cross
from hybrid_search.errors import ModelError
from hybrid_search.settings import RerankSettings

QUERY = "how many people live in berlin"
PASSAGES = ["berlin is lovely", "a", "many people live in berlin " * 5, "", "he drove to the stadium"]


def load(folder, **settings) -> CrossReranker:
    return load_cross(RerankSettings(model=str(folder), device="cpu", **settings))


def logits(folder, query, passages):
    """One pair at a time with transformers alone."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        pairs = [tokenizer([query], [text], truncation=True, return_tensors="pt") for text in passages]
        return torch.cat([model(**pair).logits[0] for pair in pairs])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_cross_encoder(tmp_path_factory.mktemp("cross"), activation="torch.nn.modules.linear.Identity")


@pytest.fixture(scope="module")
def reranker(folder):
    return load(folder, batch_size=1)


def test_scores_are_the_models_logits(folder, reranker):
    """A model saved with the identity gives raw logits, in the order of the passages, mixed lengths together."""
    scores = reranker.score(QUERY, PASSAGES)
    np.testing.assert_allclose(scores, logits(folder, QUERY, PASSAGES).numpy(), atol=1e-5)
    assert scores.dtype == np.float32
    assert len(set(scores.round(3))) == len(PASSAGES)


def test_a_model_without_an_activation_of_its_own_gives_probabilities(tmp_path):
    """The library's default for one label, as the STS models use it."""
    folder = save_cross_encoder(tmp_path)
    expected = torch.sigmoid(logits(folder, QUERY, PASSAGES)).numpy()
    np.testing.assert_allclose(load(folder).score(QUERY, PASSAGES), expected, atol=1e-5)


def test_no_passages_have_no_scores(reranker):
    """An empty window must not reach the model."""
    assert reranker.score(QUERY, []).shape == (0,)


def test_many_threads_get_what_one_thread_gets(reranker):
    """A service shares one reranker."""
    queries = [f"{QUERY} {word}" for word in ("today", "outside", "so", "it")] * 4
    alone = [reranker.score(query, PASSAGES) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda query: reranker.score(query, PASSAGES), queries))
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_classifier_is_no_reranker(tmp_path):
    """Three labels are no score."""
    save_transformer(tmp_path, "BertForSequenceClassification", num_labels=3)
    with pytest.raises(ModelError, match="classifies into 3 labels"):
        load(tmp_path)
