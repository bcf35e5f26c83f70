"""What a search does not do: work on hits that nobody will see, which would be most of the client's own time."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from search_fakes import engine
from test_search_procedure import Asked

from hybrid_search.records import Leg, LegScore
from hybrid_search.search import fusion
from hybrid_search.search.stages import Stopwatch
from hybrid_search.search.steps import run

RUNS = {leg: [(f"{n:03d}#0", 500.0 - n) for n in range(first, first + 200)] for first, leg in enumerate(Leg)}
"""Three runs of 200, of 202 documents in all; the first ten hits are found by at least one leg."""


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """The ranks of the records of legs that were made."""
    ranks: list[int] = []

    def record(rank: int, score: float, contribution: float) -> LegScore:
        ranks.append(rank)
        return LegScore(rank, score, contribution)

    monkeypatch.setattr(fusion, "LegScore", record)
    return ranks


@pytest.mark.parametrize("options", [{}, {"passages": 1}, {"highlight": True}], ids=["plain", "passages", "highlight"])
def test_reasons_are_made_for_the_hits_of_the_page_alone(made, options) -> None:
    """Of 600 reasons that three legs have for their hits, 10 hits show at most 3 x 10."""
    result = Asked(engine(RUNS)).search(k=10, **options)
    assert len(result.hits) == 10
    assert 10 <= len(made) <= 3 * 10


def test_a_part_of_a_ranking_is_the_same_as_of_a_list() -> None:
    """Slices, single hits and comparisons go by ranks, as in a list."""
    ranking = fusion.fuse({"bm25": [("a", 3.0), ("b", 2.0), ("c", 1.0)]}, fusion.Fusion())
    hits = list(ranking)
    assert [hit.id for hit in hits] == ["a", "b", "c"]
    assert (ranking[0], ranking[-1], ranking[1:], ranking[::-1]) == (hits[0], hits[2], hits[1:], hits[::-1])
    assert (ranking == hits[:2], ranking == hits, len(ranking[5:])) == (False, True, 0)
    assert list(fusion.ids_of(ranking)) == list(fusion.ids_of(hits)) == ["a", "b", "c"]


class Entered(Stopwatch):
    """A stopwatch that keeps the names of steps as they begin."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def __call__(self, step: str) -> AbstractContextManager[None]:
        self.steps.append(step)
        return super().__call__(step)


def test_a_page_that_lacks_nothing_is_fetched_once() -> None:
    """Behind the rerank step there is no second fetch, which would be an empty span in every trace."""
    asked, watch = Asked(engine(RUNS)), Entered()
    run(asked.searcher.search(["q"], watch=lambda: watch), asked.carry_out)
    assert watch.steps[watch.steps.index("rerank") :] == ["rerank"]
