"""Tuning by judged queries: its arithmetic against the search's own fusion and ir_measures, and its caution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.errors import InputError
from hybrid_search.evaluate import measure
from hybrid_search.evaluate.html import tuned_page
from hybrid_search.evaluate.tuning import Collected, Weighting, tune, weightings
from hybrid_search.evaluate.tuning.choice import measured
from hybrid_search.evaluate.tuning.collected import QueryRuns
from hybrid_search.evaluate.tuning.ranks import Objective
from hybrid_search.evaluate.tuning.report import notes, settings_of, tuned_json
from hybrid_search.evaluate.tuning.ruled import signals_in
from hybrid_search.evaluate.tuning.weighting import simplex, weighting_of
from hybrid_search.records import Leg
from hybrid_search.search.fusion import Fusion, fuse, in_order
from hybrid_search.settings import SearchSettings
from hybrid_search.weight_rules import Signals, parse_rule

LEGS = (Leg.BM25, Leg.DENSE, Leg.SPARSE)
IDS = [f"d{number}" for number in range(12)]
MEASURES = ("nDCG@3", "nDCG@10", "RR@5", "R@5", "P@4", "Success@2")
DEFAULT = Weighting("min-max", (0.5, 0.5))

scores = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 7.5])  # few values: many ties
runs = st.dictionaries(st.sampled_from(IDS), scores, max_size=8).map(lambda found: in_order(found.items()))
found = st.fixed_dictionaries(dict.fromkeys(LEGS, runs))
grades = st.dictionaries(st.sampled_from([*IDS, "never found"]), st.integers(0, 3), min_size=1)
tried = st.sampled_from(weightings(3, steps=4, windows=(2, 5, 100)))


def cut(one: QueryRuns, window: int) -> tuple[dict[str, Sequence[tuple[str, float]]], dict[str, float]]:
    """The runs as a search of this window has them."""
    missing = {leg: score for leg, score in one.missing.items() if len(one.runs[leg]) < window}
    return {leg: run[:window] for leg, run in one.runs.items()}, missing


@settings(max_examples=300)
@given(found, st.sets(st.sampled_from((Leg.BM25, Leg.SPARSE))), grades, tried, st.sampled_from(MEASURES))
def test_the_arithmetic_is_that_of_the_search_and_of_ir_measures(
    one: Mapping[Leg, Sequence[tuple[str, float]]],
    complete: set[Leg],
    judged: Mapping[str, int],
    weighting: Weighting,
    name: str,
) -> None:
    """A weighting's value is what ir_measures says of the ranking that the search's own fusion makes of the runs."""
    query = QueryRuns(one, dict.fromkeys(complete, 0.0))
    cut_runs, missing = cut(query, weighting.window)
    ranking = [(hit.id, hit.score) for hit in fuse(cut_runs, weighting.fusion(LEGS), missing=missing)]
    expected = measure({"q": judged}, {"q": ranking}, [name]).mean[name]
    values = measured([(query, judged)], LEGS, [weighting], Objective(name))
    assert values[0, 0] == pytest.approx(expected, abs=1e-6)


def test_weights_are_tried_on_a_grid_that_covers_the_simplex() -> None:
    """Three legs in steps of a fifth: (5 + 2) over 2 = 21 weightings that sum to 1, the corners among them."""
    grid = list(simplex(3, 5))
    assert len(set(grid)) == 21
    assert all(sum(one) == pytest.approx(1) for one in grid)
    assert {(1, 0, 0), (0, 1, 0), (0, 0, 1)} <= set(grid)


def test_the_settings_in_use_are_scaled_to_shares() -> None:
    """Weights 1, 1 and .5 are shares of .4, .4 and .2; a leg without a weight weighs as much as the others."""
    usual = Fusion("min-max", {Leg.BM25: 1, Leg.DENSE: 1, Leg.SPARSE: 0.5})
    assert weighting_of(usual, LEGS, 100) == Weighting("min-max", (0.4, 0.4, 0.2))
    assert weighting_of(Fusion("rrf"), LEGS[:2], 50) == Weighting("rrf", (0.5, 0.5), 60, 50)


def queries(count: int, *, dense_is_right: float, seed: int = 1) -> tuple[Collected, dict[str, dict[str, int]]]:
    """Queries whose relevant document is first of the dense leg this often, else first of the bm25 leg."""
    random = np.random.default_rng(seed)
    all_runs, qrels = {}, {}
    for number in range(count):
        right = [Leg.DENSE, Leg.BM25] if random.random() < dense_is_right else [Leg.BM25, Leg.DENSE]
        others = [[f"{leg}-{place}" for place in range(1, 10)] for leg in (Leg.BM25, Leg.DENSE)]
        by_leg = dict(zip(right, (["relevant", *others[0]], [*others[1], "relevant"]), strict=True))
        all_runs[f"q{number}"] = QueryRuns(
            {leg: [(id_, 1 / (place + 1)) for place, id_ in enumerate(by_leg[leg])] for leg in LEGS[:2]}, {}
        )
        qrels[f"q{number}"] = {"relevant": 1}
    return Collected(LEGS[:2], 100, all_runs), qrels


def test_a_leg_that_is_right_more_often_gets_more_weight() -> None:
    """Where the dense leg is right nine times in ten, a default that hardly hears it is beaten, beyond chance."""
    collected, qrels = queries(200, dense_is_right=0.9)
    tuned = tune(collected, qrels, Weighting("min-max", (0.7, 0.3)), weightings(2, windows=(100,)))
    assert tuned.is_better
    assert tuned.mean > tuned.default_mean
    assert tuned.comparison.difference == pytest.approx(tuned.mean - tuned.default_mean)


def noise(count: int, seed: int) -> tuple[Collected, dict[str, dict[str, int]]]:
    """Queries to which no leg has anything to say: each ranks the same twenty documents as it happens."""
    random = np.random.default_rng(seed)
    ids = [f"d{number:02}" for number in range(20)]
    all_runs = {
        f"q{number}": QueryRuns(
            {leg: in_order(zip(ids, random.random(20).tolist(), strict=True)) for leg in LEGS[:2]}, {}
        )
        for number in range(count)
    }
    return Collected(LEGS[:2], 100, all_runs), {id_: {ids[int(random.integers(20))]: 1} for id_ in all_runs}


def test_where_nothing_is_to_be_gained_the_settings_in_use_stay() -> None:
    """Legs that know nothing: what won by chance is called better about as often as a test of .05 allows."""
    grid = weightings(2, steps=10, windows=(100,))
    found = [tune(*noise(40, seed), DEFAULT, grid) for seed in range(20)]
    assert sum(one.is_better for one in found) <= 2
    assert sum(one.chosen != DEFAULT for one in found) > 2


def test_figures_are_out_of_fold() -> None:
    """The shown mean is that of each fold's own choice, by which none of its queries was chosen."""
    collected, qrels = queries(50, dense_is_right=0.8)
    tuned = tune(collected, qrels, DEFAULT, weightings(2, windows=(100,)))
    assert [fold.queries for fold in tuned.folds] == [10] * 5
    assert tuned.mean == pytest.approx(sum(fold.mean * fold.queries for fold in tuned.folds) / 50)
    assert tuned.surface[tuned.chosen] >= tuned.surface[tuned.default]


