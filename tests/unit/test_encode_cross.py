from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tiny_models import change_json, save_cross_encoder, save_transformer

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


def test_pairs_of_many_queries_go_together_and_each_text_is_tokenized_once(folder, monkeypatch):
    """Three queries with the same passages: what each pair gets alone; eight texts are tokenized, not thirty."""
    reranker = load(folder)
    assert reranker._pairs is not None
    queries = [QUERY, "so sunny", "how long " * 30]
    pairs = [(query, passage) for query in queries for passage in PASSAGES]
    alone = np.concatenate([logits(folder, query, PASSAGES).numpy() for query in queries])
    counted = []
    original = reranker._pairs._plain

    class Counting:
        def encode_batch(self, texts, **options):
            counted.extend(texts)
            return original.encode_batch(texts, **options)

    monkeypatch.setattr(reranker._pairs, "_plain", Counting())
    np.testing.assert_allclose(reranker.score_pairs(pairs), alone, atol=1e-5)
    assert sorted(counted) == sorted({*queries, *PASSAGES})


def test_where_our_tokens_give_other_scores_the_library_makes_them(folder, monkeypatch):
    """A tokenizer that joins pairs in a way of its own must not be believed to do the usual."""
    monkeypatch.setattr("hybrid_search.encode.pairs.PairModel.__call__", lambda _, pairs: torch.zeros(len(pairs)))
    reranker = load(folder)
    assert reranker._pairs is None
    np.testing.assert_allclose(reranker.score(QUERY, PASSAGES), logits(folder, QUERY, PASSAGES).numpy(), atol=1e-5)
    assert reranker.score(QUERY, []).shape == (0,)


@pytest.mark.parametrize("side", ["left", "right"])
def test_pairs_are_padded_at_the_models_side(tmp_path, side):
    """Rerankers made of generators pad at the left."""
    saved = save_cross_encoder(tmp_path)
    change_json(saved / "tokenizer_config.json", padding_side=side)
    reranker = load(saved)
    assert reranker._pairs is not None
    wanted = reranker._predicted([(QUERY, passage) for passage in PASSAGES])
    np.testing.assert_allclose(reranker.score(QUERY, PASSAGES), wanted, atol=1e-5)
