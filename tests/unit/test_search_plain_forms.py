"""What is written for speed gives what its plain form gives: to the bit, in the same order, ties and all."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.records import LegScore
from hybrid_search.search.collapse import Best, best_passages, by_document, document_id
from hybrid_search.search.fusion import METHODS, Fused, Fusion, fuse, in_order

SCORES = st.sampled_from([0.0, -0.0, 0.5, 1.0, 1.5, -2.0]) | st.floats(-1e6, 1e6)
IDS = st.sampled_from(["a", "b", "a#1", "\u00e9", "z" * 3, "10", "9"])
PASSAGES = st.tuples(IDS, st.sampled_from(["0", "1", "9", "10", "x", ""])).map("#".join)


def plain_order(run):
    """By descending score, ties by id."""
    return sorted(run, key=lambda hit: (-hit[1], hit[0]))


def plain_fusion(runs, fusion, missing):
    """Every leg's share of every document, one after the other."""
    shares, found = fusion.shares(runs), {}
    for leg in fusion.having_a_say(runs):
        ranked = plain_order(runs[leg])
        worths = fusion.worths([score for _, score in ranked], missing.get(leg))
        for rank, ((id_, score), worth) in enumerate(zip(ranked, worths, strict=True), start=1):
            found.setdefault(id_, {})[leg] = LegScore(rank, score, shares[leg] * worth)
    fused = [Fused(id_, math.fsum(score.contribution for score in legs.values()), legs) for id_, legs in found.items()]
    return sorted(fused, key=lambda hit: (-hit.score, hit.id))


def plain_best(passages, collapse):
    """Every passage in order; the first of each document stays."""
    best = {}
    for id_, score in sorted(passages, key=lambda hit: (-hit[1], by_document(hit[0]))):
        best.setdefault(document_id(id_) if collapse else id_, (id_, score))
    return [Best(id_, *found) for id_, found in best.items()]


RUNS = st.dictionaries(
    st.sampled_from(["bm25", "dense", "sparse"]), st.dictionaries(IDS, SCORES).map(lambda run: list(run.items()))
)


@given(RUNS, st.sampled_from(sorted(METHODS)), st.dictionaries(st.sampled_from(["bm25", "sparse"]), SCORES))
def test_fusion_is_that_of_its_plain_form(runs, method, missing) -> None:
    """Scores, shares and order of any runs, by every method."""
    assert fuse(runs, Fusion(method), missing=missing) == plain_fusion(runs, Fusion(method), missing)


@given(st.dictionaries(IDS, SCORES))
def test_a_run_is_in_order(run) -> None:
    """Whatever the order in which it came."""
    for given_order in (run.items(), reversed(run.items())):
        assert in_order(given_order) == plain_order(run.items())


@given(st.dictionaries(PASSAGES, SCORES), st.booleans(), st.none() | st.integers(0, 8))
def test_the_best_passages_are_those_of_the_plain_form(passages, collapse, limit) -> None:
    """So many of the first; several of one document, and equal scores."""
    found = best_passages(passages.items(), collapse=collapse, limit=limit)
    assert found == plain_best(passages.items(), collapse)[:limit]
