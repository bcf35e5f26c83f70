"""Fusion is fair to what some legs cannot see, because it has no vectors yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.search import Fusion
from hybrid_search.search.fusion import METHODS, fuse

SCORES = st.integers(1, 1000).map(lambda number: number / 10)
RUN = st.dictionaries(st.sampled_from("abcdefgh"), SCORES, max_size=8)


def run_of(scores: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda hit: -hit[1])


@pytest.mark.parametrize("method", [*METHODS])
@given(words=RUN.filter(bool), dense=RUN, sparse=RUN, weights=st.tuples(*[st.integers(1, 5)] * 3))
def test_what_legs_cannot_see_is_worth_what_the_others_say(method, words, dense, sparse, weights) -> None:
    """As if every leg that cannot see it had given it what the one that can gave: no less, and no more.

    x is seen by words alone; it is compared with itself in a fusion of words alone, of the same weight in all.
    """
    legs = ("bm25", "dense", "sparse")
    runs = {"bm25": run_of({**words, "x": 50.0}), "dense": run_of(dense), "sparse": run_of(sparse)}
    fusion = Fusion(method, weights=dict(zip(legs, weights, strict=True)))
    fused = {hit.id: hit for hit in fuse(runs, fusion, unseen={"x": {"dense", "sparse"}})}
    alone = Fusion(method, weights={"bm25": sum(weights)})
    expected = {hit.id: hit.score for hit in fuse({"bm25": runs["bm25"]}, alone)}
    assert fused["x"].score == pytest.approx(expected["x"])
    assert sum(leg.contribution for leg in fused["x"].legs.values()) == pytest.approx(fused["x"].score)


@pytest.mark.parametrize("method", [*METHODS])
@given(words=RUN.filter(bool), dense=RUN)
def test_it_is_ranked_no_worse_than_without_the_legs_that_do_not_see_it(method, words, dense) -> None:
    """What words rank below it, and vectors do not find, stays below it; others are worth what they were."""
    runs = {"bm25": run_of({**words, "x": 50.0}), "dense": run_of(dense)}
    before = {hit.id: hit.score for hit in fuse(runs, Fusion(method))}
    fused = fuse(runs, Fusion(method), unseen={"x": {"dense"}})
    ranks = {hit.id: rank for rank, hit in enumerate(fused)}
    below = [id_ for id_, score in words.items() if score < 50.0 and id_ not in dense]
    assert all(ranks["x"] < ranks[id_] for id_ in below)
    assert {hit.id: hit.score for hit in fused if hit.id != "x"} == {id_: s for id_, s in before.items() if id_ != "x"}


def test_the_weights_of_all_legs_go_to_those_that_see() -> None:
    """Reciprocal ranks: x is the first of words alone, 3 x 1/61; y their second and the first of the others."""
    runs = {"bm25": [("x", 3.0), ("y", 2.0)], "dense": [("y", 0.9)], "sparse": [("y", 4.0)]}
    fused = fuse(runs, Fusion("rrf"), unseen={"x": {"dense", "sparse"}})
    assert [(hit.id, hit.score) for hit in fused] == [
        ("x", pytest.approx(3 / 61)),
        ("y", pytest.approx(1 / 62 + 2 / 61)),
    ]


def test_what_no_leg_sees_is_left_as_it_is() -> None:
    """A search of the dense leg alone finds what has vectors."""
    fused = fuse({"dense": [("a", 0.9)]}, Fusion("rrf"), unseen={"a": {"dense"}})
    assert [(hit.id, hit.score) for hit in fused] == [("a", 1 / 61)]
