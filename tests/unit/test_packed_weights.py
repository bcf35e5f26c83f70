"""Sparse vectors come back from few bytes as they were given, and the cache keeps what it has when it is full."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.ingest.state.cache import CachedVectors, VectorCache
from hybrid_search.ingest.state.cache_file import VERSION
from hybrid_search.ingest.state.packed_weights import packed, unpacked

MODELS = b"m" * 16
TERMS = st.integers(0, 999_999_999).map(str)
WEIGHTS = st.floats(width=32, allow_nan=False)


@given(st.dictionaries(TERMS, WEIGHTS, max_size=20))
def test_what_is_packed_comes_back_the_same(weights):
    """Terms, weights and their order."""
    data = packed(weights)
    assert data is not None
    assert list(unpacked(data).items()) == list(weights.items())


NOT_THE_SAME = [{"a": 1.0}, {"07": 1.0}, {"1": 0.1}, {"1234567890": 1.0}, {"\u0661": 1.0}, {"": 1.0}]


@pytest.mark.parametrize("weights", NOT_THE_SAME)
def test_what_would_not_come_back_is_not_packed(weights):
    """Words, numbers with zeros before them, weights of more digits than float32 has."""
    assert packed(weights) is None


def test_a_term_takes_six_bytes():
    """2 of its number and 4 of its weight, and two for the whole: 250 terms take 1,502."""
    assert len(packed({str(number): 1.5 for number in range(250)})) == 2 + 250 * (2 + 4)
    assert len(packed({str(70_000 + number): 1.5 for number in range(250)})) == 2 + 250 * (4 + 4)


def test_the_cache_gives_back_either_form(tmp_path):
    """Vectors that are packed and vectors that are not."""
    both = [CachedVectors(None, {"7": 1.5, "3": 0.25}), CachedVectors(None, {"word": 0.1}), CachedVectors(None, {})]
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        cache.put(MODELS, ["a", "b", "c"], both)
        assert [found.sparse for found in cache.get(MODELS, ["a", "b", "c"])] == [one.sparse for one in both]


def test_a_load_larger_than_the_cache_keeps_its_beginning(tmp_path):
    """What was put in today is not pushed out by what comes after it; the note says that no more was kept."""
    large = CachedVectors(np.ones(1_000, np.float32), None)
    with VectorCache(tmp_path / "vectors.sqlite", max_bytes=1_000_000) as cache:
        for first in range(0, 1_000, 100):
            cache.put(MODELS, [f"text {number}" for number in range(first, first + 100)], [large] * 100)
        assert None not in cache.get(MODELS, [f"text {number}" for number in range(200)])
        assert cache.get(MODELS, ["text 999"]) == [None]
        assert cache.info().texts < 500
        assert cache.full == "the vector cache is full (0 GB, all of it used today): no more vectors were kept"


def test_a_cache_of_the_version_before_is_gone_on_with(tmp_path):
    """Its rows are read as they are, and it becomes one of this version."""
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        cache.put(MODELS, ["a"], [CachedVectors(None, {"word": 1.0})])
        cache._file.database.execute("PRAGMA user_version = 2")
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        assert cache.get(MODELS, ["a"])[0].sparse == {"word": 1.0}
        assert cache.notes == []
        assert cache._file.database.execute("PRAGMA user_version").fetchone() == (VERSION,)