def test_the_choice_does_not_depend_on_the_order_of_the_queries() -> None:
    """The same queries in another order make the same folds and the same choice."""
    collected, qrels = queries(30, dense_is_right=0.8)
    other = Collected(collected.legs, 100, dict(reversed(collected.queries.items())))
    grid = weightings(2, steps=10, windows=(100,))
    assert tune(collected, qrels, DEFAULT, grid) == tune(other, dict(reversed(qrels.items())), DEFAULT, grid)


def test_too_few_queries_and_unknown_measures_are_refused() -> None:
    """Nine queries say nothing; a measure without a cutoff is named with what there is."""
    collected, qrels = queries(9, dense_is_right=0.5)
    with pytest.raises(InputError, match="9 judged queries are too few"):
        tune(collected, qrels, DEFAULT, [])
    with pytest.raises(InputError, match=r"nDCG@k, RR@k"):
        Objective("MAP")


def short_and_long(count: int, seed: int = 5) -> tuple[Collected, dict[str, dict[str, int]]]:
    """Queries of one or two words, where BM25 is right nine times in ten; and long ones, where it is the dense leg."""
    short, qrels = queries(count, dense_is_right=0.1, seed=seed)
    long, others = queries(count, dense_is_right=0.9, seed=seed + 1)
    runs = {f"s{id_}": replace(one, words=1 + n % 2) for n, (id_, one) in enumerate(short.queries.items())}
    runs |= {f"l{id_}": replace(one, words=5 + n % 4) for n, (id_, one) in enumerate(long.queries.items())}
    judged = {f"s{id_}": one for id_, one in qrels.items()} | {f"l{id_}": one for id_, one in others.items()}
    return Collected(LEGS[:2], 100, runs), judged


