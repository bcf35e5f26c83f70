"""What would bring a document in: crossings of lines, windows, shares of a reranker; each checked against fusing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.boosts import Log1p
from hybrid_search.search.boosts import Boosts
from hybrid_search.search.fusion import Fused, Fusion
from hybrid_search.search.why_not_changes import Found, cut_at, rank_in, rerank_change, weight_changes, wider_windows

RUNS = {
    "bm25": [("a", 3.0), ("b", 2.0), ("c", 1.0)],
    "dense": [("c", 0.9), ("a", 0.8), ("b", 0.4)],
}


def found(method: str = "min-max", **weights: float) -> Found:
    return Found(RUNS, {}, Fusion(method, weights=weights))


def weights_in(setting: str) -> dict[str, float]:
    return {leg: float(weight) for leg, weight in (part.split("=") for part in setting.split(","))}


def test_the_weight_is_where_two_lines_cross() -> None:
    """a scores 1 + .8 x and c scores 0 + x with the weight x of dense: c passes a at x = 5; 1 / 5 = .2 for bm25."""
    changes = weight_changes(found(), "c", 1)
    assert [change.kind for change in changes] == ["weights", "weights"]
    wanted = sorted((weights_in(change.setting) for change in changes), key=lambda given: given["dense"])
    assert wanted[0]["bm25"] == pytest.approx(0.2, rel=0.06)
    assert wanted[0]["bm25"] < 0.2
    assert wanted[1]["dense"] == pytest.approx(5, rel=0.06)
    assert wanted[1]["dense"] > 5
    assert all(change.rank == 1 for change in changes)


def test_the_smallest_change_comes_first() -> None:
    """With bm25=2 the weight of dense must be 10 (five times), that of bm25 .2 (ten times less): as ratios both 10."""
    first, *_ = weight_changes(found(bm25=2.0, dense=8.0), "c", 1)
    given = weights_in(first.setting)
    assert given["bm25"] / 2 > 0.7 or given["dense"] / 8 < 1.4


def test_what_no_leg_found_has_no_weight() -> None:
    """Nothing can be raised that is 0 everywhere."""
    assert weight_changes(found(), "z", 3) == []


def test_what_is_below_in_every_leg_has_no_weight() -> None:
    """b stands below a in both legs."""
    assert weight_changes(found(), "b", 1) == []


@st.composite
def searches(draw):
    """Runs of two or three legs over a few ids, with weights."""
    ids = [f"d{n}" for n in range(8)]
    legs = draw(st.lists(st.sampled_from(["bm25", "dense", "sparse"]), min_size=2, max_size=3, unique=True))
    score = st.integers(0, 50).map(lambda n: n / 10)
    runs = {
        leg: [(one, draw(score)) for one in draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))]
        for leg in legs
    }
    weights = {leg: draw(st.integers(1, 20)) / 10 for leg in legs}
    method = draw(st.sampled_from(["rrf", "min-max", "z-score", "theoretical-min"]))
    boosts = Boosts(
        ((Log1p("stock", full=9, weight=2.0), 0.0),),
        pinned=tuple(draw(st.sets(st.sampled_from(ids[:2])))),
        buried=frozenset(draw(st.sets(st.sampled_from(ids[2:4])))),
    )
    values = {id_: {"stock": (draw(st.integers(0, 9)),)} for id_ in ids}
    found_ = Found(runs, {}, Fusion(method, weights=weights), boosts if draw(st.booleans()) else Boosts(), values)
    return found_, draw(st.sampled_from(ids)), draw(st.integers(1, 4))


@given(searches())
def test_every_change_of_weights_does_what_it_says(search) -> None:
    """Fused with the weights that are proposed, the document has the rank that is said, within the first ``top``."""
    one, id_, top = search
    for change in weight_changes(one, id_, top):
        given_weights = weights_in(change.setting)
        rank = rank_in(one.fused(Fusion(one.fusion.method, weights=given_weights)), id_)
        assert rank == change.rank <= top


@given(searches(), st.integers(1, 60))
def test_no_weight_is_overlooked(search, tenths) -> None:
    """Where raising one leg's weight by trial brings the document in, and well so, a change is proposed."""
    one, id_, top = search
    rank = rank_in(one.fused(), id_)
    if rank is None or rank <= top:
        return
    for leg in one.runs:
        tried = {**one.fusion.weights, leg: one.fusion.weights[leg] * (1 + tenths / 10)}
        at_trial = one.fused(Fusion(one.fusion.method, weights=tried))
        mine = rank_in(at_trial, id_)
        clear = mine is not None and mine <= top and at_trial[mine - 1].score > at_trial[top].score + 1e-6
        if clear:
            assert weight_changes(one, id_, top)


def test_windows_are_tried_until_the_document_is_in() -> None:
    """By reciprocal ranks z, second in dense and fourth in bm25, has 1 / 62 alone, and 1 / 62 + 1 / 64 with 4."""
    runs = {
        "bm25": [("a", 9.0), ("b", 8.0), ("c", 7.0), ("z", 6.0), ("e", 5.0)],
        "dense": [("d", 0.9), ("z", 0.8), ("f", 0.7), ("g", 0.6), ("h", 0.5)],
    }
    wide = Found(runs, {}, Fusion("rrf"))
    assert rank_in(cut_at(wide, 2).fused(), "z") == 4
    assert list(wider_windows(wide, "z", 1, 2, 5)) == [4, 5]
    assert rank_in(cut_at(wide, 4).fused(), "z") == 1


def test_a_narrower_run_does_not_know_what_it_missed() -> None:
    """What was not found scored 0 only where the run holds all that was found."""
    wide = Found({"bm25": [("a", 2.0), ("b", 1.0)]}, {"bm25": 0.0}, Fusion("rrf"))
    assert cut_at(wide, 2).missing == {}
    assert cut_at(wide, 3).missing == {"bm25": 0.0}


def test_the_reranker_may_have_less_to_say() -> None:
    """a has 1 - s at a share s of the reranker, and c, which it likes best, s: even at .5, where the order stays."""
    fused = [Fused("a", 0.5, {}), Fused("b", 0.4, {}), Fused("c", 0.0, {})]
    change = rerank_change(fused, [0.0, 0.1, 1.0], 1.0, "a", 1)
    assert change is not None
    assert change.kind == "rerank-weight"
    assert float(change.setting) == 0.5
    assert rerank_change(fused, [1.0, 0.5, 0.0], 0.5, "c", 1) is None
