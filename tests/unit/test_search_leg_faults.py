"""A leg of somebody's own that has a fault: it fails by name, and the others answer."""

from __future__ import annotations

import pytest
from search_fakes import engine
from test_search_procedure import RUNS, Asked

from hybrid_search.records import Leg
from hybrid_search.search import LegQuery, SearchLeg
from hybrid_search.search.outcomes import Skipped


class Own(SearchLeg):
    """It asks what it is given; ``reason`` is called for why it found nothing."""

    name = "own"
    finds_all = True

    def __init__(self, asked, reason=lambda: None) -> None:
        self.asked, self.reason = asked, reason

    def ask(self, query, asking):
        del query, asking
        return self.asked

    def why_nothing(self, query, target, budget):
        del query, target, budget
        return self.reason()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (LegQuery(lambda _: 1 / 0), "ZeroDivisionError"),
        (LegQuery(lambda _: {"query": {"term": object()}}), "not JSON serializable"),
        (LegQuery(lambda _: None), "TypeError"),
        (None, "NoneType instead of a LegQuery or Skipped"),
    ],
    ids=["raises", "no JSON", "no body", "no query"],
)
def test_what_a_leg_asks_wrongly_is_its_own_failure(asked, why) -> None:
    """BM25 finds its three; the leg's report and warning say what was wrong."""
    result = Asked(engine(RUNS)).search(legs=["bm25", Own(asked)])
    assert [hit.id for hit in result] == ["a", "b", "c"]
    assert result.legs[Leg.BM25].failure is None
    assert why in result.legs["own"].failure
    assert why in result.warnings[0]


TOO_MANY = {"error": {"type": "too_many_clauses", "reason": "maxClauseCount is set to 1024"}, "status": 400}
ANY = LegQuery(lambda _: {"query": {"rank_feature": {}}}).body


@pytest.mark.parametrize(
    "shorter", [lambda: 1 / 0, lambda: None, lambda: LegQuery(lambda _: None)], ids=["raises", "no query", "no body"]
)
def test_a_leg_that_cannot_ask_for_less_has_been_refused(shorter) -> None:
    """The engine's refusal is its failure; BM25 answers."""
    runs = {Leg.BM25: RUNS[Leg.BM25]}
    result = Asked(engine(runs, {Leg.SPARSE: TOO_MANY})).search(legs=["bm25", Own(LegQuery(ANY, shorter=shorter))])
    assert "maxClauseCount" in result.legs["own"].failure
    assert [hit.id for hit in result] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "read",
    [("a#0", float("nan")), ("a#0", None), (1, 1.0), "a#0", None],
    ids=["nan", "none", "number", "text", "nothing"],
)
def test_what_a_leg_reads_wrongly_is_its_own_failure(read) -> None:
    """An id and a finite score are what fusion takes; BM25 answers."""
    leg = Own(LegQuery(ANY))
    leg.read = lambda _: read
    result = Asked(engine({**RUNS, Leg.SPARSE: [("a", 1.0)]})).search(legs=["bm25", leg])
    assert "what the leg reads failed" in result.legs["own"].failure
    assert [hit.id for hit in result] == ["a", "b", "c"]


def test_a_leg_that_cannot_ask_for_more_keeps_what_it_has() -> None:
    """Two passages of one document fill no window of two, and four times as many cannot be asked for."""
    sizes = []

    def body(size):
        sizes.append(size)
        return ANY(size) if size <= 2 else 1 / 0

    runs = {Leg.BM25: RUNS[Leg.BM25], Leg.SPARSE: [("a#0", 2.0), ("a#1", 1.0), ("b#0", 0.5)]}
    result = Asked(engine(runs)).search(k=1, window=2, candidates=2, legs=["bm25", Own(LegQuery(body))])
    assert max(sizes) == 8
    assert result.legs["own"].hits == 1
    assert "the window of the own leg was not filled" in result.warnings[0]


def _raises():
    raise KeyError("a fault")


@pytest.mark.parametrize("reason", [_raises, lambda: None], ids=["raises", "no steps"])
def test_a_leg_that_cannot_say_why_it_found_nothing_costs_the_reason_alone(reason) -> None:
    """The page is empty, and the next leg is asked why: one word is there, and no passage has it."""
    runs = {leg: [] for leg in RUNS}
    result = Asked(engine(runs)).search(legs=["bm25", Own(Skipped(), reason)])
    assert (list(result), list(result.warnings)) == ([], ["nothing found: no passage holds a word of the query"])
