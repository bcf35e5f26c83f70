"""Clicks that are simulated from known relevance: the model finds it, where counting clicks is misled by position."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.errors import InputError
from hybrid_search.evaluate.clicks import ClickLog, fit, judge_clicks
from hybrid_search.evaluate.clicks.judged import query_id
from hybrid_search.evaluate.clicks.position_model import comparable_positions

RELEVANCE = (0.02, 0.15, 0.35, 0.6, 0.9)
"""Of documents ``d0`` to ``d4``: how likely each is clicked where it is looked at."""

SEARCHES = 3_000


def simulated(seed: int, power: float, shuffled: float, queries: int = 4) -> ClickLog:
    """Searches whose ranker shows the worst first, but for this share of them, in an order by chance."""
    random, log = np.random.default_rng(seed), ClickLog()
    documents = len(RELEVANCE)
    for query in range(queries):
        by_chance = random.permuted(np.tile(np.arange(documents), (SEARCHES, 1)), axis=1)
        orders = np.where(random.random((SEARCHES, 1)) < shuffled, by_chance, np.arange(documents))
        looked = 1 / np.arange(1, documents + 1) ** power
        clicked = random.random(orders.shape) < looked * np.array(RELEVANCE)[orders]
        for place in range(documents):
            for document in range(documents):
                here = orders[:, place] == document
                log.shown[f"q{query}", f"d{document}", place + 1] = int(here.sum())
                log.clicked[f"q{query}", f"d{document}", place + 1] = int(clicked[here, place].sum())
    return log


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1_000_000), st.floats(0.3, 1.5), st.floats(0.2, 1.0))
def test_known_relevance_is_found_in_its_order(seed: int, power: float, shuffled: float) -> None:
    """However steeply looking falls with the position, and though the worst is shown first most of the time."""
    model = fit(simulated(seed, power, shuffled))
    for query in range(4):
        liked = [model.attraction[f"q{query}", f"d{n}"] for n in range(len(RELEVANCE))]
        assert liked == sorted(liked)
    looked = [model.examination[k] for k in range(1, 6)]
    assert looked == pytest.approx([1 / k**power for k in range(1, 6)], abs=0.12)


def test_counting_clicks_is_misled_where_the_model_is_not() -> None:
    """Of d2 and d4, which attract as .35 to .9 = .39, clicks say more than .6: d2 mostly stands before d4."""
    log = simulated(5, 1.5, 0.1)
    rates = [sum(log.clicked["q0", f"d{n}", k] for k in range(1, 6)) / SEARCHES for n in range(len(RELEVANCE))]
    model = fit(log)
    assert rates[2] / rates[4] > 0.6
    assert model.attraction["q0", "d2"] / model.attraction["q0", "d4"] == pytest.approx(0.39, abs=0.08)
    judged = judge_clicks(log, model).qrels[query_id("q0")]
    assert judged == {"d0": 0, "d1": 0, "d2": 1, "d3": 2, "d4": 3}


def one_position_each() -> ClickLog:
    """Document ``a`` always first, ``b`` always second, both clicked 30 times of 100."""
    log = ClickLog()
    for place, document in enumerate("ab", start=1):
        log.shown["q", document, place], log.clicked["q", document, place] = 100, 30
    return log


def test_what_cannot_be_told_apart_is_refused_until_it_is_given() -> None:
    """Without movement nothing is known; if the second is looked at half as often, b attracts twice as much as a."""
    with pytest.raises(InputError, match="--power"):
        fit(one_position_each())
    model = fit(one_position_each(), examination={1: 1.0, 2: 0.5})
    assert model.attraction["q", "a"] == pytest.approx(0.3, abs=0.01)
    assert model.attraction["q", "b"] == pytest.approx(0.6, abs=0.02)


def test_positions_that_nothing_links_to_the_others_are_left_out() -> None:
    """Documents moved between 1, 2 and 3; another stood at 9 alone."""
    log = ClickLog()
    for document, positions in {"a": (1, 2), "b": (2, 3), "c": (9,)}.items():
        for position in positions:
            log.shown["q", document, position] = 50
            log.clicked["q", document, position] = 60 // (position + 1)
    assert comparable_positions(log) == {1, 2, 3}
    assert fit(log).left_out == 50


def test_queries_with_few_clicks_and_documents_seldom_shown_are_left_out() -> None:
    """Nine clicks are too few for a query, nine impressions for a document; both are counted."""
    log = ClickLog()
    for query, document, shown, clicked in (("rare", "a", 50, 9), ("often", "a", 50, 20), ("often", "b", 9, 4)):
        log.shown[query, document, 1], log.clicked[query, document, 1] = shown, clicked
    judged = judge_clicks(log, fit(log, examination={1: 1.0}))
    assert judged.qrels == {query_id("often"): {"a": 3}}
    assert (judged.few_clicks, judged.few_shown) == (1, 1)
    with pytest.raises(InputError, match="--least-clicks"):
        judge_clicks(log, fit(log, examination={1: 1.0}), least_clicks=1000)
