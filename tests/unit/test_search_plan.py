"""What was asked and the settings, made a plan."""

from __future__ import annotations

import re

import numpy as np
import pytest
from search_fakes import engine
from test_search_procedure import RUNS, Asked

from hybrid_search.errors import QueryError
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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 1.5}, "k is 1.5. Give a whole number"),
        ({"k": True}, "k is True. Give a whole number"),
        ({"offset": None}, "offset is None. Give a whole number"),
        ({"window": "50"}, "window is '50'. Give a whole number"),
        ({"candidates": 200.5}, "candidates is 200.5. Give a whole number"),
        ({"timeout": "2s"}, "timeout is '2s'. Give a number"),
        ({"two_phase": "0.4"}, "two_phase is '0.4'. Give a number"),
        ({"fusion": 5}, "fusion is 5. Give the name of a method"),
        ({"text": {"title": 2}}, "text is {'title': 2}. Give a TextScoring"),
    ],
    ids=str,
)
def test_an_option_of_another_type_is_refused_before_anything_is_sent(options, said) -> None:
    """Half a hit would be asked of all legs and fail when the page is cut."""
    asked = Asked(lambda request: pytest.fail(request.path))
    with pytest.raises(QueryError, match=re.escape(said)):
        asked.search(**options)


def test_numbers_of_numpy_are_numbers() -> None:
    """They come from evaluations, and are whole."""
    assert len(Asked(engine(RUNS)).search(k=np.int64(2), timeout=np.float32(5)).hits) == 2


def test_a_request_is_a_value() -> None:
    """Made of the same options it is the same, and can be the key of a cache; legs may be any iterable."""
    weights = {Leg.BM25: 1.0, Leg.DENSE: 0.5}
    one = SearchRequest.of(5, legs=iter(["bm25", "dense"]), fusion=Fusion("rrf", weights), filter=Eq("kind", "x"))
    other = SearchRequest.of(
        5, legs=["bm25", "dense"], fusion=Fusion("rrf", dict(reversed(weights.items()))), filter=Eq("kind", "x")
    )
    assert one == other
    assert len({one, other, SearchRequest()}) == 2
