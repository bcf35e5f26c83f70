"""Tuning the reranker's weight and window: its arithmetic against the search's own, its caution, each pair once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.evaluate import measure
from hybrid_search.evaluate.tuning import Collected, Weighting, tune, weightings
from hybrid_search.evaluate.tuning.collected import QueryRuns
from hybrid_search.evaluate.tuning.ranks import Objective
from hybrid_search.evaluate.tuning.report import notes, settings_of, tuned_json
from hybrid_search.evaluate.tuning.reranked import Rerankings, fused_by
from hybrid_search.records import Leg
from hybrid_search.search.fusion import in_order
from hybrid_search.search.rerank import Reranking, combine

LEGS = (Leg.BM25, Leg.DENSE)
IDS = [f"d{number}" for number in range(12)]
EVEN = Weighting("min-max", (0.5, 0.5))
Run = Sequence[tuple[str, float]]

levels = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])  # few values: many ties
runs = st.dictionaries(st.sampled_from(IDS), levels, max_size=8).map(lambda found: in_order(found.items()))
relevant = st.dictionaries(st.sampled_from([*IDS, "never found"]), st.integers(0, 3), min_size=1)


def with_passages(by_leg: Mapping[str, Run]) -> QueryRuns:
    """Every leg found every document by its first passage."""
    return QueryRuns(by_leg, {}, {leg: {id_: f"{id_}#0" for id_, _ in run} for leg, run in by_leg.items()})


@settings(max_examples=150)
@given(
    st.fixed_dictionaries(dict.fromkeys(LEGS, runs)),
    st.fixed_dictionaries(dict.fromkeys(IDS, levels)),
    relevant,
    st.sampled_from(weightings(2, steps=4, windows=(3, 100))),
    st.sampled_from(["nDCG@3", "RR@5", "R@5"]),
)
def test_a_reranking_is_worth_what_the_search_makes_of_it(
    by_leg: Mapping[str, Run], scores: Mapping[str, float], grades: Mapping[str, int], weighting: Weighting, name: str
) -> None:
    """Each value is what ir_measures says of the ranking that the search's own ``combine`` makes."""
    query = with_passages(by_leg)
    collected = Collected(LEGS, 100, {"q": query})
    tried = Rerankings(
        collected,
        {"q": grades},
        lambda _, ids: [scores[id_.removesuffix("#0")] for id_ in ids],
        Reranking(4, 0.35),
        weights=(0.0, 0.4, 1.0),
        windows=(1, 3, 10),
    )
    values = tried.values(weighting, ["q"], Objective(name))[0]
    fused = fused_by(query, weighting, LEGS)
    for one, value in zip(tried.over(weighting), values, strict=True):
        assert one.reranking is not None
        top = [scores[hit.id] for hit in fused[: one.reranking.window]]
        ranked = combine(fused, top, one.reranking.weight)
        ranking = [(hit.hit.id, -float(place)) for place, hit in enumerate(ranked)]
        assert value == pytest.approx(measure({"q": grades}, {"q": ranking}, [name]).mean[name], abs=1e-6)


def test_windows_beyond_that_of_the_search_are_not_tried() -> None:
    """A search of 20 documents a leg reranks 20 at most: of 50 in use 20 are meant, and 100 are left out."""
    tried = Rerankings(Collected(LEGS, 100, {}), {}, lambda *_: [], Reranking(50, 0.5), (0.5, 1.0), (10, 20, 100))
    rerankings = [one.reranking for one in tried.over(Weighting("rrf", (0.5, 0.5), window=20))]
    assert rerankings == [Reranking(20, 0.5), Reranking(10, 0.5), Reranking(10, 1.0), Reranking(20, 1.0)]


def task(count: int, *, knows: bool) -> tuple[Rerankings, Counter[tuple[str, str]]]:
    """Queries whose one relevant document both legs rank seventh of ten; a reranker that knows it, or knows nothing."""
    queries, qrels = {}, {}
    for number in range(count):
        ids = [f"{number}-{place}" for place in range(10)]
        run = [(id_, 1 / (place + 1)) for place, id_ in enumerate(ids)]
        queries[f"q{number}"] = with_passages(dict.fromkeys(LEGS, run))
        qrels[f"q{number}"] = {f"{number}-6": 1}
    asked: Counter[tuple[str, str]] = Counter()

    def score(query: str, passages: Sequence[str]) -> list[float]:
        asked.update((query, passage) for passage in passages)
        return [float(knows and passage.endswith("-6#0")) for passage in passages]

    return Rerankings(Collected(LEGS, 100, queries), qrels, score, Reranking(20, 0.1)), asked


def test_a_reranker_that_knows_gets_a_larger_share() -> None:
    """With a share w the seventh has (1 - w) * .048 + w, more than the first's 1 - w from .5 on: .1 was in use."""
    rerankings, _ = task(20, knows=True)
    tuned = tune(rerankings.collected, rerankings.qrels, EVEN, [EVEN], rerankings=rerankings)
    assert tuned.is_better
    assert tuned.mean == pytest.approx(1.0)
    assert tuned.default.reranking == Reranking(20, 0.1)
    assert tuned.chosen.reranking == Reranking(20, 0.5)
    written = settings_of(tuned.chosen, LEGS)
    assert written["rerank"] == {"window": 20, "weight": 0.5}
    assert tuned_json(tuned, LEGS)["chosen"]["rerank"] == written["rerank"]
    assert any("reranker's share" in note for note in notes(tuned))


def test_a_reranker_that_knows_nothing_changes_nothing() -> None:
    """Equal scores for all passages: no share is better than the one in use."""
    rerankings, _ = task(20, knows=False)
    tuned = tune(rerankings.collected, rerankings.qrels, EVEN, [EVEN], rerankings=rerankings)
    assert tuned.chosen == tuned.default
    assert not tuned.is_better


def test_a_ranking_is_scored_once_however_many_folds_choose_it() -> None:
    """Five folds and all queries choose the same fusion: the reranker's scores are wanted once for each passage."""
    rerankings, asked = task(20, knows=True)
    tune(rerankings.collected, rerankings.qrels, EVEN, [EVEN], rerankings=rerankings)
    assert set(asked.values()) == {1}
    assert len(asked) == 20 * 10
