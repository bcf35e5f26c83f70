"""Token states in a bit for each component: what is stored gives about what whole states give."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models as tiny
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.late import LateReranker
from hybrid_search.encode.late_stored import compress, max_sims, rotation
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.ingest.state.cache import CachedVectors, VectorCache, models_key
from hybrid_search.settings import DenseSettings, RerankSettings, Settings, SparseSettings

TEXTS = ["the weather is lovely today", "so sunny", "", "he drove to the stadium", "so sunny"]
STORED = RerankSettings(model="late", stored=True)


def settings_of(folder, rerank=STORED, **sections) -> Settings:
    dense = DenseSettings(model=str(folder), device="cpu")
    return Settings(**{"dense": dense, "sparse": SparseSettings(model="none"), "rerank": rerank, **sections})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.save_bi_encoder(tmp_path_factory.mktemp("bert"), prompts={"document": "passage: "})


def before_turning(turned):
    """States that are these numbers once they are turned."""
    return np.array(turned, np.float32) @ rotation(2).T


def test_the_rotation_is_one_and_keeps_cosines():
    """Orthogonal, and the same numbers wherever it is computed: an index outlives the machine that made it."""
    np.testing.assert_allclose(rotation(32) @ rotation(32).T, np.eye(32), atol=1e-5)
    np.testing.assert_allclose(rotation(2), [[0.19265, -0.98127], [0.98127, 0.19265]], atol=1e-4)


def test_a_sign_and_a_size_are_what_is_left():
    """(3, -4) has length 5: units .6 and -.8, mean size .7; against itself .6 * .7 + .8 * .7 = .98, not 1."""
    states = before_turning([[3.0, -4.0]])
    data = compress(states)
    assert len(data) == 2 + 1
    assert data[2] == 0b10000000
    score = max_sims(states, [data])
    assert score == pytest.approx([0.98], abs=1e-3)


def test_the_best_token_of_a_passage_counts_and_the_mean_over_the_query():
    """Query tokens (1, 0) and (0, 1); the passage has (1, 1) and (-1, 1): .707 and .707 on either; of none, -1."""
    query = before_turning(np.eye(2))
    both = compress(before_turning([[1, 1], [-1, 1]]))
    left = compress(before_turning([[-1, 1]]))
    scores = max_sims(query, [both, b"", left])
    assert scores == pytest.approx([0.7071, -1.0, 0.0], abs=1e-3)


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 6), st.sampled_from([1, 7, 8, 33])), elements=st.floats(-9, 9, width=32)
    )
)
def test_any_states_can_be_stored(states):
    """Widths that fill no byte, zeros: scores are finite and at most about one."""
    data = compress(states)
    assert len(data) == len(states) * (2 + -(-states.shape[1] // 8))
    (score,) = max_sims(states, [data])
    assert np.isfinite(score)
    assert abs(score) <= 1.01


def test_what_is_of_another_width_is_refused():
    """Half a token is no token: the index was made with another model."""
    with pytest.raises(ModelError, match="1 of 2 passages are not of 8 components"):
        max_sims(np.ones((1, 8), np.float32), [b"123", b"1234"])


def test_passages_get_their_tokens_in_the_pass_of_their_vectors(folder):
    """Repeated texts get the same; vectors are those of an encoder that stores none."""
    encoder = load_encoder(settings_of(folder))
    plain = load_encoder(settings_of(folder, RerankSettings(model="late")))
    found, wanted = encoder.encode_documents(TEXTS), plain.encode_documents(TEXTS)
    np.testing.assert_allclose(found.dense, wanted.dense, atol=1e-6)
    assert wanted.late is None
    states = plain.bi_encoder.token_states(TEXTS, query=False)
    assert list(found.late) == [compress(one) for one in states]
    assert encoder.encode_queries(TEXTS).late is None


def test_stored_tokens_rank_as_whole_ones_do():
    """Of 384 components: passages nearer and nearer to the query get scores in that order, near to the whole ones."""
    drawn = np.random.default_rng(0)
    query = drawn.standard_normal((4, 384)).astype(np.float32)
    noise = [drawn.standard_normal((20, 384)).astype(np.float32) for _ in range(9)]
    passages = [np.concatenate([one[:16], one[16:] + part / 4 * query]) for part, one in enumerate(noise)]
    units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (query, *passages)]
    whole = [float((units[0] @ one.T).max(axis=1).mean()) for one in units[1:]]
    stored = max_sims(query, [compress(one) for one in passages])
    assert list(np.argsort(stored)) == list(np.argsort(whole))
    assert np.corrcoef(stored, whole)[0, 1] > 0.99


def test_the_reranker_has_the_identity_of_what_its_encoder_stores(folder):
    """By it a search knows whether an index was made for this reranker."""
    settings = settings_of(folder)
    encoder = load_encoder(settings)
    reranker = load_reranker(settings, encoder)
    assert isinstance(reranker, LateReranker)
    stored = encoder.encode_documents(TEXTS).late
    assert reranker.score_stored("lovely weather", stored).shape == reranker.score("lovely weather", TEXTS).shape
    assert reranker.late == encoder.late
    other = load_encoder(settings_of(folder, dense=DenseSettings(model=str(folder), device="cpu", max_tokens=16)))
    assert other.late.difference(encoder.late)


def test_a_cache_gives_the_tokens_back(folder, tmp_path):
    """And an encoder that stores none does not find rows of one that does, nor the other way round."""
    with_tokens, without = (
        load_encoder(settings_of(folder, rerank)) for rerank in (STORED, RerankSettings(model="late"))
    )
    assert models_key(with_tokens) != models_key(without)
    rows = [
        CachedVectors(np.ones(2, np.float32), {"7": 0.5}, b"tokens"),
        CachedVectors(np.ones(2, np.float32), None, b"more"),
        CachedVectors(np.ones(2, np.float32), {"7": 0.5}),
        CachedVectors(np.ones(2, np.float32), None),
    ]
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        cache.put(b"models", ["a", "b", "c", "d"], rows)
        found = cache.get(b"models", ["a", "b", "c", "d"])
        assert [(one.sparse, one.late) for one in found] == [(one.sparse, one.late) for one in rows]
        assert cache.wrong == 0


def test_tokens_are_stored_of_a_bi_encoder_alone(folder):
    """Whatever reranks: one index serves several ways. A dense model that is not here has no token states."""
    assert load_encoder(settings_of(folder, RerankSettings(stored=True))).late is not None
    carried = settings_of(
        folder, dense=DenseSettings(model="precomputed", dimension=2), rerank=RerankSettings(stored=True)
    )
    with pytest.raises(SettingsError, match=r"rerank\.stored.*'precomputed'"):
        load_encoder(carried)
