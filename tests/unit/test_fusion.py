"""Fusion: expectations as visible arithmetic, and what holds for any runs."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import QueryError
from hybrid_search.records import Leg, LegScore
from hybrid_search.search.fusion import METHODS, Fusion, fuse, min_max, reciprocal_rank, theoretical_minimum, z_score
from hybrid_search.search.standard_legs import STANDARD

RUNS = {
    Leg.BM25: [("a", 12.0), ("b", 8.0), ("c", 4.0)],
    Leg.DENSE: [("b", 0.9), ("d", 0.8), ("a", 0.5)],
}

runs = st.dictionaries(
    st.sampled_from(list(Leg)),
    st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=2), st.floats(-100, 100, width=32, allow_nan=False), max_size=12
    ).map(lambda scores: list(scores.items())),
    min_size=1,
)
methods = st.sampled_from(list(METHODS))


def scores(fused) -> dict[str, float]:
    return {hit.id: hit.score for hit in fused}


def test_reciprocal_rank_is_the_published_formula() -> None:
    """Each hit gets 1 / (60 + rank) from each leg that found it."""
    fused = fuse(RUNS, Fusion("rrf"))
    assert scores(fused) == pytest.approx(
        {"a": 1 / (60 + 1) + 1 / (60 + 3), "b": 1 / (60 + 2) + 1 / (60 + 1), "c": 1 / (60 + 3), "d": 1 / (60 + 2)}
    )
    assert [hit.id for hit in fused] == ["b", "a", "d", "c"]


def test_reciprocal_rank_takes_weights_and_a_constant() -> None:
    """Weights multiply as they are; a small constant favours the first ranks."""
    fused = fuse(RUNS, Fusion("rrf", {Leg.BM25: 2, Leg.DENSE: 0.5}, rank_constant=0))
    assert scores(fused)["a"] == pytest.approx(2 / 1 + 0.5 / 3)


def test_min_max_spans_each_run() -> None:
    """The highest of a run is worth 1, the lowest 0, and legs of equal weight share alike."""
    assert scores(fuse(RUNS, Fusion("min-max"))) == pytest.approx(
        {
            "a": 0.5 * (12 - 4) / (12 - 4) + 0.5 * (0.5 - 0.5) / (0.9 - 0.5),
            "b": 0.5 * (8 - 4) / (12 - 4) + 0.5 * (0.9 - 0.5) / (0.9 - 0.5),
            "c": 0.5 * (4 - 4) / (12 - 4),
            "d": 0.5 * (0.8 - 0.5) / (0.9 - 0.5),
        }
    )


def test_convex_weights_are_divided_by_their_sum() -> None:
    """Weights 3 and 1 are the convex combination .75 and .25."""
    fused = fuse(RUNS, Fusion("min-max", {Leg.BM25: 3, Leg.DENSE: 1}))
    assert scores(fused)["b"] == pytest.approx(0.75 * (8 - 4) / (12 - 4) + 0.25 * 1)


def test_z_score_is_in_deviations_above_the_lowest() -> None:
    """Scores 12, 8, 4 have mean 8 and deviation sqrt((16 + 0 + 16) / 3)."""
    deviation = math.sqrt((16 + 0 + 16) / 3)
    assert z_score([12, 8, 4]) == pytest.approx([(12 - 4) / deviation, (8 - 4) / deviation, 0])


def test_theoretical_minimum_starts_at_zero_score() -> None:
    """The lowest of the run keeps what it scored above the lowest possible score."""
    assert theoretical_minimum([12, 8, 4]) == pytest.approx([12 / 12, 8 / 12, 4 / 12])
    assert theoretical_minimum([0.5, -0.5], lowest=-1.0) == pytest.approx([1.5 / 1.5, 0.5 / 1.5])


def test_min_max_starts_at_what_the_others_score_where_that_is_known() -> None:
    """A term leg that ran out before its window: whatever it did not find scored 0."""
    assert min_max([12, 8, 4], 0.0) == pytest.approx([12 / 12, 8 / 12, 4 / 12])


def test_a_known_missing_score_is_one_of_the_population() -> None:
    """Scores 12, 8, 4 and the 0 of what was not found: mean 6, deviation sqrt((36 + 4 + 4 + 36) / 4)."""
    deviation = math.sqrt((36 + 4 + 4 + 36) / 4)
    assert z_score([12, 8, 4], 0.0) == pytest.approx([12 / deviation, 8 / deviation, 4 / deviation])


def test_two_hits_that_score_alike_are_no_outliers() -> None:
    """10 and 9.99 over a missing 0: mean 6.6633, deviation 4.7117, not the .005 between the two."""
    deviation = math.sqrt(((10 - 19.99 / 3) ** 2 + (9.99 - 19.99 / 3) ** 2 + (19.99 / 3) ** 2) / 3)
    assert z_score([10, 9.99], 0.0) == pytest.approx([10 / deviation, 9.99 / deviation])
    assert z_score([10], 0.0) == pytest.approx([10 / 5])


@given(st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=30), st.sampled_from([None, 0.0]))
def test_a_standard_score_is_at_most_the_root_of_the_others(found, missing) -> None:
    """Of n values none lies further than sqrt(n - 1) deviations from their mean (Samuelson's inequality)."""
    worths = z_score(found, missing)
    population = [*worths, *([] if missing is None else [0.0])]
    mean = math.fsum(population) / len(population)
    assert max(worths) - mean <= math.sqrt(len(population) - 1) + 1e-6


@given(runs, methods, st.booleans())
def test_no_hit_is_worth_less_than_one_that_was_not_found(found, method, complete) -> None:
    """One hit, equal scores, negative scores: what was found contributes 0 or more, and a higher score no less."""
    for hit in fuse(found, Fusion(method), missing={Leg.BM25: 0.0, Leg.SPARSE: 0.0} if complete else {}):
        assert all(leg.contribution >= 0 for leg in hit.legs.values())
    for run in found.values():
        worths = Fusion(method).worths(sorted((score for _, score in run), reverse=True), 0.0 if complete else None)
        assert worths == sorted(worths, reverse=True)


def test_scores_below_the_theoretical_minimum_move_it() -> None:
    """A negative score is worth 0, as what was not found, and the others are above it."""
    assert theoretical_minimum([3.0, -1.0]) == pytest.approx([(3 + 1) / 4, 0])
    assert theoretical_minimum([-1.0, -2.0]) == pytest.approx([(-1 + 2) / (-1 + 2), 0])


def test_only_term_legs_know_what_the_others_score() -> None:
    """Every document has a cosine: that of a missing one is not 0."""
    missing = {leg.name: leg.missing for leg in STANDARD.values() if leg.missing is not None}
    assert missing == {Leg.BM25: 0.0, Leg.SPARSE: 0.0}
    fused = {hit.id: hit for hit in fuse(RUNS, Fusion("min-max"), missing=missing)}
    assert fused["c"].score == pytest.approx(0.5 * 4 / 12)
    assert fused["d"].score == pytest.approx(0.5 * (0.8 - 0.5) / (0.9 - 0.5))


@pytest.mark.parametrize("normalise", [min_max, z_score, theoretical_minimum])
def test_a_run_of_equal_scores_is_worth_one_each(normalise) -> None:
    """A single hit counts in full, not as much as one that was never found."""
    assert normalise([7.0]) == [1.0]
    assert normalise([3.0, 3.0]) == [1.0, 1.0]
    assert normalise([]) == []


def test_reciprocal_rank_ignores_scores() -> None:
    """Only the order counts."""
    assert reciprocal_rank([5.0, 1.0], rank_constant=1) == [1 / 2, 1 / 3]


def test_every_hit_says_what_each_leg_gave() -> None:
    """Rank, score and contribution per leg; a leg that did not find the hit is absent."""
    fused = {hit.id: hit for hit in fuse(RUNS, Fusion("min-max"))}
    assert fused["b"].legs == {Leg.BM25: LegScore(2, 8.0, 0.25), Leg.DENSE: LegScore(1, 0.9, 0.5)}
    assert set(fused["c"].legs) == {Leg.BM25}


def test_ties_are_broken_by_id() -> None:
    """Two ids with mirrored ranks score the same and stand in the order of their ids."""
    fused = fuse({Leg.BM25: [("y", 2.0), ("x", 1.0)], Leg.DENSE: [("x", 2.0), ("y", 1.0)]}, Fusion("rrf"))
    assert [hit.id for hit in fused] == ["x", "y"]
    assert fused[0].score == fused[1].score


def test_equal_scores_in_a_leg_are_ranked_by_id() -> None:
    """An engine orders equal scores by shard; the ranks do not depend on it."""
    fused = fuse({Leg.SPARSE: [("b", 1.0), ("a", 1.0)]}, Fusion("rrf"))
    assert [(hit.id, hit.legs[Leg.SPARSE].rank) for hit in fused] == [("a", 1), ("b", 2)]


def test_a_leg_without_hits_changes_nothing_in_reciprocal_ranks() -> None:
    """An empty run adds no hit and no score."""
    assert fuse({**RUNS, Leg.SPARSE: []}, Fusion("rrf")) == fuse(RUNS, Fusion("rrf"))


def test_a_failed_leg_leaves_its_weight_to_the_others() -> None:
    """Weights are those of the legs that are there."""
    weights = {Leg.BM25: 0.25, Leg.DENSE: 0.25, Leg.SPARSE: 0.5}
    assert scores(fuse(RUNS, Fusion("min-max", weights))) == scores(fuse(RUNS, Fusion("min-max")))


@pytest.mark.parametrize("method", list(METHODS))
def test_a_leg_of_weight_zero_finds_nothing(method) -> None:
    """The ranking is that of the other legs, and no hit of the silent leg is at its end."""
    silent = Fusion(method, {Leg.BM25: 1, Leg.DENSE: 1, Leg.SPARSE: 0})
    extra = {**RUNS, Leg.SPARSE: [("z", 9.0), ("a", 1.0)]}
    assert fuse(extra, silent) == fuse(RUNS, Fusion(method, {Leg.BM25: 1, Leg.DENSE: 1}))


@given(runs, methods)
def test_contributions_sum_to_the_fused_score(found, method) -> None:
    """What the legs gave is all there is to a score."""
    for hit in fuse(found, Fusion(method)):
        assert hit.score == pytest.approx(sum(leg.contribution for leg in hit.legs.values()))


@given(runs, methods, st.randoms(use_true_random=False))
def test_the_order_of_legs_and_hits_does_not_matter(found, method, random) -> None:
    """Any permutation of the input gives the same ranking, to the last bit."""
    shuffled = {leg: random.sample(run, len(run)) for leg, run in random.sample(list(found.items()), len(found))}
    assert fuse(shuffled, Fusion(method)) == fuse(found, Fusion(method))


@given(runs, methods)
def test_the_ranking_is_sorted_and_complete(found, method) -> None:
    """Every id once, by descending score, ties by id."""
    fused = fuse(found, Fusion(method))
    assert {hit.id for hit in fused} == {id_ for run in found.values() for id_, _ in run}
    assert [hit.id for hit in fused] == [hit.id for hit in sorted(fused, key=lambda hit: (-hit.score, hit.id))]


@given(runs, st.sampled_from(["min-max", "theoretical-min"]))
def test_convex_scores_of_positive_runs_lie_between_zero_and_one(found, method) -> None:
    """A convex combination of numbers between 0 and 1 stays between them."""
    positive = {leg: [(id_, abs(score)) for id_, score in run] for leg, run in found.items()}
    assert all(-1e-9 <= hit.score <= 1 + 1e-9 for hit in fuse(positive, Fusion(method)))


@given(runs, st.sampled_from(["min-max", "z-score"]), st.integers(1, 50), st.integers(-50, 50))
def test_scale_and_offset_of_a_leg_do_not_matter(found, method, scale, offset) -> None:
    """Engines score on scales of their own; a normalised fusion does not see them."""
    moved = {leg: [(id_, score * scale + offset) for id_, score in run] for leg, run in found.items()}
    before, after = scores(fuse(found, Fusion(method))), scores(fuse(moved, Fusion(method)))
    if all(_are_told_apart([score for _, score in run]) for run in found.values()):
        assert after == pytest.approx(before, abs=1e-3)


def _are_told_apart(scores) -> bool:
    """Whether scores differ by what is left of a difference once 50 is added: float64 has 16 digits."""
    ordered = sorted(set(scores))
    return all(high - low > 1e-9 for low, high in pairwise(ordered))


@pytest.mark.parametrize(
    ("fusion", "message"),
    [
        ({"method": "rff"}, "unknown fusion 'rff'. Did you mean 'rrf'?"),
        ({"weights": {Leg.BM25: -1.0}}, "the weight -1.0 of the bm25 leg"),
        ({"weights": {Leg.BM25: math.nan}}, "the weight nan of the bm25 leg"),
        ({"rank_constant": -1}, "the rank constant -1 is negative"),
    ],
)
def test_a_wrong_fusion_is_refused(fusion, message) -> None:
    """The message names the value and the remedy."""
    with pytest.raises(QueryError) as raised:
        Fusion(**fusion)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [({Leg.BM25: 0.3}, "the weights name no dense leg"), ({Leg.BM25: 0.0, Leg.DENSE: 0.0}, "all weights are 0")],
)
def test_weights_must_fit_the_legs(weights, message) -> None:
    """A leg that searches needs a weight, and one weight must be positive."""
    with pytest.raises(QueryError, match=message):
        fuse(RUNS, Fusion("rrf", weights))


def test_the_label_names_what_is_not_the_default() -> None:
    """A table can tell two fusions apart."""
    assert Fusion("rrf").label == "rrf"
    assert Fusion("rrf", {Leg.BM25: 0.5}, rank_constant=20).label == "rrf 20 bm25=0.5"
    assert Fusion("z-score").label == "z-score"
