"""Rank-biased overlap: visible arithmetic, its bounds, and the pairs that it orders."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import InputError
from hybrid_search.evaluate.unjudged import Agreement, Pair, rank_biased_overlap
from hybrid_search.evaluate.unjudged.report import agreement_json, moved, notes, pair_table
from hybrid_search.printed.console import Console
from hybrid_search.records import Query

rankings = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=8)


def test_rankings_of_one_length() -> None:
    """``abc`` and ``acd`` at p = .9: overlaps 1, 1 and 2 of 1, 2 and 3, the last of which goes on."""
    seen = 0.1 / 0.9 * (1 / 1 * 0.9 + 1 / 2 * 0.9**2 + 2 / 3 * 0.9**3)
    assert rank_biased_overlap("abc", "acd") == pytest.approx(seen + 2 / 3 * 0.9**3)


def test_rankings_of_two_lengths() -> None:
    """``ab`` and ``bxa`` at p = .5: X is 0, 1, 2; the shorter's agreement of 1/2 is taken to go on to depth 3."""
    seen = 0 / 1 * 0.5 + 1 / 2 * 0.5**2 + 2 / 3 * 0.5**3
    unseen = 1 * (3 - 2) / (2 * 3) * 0.5**3
    beyond = ((2 - 1) / 3 + 1 / 2) * 0.5**3
    assert rank_biased_overlap("ab", "bxa", 0.5) == pytest.approx(0.5 / 0.5 * (seen + unseen) + beyond)


@given(rankings, rankings, st.floats(0.05, 0.95))
def test_it_lies_between_0_and_1_and_knows_no_order_of_the_two(
    first: list[str], second: list[str], persistence: float
) -> None:
    """Symmetric; 1 for the same ranking, 0 exactly where nothing is in common."""
    value = rank_biased_overlap(first, second, persistence)
    assert value == pytest.approx(rank_biased_overlap(second, first, persistence))
    assert -1e-9 <= value <= 1 + 1e-9
    assert rank_biased_overlap(first, first, persistence) == pytest.approx(1)
    assert math.isclose(value, 0, abs_tol=1e-12) == (not set(first) & set(second) and bool(first or second))


@given(rankings.filter(lambda ids: len(ids) > 3))
def test_a_change_at_the_top_counts_more_than_one_at_the_end(ids: list[str]) -> None:
    """Exchanging the first two takes away more than exchanging the last two."""
    top, end = [ids[1], ids[0], *ids[2:]], [*ids[:-2], ids[-1], ids[-2]]
    assert rank_biased_overlap(ids, top) < rank_biased_overlap(ids, end)


@pytest.mark.parametrize("given_", [(["a", "a"], ["b"], 0.9), (["a"], ["b"], 1.0), (["a"], ["b"], 0.0)], ids=str)
def test_what_has_no_meaning_is_refused(given_: tuple[list[str], list[str], float]) -> None:
    """An id twice; a persistence with which no rank, or every rank to infinity, counts."""
    with pytest.raises(InputError):
        rank_biased_overlap(*given_)


def test_the_report_says_what_moved() -> None:
    """``abc`` becomes ``bda``: b rises one rank, d is new, a falls two, c is gone."""
    pair = Pair(Query("a [red] lamp", id="q1"), list("abc"), list("bda"), 0.5, {"a": "Lamp [bold]"})
    assert [moved(pair, id_) for id_ in pair.second] == ["+1", "new", "-2"]
    assert moved(Pair(pair.query, ["a"], ["a"], 1.0), "a") == "="
    found = Agreement([pair], 10, 0.9)
    report = agreement_json(found, ("now", "new"))
    assert (report["mean_overlap"], report["same_ranking"], report["same_first_hit"]) == (0.5, 0, 0)
    assert report["by_query"][0]["only_first"] == ["c"]
    assert report["by_query"][0]["only_second"] == ["d"]
    console = Console(width=100)
    with console.capture() as printed:
        console.print(pair_table(pair, ("now", "new")))
    assert "a [red] lamp" in printed.get()
    assert "Lamp [bold]" in printed.get()
    assert "does not say which is better" in list(notes(found))[-1]
