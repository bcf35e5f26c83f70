"""Maximal marginal relevance against its definition, limits against a walk by hand, and pages as slices."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_search_procedure import SCHEMA, Asked

from hybrid_search.errors import QueryError
from hybrid_search.records import LegScore, Query
from hybrid_search.search.collapse import Best
from hybrid_search.search.diversity import first_hits, spread_hits
from hybrid_search.search.fusion import Fused, Fusion
from hybrid_search.search.limits import Counts, limits_of
from hybrid_search.search.mmr import Mmr, chosen
from hybrid_search.search.outcomes import Found
from hybrid_search.search.plan import plan_search
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.rerank import Reranked
from hybrid_search.search.retrieved import LegRun, Retrieved
from hybrid_search.search.stages import Course, Progress
from hybrid_search.search.steps import run
from hybrid_search.settings import SearchSettings

EAST, NORTH, SLANTED = (1.0, 0.0), (0.0, 1.0), (0.6, 0.8)


def test_the_next_is_relevant_and_unlike_those_above() -> None:
    """By hand, with a weight of .5.

    First a: .5 x 1. Then b (like a): .5 x .9 - .5 x 1 = -.05; c: .5 x .5 - .5 x 0 = .25; d: .5 x .6 - .5 x .6 = 0.
    Then b -.05; d: .5 x .6 - .5 x .8 (to c) = -.1.
    """
    found = list(chosen([1, 0.9, 0.5, 0.6], np.array([EAST, EAST, NORTH, SLANTED]), 0.5))
    assert [one.place for one in found] == [0, 2, 1, 3]
    assert [one.similarity for one in found] == pytest.approx([0, 0, 1, 0.8])
    assert [one.score for one in found] == pytest.approx([0.5, 0.25, -0.05, -0.1])


def test_what_stands_above_in_any_case_counts() -> None:
    """A pinned hit to the east: the hit to the north comes before a more relevant one to the east."""
    found = list(chosen([1, 0.5], np.array([EAST, EAST, NORTH]), 0.5, above=1))
    assert [(one.place, one.similarity) for one in found] == [(1, 0), (0, 1)]


directions = st.sampled_from([EAST, NORTH, SLANTED, (-1.0, 0.5), (0.0, 0.0), (3.0, 0.1)])
candidates = st.lists(st.tuples(st.integers(0, 64).map(lambda n: n / 64), directions), min_size=1, max_size=9)


@given(candidates, st.sampled_from([0, 0.25, 0.5, 0.75, 1]))
def test_mmr_is_what_its_definition_says(found, weight) -> None:
    """Every hit once; at each step none that was left had a larger value; the values are those of the definition."""
    relevance, vectors = [r for r, _ in found], [v for _, v in found]
    ours = list(chosen(relevance, np.array(vectors), weight))
    assert sorted(one.place for one in ours) == list(range(len(found)))
    unit = [np.array(v) / (np.linalg.norm(v) or 1) for v in vectors]
    for step, one in enumerate(ours):
        above, left = [o.place for o in ours[:step]], [o.place for o in ours[step:]]
        values = {
            n: (1 - weight) * relevance[n] - weight * max((float(unit[n] @ unit[m]) for m in above), default=0.0)
            for n in left
        }
        assert one.score == pytest.approx(values[one.place], abs=1e-12)
        assert one.score == pytest.approx(max(values.values()), abs=1e-9)


def test_without_a_weight_the_order_stays() -> None:
    """0 is relevance alone."""
    assert [one.place for one in chosen([0.9, 0.9, 0.1], np.ones((3, 2)), 0)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("given_", "limits"),
    [
        (None, ()),
        ("brand", (("brand", 1),)),
        ({"brand": 2, "site": 1}, (("brand", 2), ("site", 1))),
        (["brand=2", "site"], (("brand", 2), ("site", 1))),
        ("a=b=3", (("a=b", 3),)),
    ],
    ids=str,
)
def test_limits_are_given_as_a_mapping_or_as_text(given_, limits) -> None:
    """A name alone is one."""
    assert limits_of(SearchRequest.of(max_per=given_)) == limits


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"diversity": -0.1}, "a diversity of -0.1"),
        ({"diversity": float("nan")}, "a diversity of nan"),
        ({"diversity": True}, "a diversity of True"),
        ({"diversity": "0.3"}, "a diversity of '0.3'"),
        ({"max_per": {"knd": 2}}, "unknown field 'knd'.*Did you mean kind"),
        ({"max_per": {"kind": 0}}, "at most 0"),
        ({"max_per": {"kind": 1.5}}, r"at most 1\.5"),
        ({"max_per": ["kind", "kind=2"]}, "twice"),
        ({"max_per": 3}, "3 is no limit"),
        ({"max_per": [("kind",)]}, "is no limit"),
        ({"passages": -2}, "-2 further"),
        ({"collapse": "worst"}, "unknown collapse"),
    ],
    ids=str,
)
def test_nothing_is_sent_for_what_is_wrong(options, said) -> None:
    """Every option is checked first."""
    asked = Asked(lambda request: pytest.fail(request.path))
    with pytest.raises(QueryError, match=said):
        asked.search(**options)


def test_an_index_without_vectors_has_nothing_to_compare() -> None:
    """And the error says what there is instead."""
    asked = Asked(lambda request: pytest.fail(request.path), schema=replace(SCHEMA, dense=None))
    with pytest.raises(QueryError, match=r"holds none.*max_per"):
        asked.search(diversity=0.3, legs=["bm25"])


def test_a_window_out_of_range_is_refused() -> None:
    """From 1 to 1,000."""
    for window in (0, 1001, True, 2.5):
        with pytest.raises(QueryError, match="diversity window"):
            Mmr(0.3, window)


def progress(kinds, vectors) -> Progress:
    """Hits ``0``, ``1``, ... by falling score, with the values and vectors that are given."""
    ids = [str(n) for n in range(len(kinds))]
    best = {id_: Best(id_, f"{id_}#0", 1.0 - n / 100) for n, id_ in enumerate(ids)}
    values = {id_: {"kind": tuple(kinds[n])} for n, id_ in enumerate(ids)}
    fused = [Fused(id_, hit.score, {"bm25": LegScore(n, hit.score, 1)}) for n, (id_, hit) in enumerate(best.items())]
    stored = {f"{id_}#0": {"dense": list(vectors[n])} for n, id_ in enumerate(ids)}
    retrieved = Retrieved(Query("q"), {"bm25": Found(LegRun(best, values=values))})
    ranked = [Reranked(hit, hit.score, None) for hit in fused]
    return Progress(retrieved, fused=fused, stored=stored, ranked=ranked)


def spread(one, **options):
    plan = plan_search(SCHEMA, SearchSettings(), SearchRequest.of(legs=["bm25"], **options))
    return run(spread_hits([one], Course(plan, None, None)), None)[0], plan


kinds = st.lists(st.lists(st.sampled_from("xyz"), max_size=2, unique=True), min_size=1, max_size=12)


@given(kinds, st.integers(1, 3), st.data())
def test_limits_are_a_walk_from_the_top(found, most, data) -> None:
    """By hand: a hit stays if none of its values has had its number; pages are slices; all of a page is fetched."""
    counts: Counter = Counter()
    expected = []
    for n, values in enumerate(found):
        if all(counts[value] < most for value in values):
            counts.update(values)
            expected.append(str(n))
    one = progress(found, [EAST] * len(found))
    k, offset = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 6))
    whole, plan = spread(one, max_per={"kind": most}, k=k, offset=offset)
    assert [hit.hit.id for hit in whole.ranked] == expected
    hits, needed = first_hits(one, plan)
    assert [hit.id for hit in hits][:needed] == expected[: offset + k]


@given(kinds, st.integers(1, 3), st.integers(1, 14), st.data())
def test_both_together_are_decided_once_for_all_pages(found, most, window, data) -> None:
    """Every page has the same order; each hit once; no value more often than it may; the window alone is reordered."""
    vectors = data.draw(st.lists(directions, min_size=len(found), max_size=len(found)))
    one = progress(found, vectors)
    options = {"max_per": {"kind": most}, "diversity": Mmr(0.5, window)}
    orders = [[hit.hit.id for hit in spread(one, k=2, offset=n, **options)[0].ranked] for n in (0, 2, 4)]
    assert orders[0] == orders[1] == orders[2]
    ids = [int(id_) for id_ in orders[0]]
    assert len(set(ids)) == len(ids)
    assert all(n <= most for n in Counter(value for id_ in ids for value in found[id_]).values())
    assert [id_ for id_ in ids if id_ >= window] == sorted(id_ for id_ in ids if id_ >= window)
    left_out = set(range(len(found))) - set(ids)
    assert all(any(Counter(v for i in ids for v in found[i])[value] == most for value in found[n]) for n in left_out)


def test_a_short_page_says_why() -> None:
    """Three of one kind, of which one may stand."""
    whole, _ = spread(progress([["x"], ["x"], ["x"]], [EAST] * 3), max_per="kind", k=2)
    assert [hit.hit.id for hit in whole.ranked] == ["0"]
    assert [note.code for note in whole.notes] == ["few-documents"]
    assert "left out 2 of 3" in whole.notes[0]


def test_vectors_that_are_none_are_like_no_other() -> None:
    """What another program wrote, or nothing: relevance decides."""
    one = progress([[]] * 4, [EAST] * 4)
    one = replace(one, stored={"0#0": {"dense": [1.0, 0.0]}, "1#0": {"dense": "?"}, "2#0": {}, "3#0": {"dense": [1.0]}})
    whole, _ = spread(one, diversity=0.5)
    assert [hit.hit.id for hit in whole.ranked] == ["0", "1", "2", "3"]
    assert all(score.similarity == 0 for score in whole.diversity.values())


def test_counts_take_numbers_and_repeated_values() -> None:
    """A value that a document has twice is one of it."""
    counts = Counts((("n", 1),), {"a": {"n": (5, 5)}, "b": {"n": (5,)}, "c": {"n": ()}, "d": {"n": (6,)}})
    assert [counts.admits(id_) for id_ in "abcde"] == [True, False, True, True, True]


def test_fusion_of_passages_is_that_of_documents() -> None:
    """One leg: min-max over its passages, of which the last scored lowest."""
    runs = LegRun({}, passages={"a#0": 3.0, "a#1": 2.0, "b#0": 1.0})
    ranked = Retrieved(Query("q"), {"bm25": Found(runs)}).passages(Fusion())
    assert [(hit.id, hit.score, hit.legs["bm25"].rank) for hit in ranked] == [
        ("a#0", 1, 1),
        ("a#1", 0.5, 2),
        ("b#0", 0, 3),
    ]
