"""The reranker's scores combined with the first stage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import QueryError
from hybrid_search.records import RerankScore
from hybrid_search.search.fusion import Fused
from hybrid_search.search.rerank import Reranking, combine


def fused(*scores: float) -> list[Fused]:
    return [Fused(f"d{n}", score, {}) for n, score in enumerate(scores)]


def test_both_scores_are_scaled_within_the_window() -> None:
    """Half the first stage, half the reranker, each from 0 to 1 over the first three hits."""
    ranked = combine(fused(0.9, 0.6, 0.5, 0.1), [-4.0, 2.0, 8.0], 0.5)
    assert {r.hit.id: r.score for r in ranked} == pytest.approx(
        {
            "d0": 0.5 * (0.9 - 0.5) / 0.4 + 0.5 * (-4 + 4) / 12,
            "d1": 0.5 * (0.6 - 0.5) / 0.4 + 0.5 * (2 + 4) / 12,
            "d2": 0.5 * (0.5 - 0.5) / 0.4 + 0.5 * (8 + 4) / 12,
            "d3": 0.5 * (0.1 - 0.5) / 0.4,
        }
    )
    assert [r.hit.id for r in ranked] == ["d0", "d2", "d1", "d3"]


def test_a_weight_of_one_replaces_the_first_stage() -> None:
    """Only the reranker decides within the window; what is below stays below."""
    ranked = combine(fused(0.9, 0.6, 0.5), [1.0, 2.0], 1.0)
    assert [r.hit.id for r in ranked] == ["d1", "d0", "d2"]


def test_a_weight_of_zero_keeps_the_first_stage() -> None:
    """The reranker is shown and changes nothing."""
    ranked = combine(fused(0.9, 0.6, 0.5), [1.0, 2.0, 3.0], 0.0)
    assert [r.hit.id for r in ranked] == ["d0", "d1", "d2"]


def test_a_hit_shows_what_reranking_did_to_it() -> None:
    """Rank before, the reranker's own score and the combined one; nothing below the window."""
    ranked = combine(fused(0.9, 0.5, 0.4), [1.0, 3.0], 0.75)
    assert ranked[0].rerank == RerankScore(rank_before=2, score=3.0, combined=0.75)
    assert ranked[1].rerank == RerankScore(rank_before=1, score=1.0, combined=0.25)
    assert ranked[2].rerank is None


def test_equal_combined_scores_keep_the_order_of_the_first_stage() -> None:
    """A reranker that cannot tell hits apart leaves them as they were."""
    assert [r.hit.id for r in combine(fused(0.9, 0.6, 0.5), [2.0, 2.0, 2.0], 1.0)] == ["d0", "d1", "d2"]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=20),
    st.floats(0, 1),
)
def test_scores_never_rise_down_the_ranking(first, second, weight) -> None:
    """Hits below the window continue the scale of those within it."""
    stage = fused(*sorted(first, reverse=True))
    ranked = combine(stage, second[: len(stage)], weight)
    assert sorted(r.hit.id for r in ranked) == sorted(hit.id for hit in stage)
    assert all(above.score >= below.score - 1e-12 for above, below in pairwise(ranked))


@pytest.mark.parametrize("wrong", [{"window": 0}, {"window": 1001}, {"weight": -0.1}, {"weight": 1.1}])
def test_a_wrong_reranking_is_refused(wrong) -> None:
    """Window and weight have ranges."""
    with pytest.raises(QueryError, match=r"a rerank (window|weight) of"):
        Reranking(**wrong)


def test_combined_scores_are_plain_floats():
    """A model's float32 scores do not leak into hits, where JSON and a reader expect Python's numbers."""
    scores = np.array([0.5, 0.25], dtype=np.float32)
    ranked = combine([Fused("a", 1.0, {}), Fused("b", 0.5, {})], scores, weight=0.5)
    assert [type(hit.score) for hit in ranked] == [float, float]
    assert [type(hit.rerank.combined) for hit in ranked] == [float, float]
