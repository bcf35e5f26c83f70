"""What was asked and the settings, made a plan."""

from __future__ import annotations

import pytest
from search_fakes import engine
from test_search_procedure import RUNS, Asked

from hybrid_search.filters import Eq
from hybrid_search.records import Leg
from hybrid_search.search import Fusion
from hybrid_search.search.request import SearchRequest


@pytest.mark.parametrize(
    ("asked_for", "window"),
    [
        ({}, 100),
        ({"k": 100}, 100),
        ({"k": 101}, 200),
        ({"k": 10, "offset": 95}, 200),
        ({"offset": 195}, 400),
        ({"k": 9_000}, 10_000),
        ({"k": 5, "window": 20}, 20),
        ({"window": 5}, 5),
    ],
)
def test_a_page_beyond_the_window_widens_it(asked_for, window) -> None:
    """Doubled for this search, so that many pages are of one ranking; twice as many passages are fetched for it."""
    asked = Asked(engine(RUNS))
    asked.search(legs=["bm25"], **asked_for)
    assert asked.sent[0][0]["size"] == min(2 * window, 10_000)


def test_a_request_is_a_value() -> None:
    """Made of the same options it is the same, and can be the key of a cache; legs may be any iterable."""
    weights = {Leg.BM25: 1.0, Leg.DENSE: 0.5}
    one = SearchRequest.of(5, legs=iter(["bm25", "dense"]), fusion=Fusion("rrf", weights), filter=Eq("kind", "x"))
    other = SearchRequest.of(
        5, legs=["bm25", "dense"], fusion=Fusion("rrf", dict(reversed(weights.items()))), filter=Eq("kind", "x")
    )
    assert one == other
    assert len({one, other, SearchRequest()}) == 2