def test_a_rule_is_found_where_queries_differ() -> None:
    """Short queries want BM25 and long ones the dense leg: no one weighting gives both, a rule on the words does."""
    collected, qrels = short_and_long(60)
    grid = weightings(2, steps=10, windows=(100,), methods=("min-max",))
    tuned, alike = (tune(collected, qrels, DEFAULT, grid, rules=rules) for rules in (True, False))
    assert tuned.trial is not None
    assert tuned.trial.is_better
    assert tuned.is_better
    [rule] = tuned.chosen.rules
    assert rule.condition.signal == "words"
    assert tuned.trial.chosen == rule
    short, long = (tuned.chosen.for_query(Signals(words), LEGS[:2]).weights for words in (1, 8))
    assert short[0] > short[1]
    assert long[1] > long[0]
    assert tuned.mean - alike.mean == pytest.approx(tuned.trial.comparison.difference)
    assert alike.trial is None
    assert not alike.chosen.rules


def test_the_value_of_a_rule_is_that_of_searches_with_it() -> None:
    """The mean of the settings in use, which have a rule, is what ir_measures says of the rankings they make."""
    collected, qrels = short_and_long(10)
    rules = (parse_rule("words <= 1: bm25=0.9 dense=0.1"), parse_rule("gap.dense > 0.05: dense=0.8"))
    default = replace(DEFAULT, rules=rules)
    tuned = tune(collected, qrels, default, weightings(2, steps=4, windows=(100,)))
    fusion, rankings = default.fusion(LEGS[:2]), {}
    for id_, one in collected.queries.items():
        of_query = fusion.for_query(signals_in(one, LEGS[:2], 100), LEGS[:2])
        rankings[id_] = [(hit.id, hit.score) for hit in fuse(one.runs, of_query)]
    assert tuned.default_mean == pytest.approx(measure(qrels, rankings, ["nDCG@10"]).mean["nDCG@10"], abs=1e-6)
    assert tuned.default == default


def test_a_rule_that_wins_by_chance_is_not_used() -> None:
    """Queries to which no leg has anything to say, of one to twelve words: a rule is hardly ever called better."""
    grid, used = weightings(2, steps=10, windows=(100,), methods=("min-max",)), 0
    for seed in range(20):
        collected, qrels = noise(60, seed)
        runs = {id_: replace(one, words=1 + n % 12) for n, (id_, one) in enumerate(collected.queries.items())}
        tuned = tune(replace(collected, queries=runs), qrels, DEFAULT, grid)
        assert tuned.trial is not None
        used += tuned.trial.is_better
    assert used <= 2


def test_a_rule_is_written_and_shown_in_words() -> None:
    """The settings hold its text, the table a row below its weights, the notes say it; the settings read it back."""
    collected, qrels = short_and_long(60)
    tuned = tune(collected, qrels, DEFAULT, weightings(2, steps=10, windows=(100,), methods=("min-max",)))
    [rule] = tuned.chosen.rules
    written = settings_of(tuned.chosen, LEGS[:2])["search"]
    assert written["rules"] == [str(rule)]
    assert list(SearchSettings(**written).rules) == [str(rule)]
    said = " ".join(notes(tuned))
    assert f"weights of their own: {rule.in_words}" in said
    page = tuned_page(tuned, collected, qrels, {})
    assert escape(str(rule.condition)) in page
    assert escape(rule.in_words) in page
    assert tuned_json(tuned, LEGS[:2])["rule"]["used"] is True
