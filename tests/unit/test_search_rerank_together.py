"""Pairs of a batch's queries are scored together, best hits first, and a batch waits no longer than before."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from search_fakes import PlaneEncoder, async_connection, connection
from test_search_deadline import forty

from hybrid_search.encode.protocols import score_pairs
from hybrid_search.errors import ModelTimeoutError
from hybrid_search.search import AsyncSearchClient, Reranking, SearchClient
from hybrid_search.search.asking import Budget
from hybrid_search.search.rerank_window import Window, score_together
from hybrid_search.search.steps import ScorePairs
from hybrid_search.search_warnings import WarningCode

ASKED = {"legs": ["bm25"], "rerank": Reranking(40, 1.0), "timeout": 600}


def number(passage: str) -> int:
    return int(passage.removeprefix("text of d").partition("#")[0])


class Together:
    """Scores pairs by the number in the passage; ``fails`` says of which pairs it raises what."""

    name = "together"

    def __init__(self, fails=lambda _: None) -> None:
        self.steps: list[Counter[str]] = []
        self.alone: list[str] = []
        self._fails = fails

    def score(self, query, passages):
        self.alone.append(query)
        return self._scores([(query, passage) for passage in passages])

    def score_pairs(self, pairs):
        self.steps.append(Counter(query for query, _ in pairs))
        return self._scores(pairs)

    def _scores(self, pairs):
        if error := self._fails(pairs):
            raise error
        return [float(number(passage)) for _, passage in pairs]


def found(model, queries, **options):
    with SearchClient("docs", encoder=PlaneEncoder(), reranker=model, connection=connection(forty)) as client:
        return client.search_many(queries, 40, **ASKED, **options)


def test_the_best_hits_of_every_query_are_scored_before_the_others_of_any():
    """16 of the first query show the speed; then 16 of each other, then 16 and 8 more of each: 3 x 40 pairs."""
    model = Together()
    results = found(model, ["one", "two", "three"])
    assert model.steps == [Counter(one=16), Counter(two=40, three=40, one=24)]
    assert not model.alone
    for result in results:
        assert [hit.id for hit in result] == [f"d{n:02}" for n in range(39, -1, -1)]
        assert (list(result.warnings), result.reranker) == ([], "together")


def test_one_query_is_reranked_as_ever():
    """There is nothing to put together."""
    model = Together()
    found(model, ["one"])
    assert (model.alone, model.steps) == (["one", "one"], [])


async def test_the_asynchronous_client_does_the_same():
    """The same procedure behind it."""
    model = Together()
    async with AsyncSearchClient(
        "docs", encoder=PlaneEncoder(), reranker=model, connection=async_connection(forty)
    ) as client:
        results = await client.search_many(["one", "two"], 40, **ASKED)
    assert sum(model.steps, Counter()) == Counter(one=40, two=40)
    assert [hit.id for hit in results[1]] == [f"d{n:02}" for n in range(39, -1, -1)]


def test_a_query_that_the_reranker_cannot_take_is_its_own_failure():
    """The pairs of all fail for one of them: each query that lacks scores is asked by itself, and one is unranked."""
    model = Together(lambda pairs: ValueError("no") if any(query == "bad" for query, _ in pairs) else None)
    good, bad, other = found(model, ["good", "bad", "other"])
    for result in (good, other):
        assert [hit.id for hit in result][:2] == ["d39", "d38"]
        assert not result.warnings
    assert [hit.id for hit in bad][:2] == ["d00", "d01"]
    assert bad.degraded == {"rerank": WarningCode.RERANK_FAILED}
    assert set(model.alone) == {"good", "bad", "other"}


def test_what_was_scored_before_the_time_was_over_stands():
    """Late with what is below the first 16: the first query has its upper part, the others say that they have none."""
    late = ModelTimeoutError("the reranker did not answer")
    model = Together(lambda pairs: late if any(query != "one" for query, _ in pairs) else None)
    one, two = found(model, ["one", "two"])
    assert [hit.id for hit in one] == [f"d{n:02}" for n in [*range(15, -1, -1), *range(16, 40)]]
    assert list(one.warnings) == ["reranked the first 16 of 40 hits: there was no time for more"]
    assert list(two.warnings) == ["not reranked: the reranker did not answer"]
    assert not model.alone


def window(query: str, texts: int) -> Window:
    return Window(query, (), (), (), [f"text of d{n}" for n in range(texts)], ())


class Clock(Budget):
    """A budget whose time goes by when the test says so."""

    spent: ClassVar = [0.0]

    @property
    def left(self):
        return max(0.0, self.seconds - self.spent[0])


def asked(windows, *, patience, seconds_a_pair, whole):
    """The sizes of the steps and their patience, of a reranker that takes so long for a pair."""
    Clock.spent[0] = 0.0
    steps, made = score_together(windows, patience, Clock(whole)), []
    try:
        step = next(steps)
        while True:
            assert isinstance(step, ScorePairs)
            made.append((len(step.pairs), round(step.patience, 3)))
            Clock.spent[0] += len(step.pairs) * seconds_a_pair
            step = steps.send(np.ones(len(step.pairs)))
    except StopIteration as end:
        return made, end.value


def test_no_step_takes_more_than_half_of_the_time_of_one_search():
    """A second is 128 pairs, and a search has one: 64 pairs are half of it."""
    made, (scores, lost) = asked([window(f"q{n}", 40) for n in range(5)], patience=1.0, seconds_a_pair=1 / 128, whole=5)
    assert made == [(16, 1.0), (64, 1.0), (64, 1.0), (56, 1.0)]
    assert ([len(one) for one in scores], lost) == ([40] * 5, None)


def test_when_the_time_of_all_is_over_the_best_hits_of_each_were_scored():
    """100 ms a pair and 8 s for 80 of 160 pairs: of each of the four queries at least the first slice, of none all."""
    made, (scores, lost) = asked([window(f"q{n}", 40) for n in range(4)], patience=4.0, seconds_a_pair=0.1, whole=8)
    assert sum(count for count, _ in made) <= 80 + 1  # the last one begins in time
    assert all(16 <= len(one) < 40 for one in scores)
    assert "no time is left" in str(lost.error)


@pytest.mark.parametrize("model", [Together(), type("Alone", (), {"score": Together().score})()], ids=["pairs", "one"])
def test_pairs_of_many_queries_have_their_scores_whatever_the_reranker_takes(model):
    """Where it takes no pairs, those of one query go together, and the order is that of the pairs."""
    pairs = [("a", "text of d3"), ("b", "text of d1"), ("a", "text of d2")]
    assert list(score_pairs(model, pairs)) == [3.0, 1.0, 2.0]
