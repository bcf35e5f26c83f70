"""What the demo says of its own answers."""

from __future__ import annotations

from dataclasses import replace

from hybrid_search import demo
from hybrid_search.printed.console import Console
from hybrid_search.records import Hit, Query, SearchResult

MISSED = "keep only the last few items that were added"
HITS = [Hit(rank, f"other{rank}", 1.0, 1.0, "other\nText.", f"other{rank}#0", 0, 11, {}, {}) for rank in range(1, 5)]
DEQUE = replace(HITS[3], id="collections.deque", text="append: Add an element\nto the right side. And more.")
RESULT = SearchResult(Query(MISSED), [*HITS[:3], DEQUE], {}, "min-max", None, {"total": 1.0})


def test_a_miss_is_named_with_what_its_docstring_says() -> None:
    """Rank 4 of three that are shown: where it is, and the passage that came nearest, in its own words."""
    assert demo.miss(RESULT) == (
        "a miss: collections.deque, which one would hope for, is at rank 4;"
        ' the nearest it says is "append: Add an element to the right side"'
    )
    assert demo.miss(replace(RESULT, hits=HITS)) == (
        "a miss: collections.deque, which one would hope for, is not among the first 100"
    )


def test_a_hit_and_a_question_of_ones_own_are_no_miss() -> None:
    """Nothing is said where the answer is shown, or where none is known."""
    assert demo.miss(replace(RESULT, hits=[replace(DEQUE, rank=3)])) is None
    assert demo.miss(replace(RESULT, query=Query("my own"))) is None


def test_three_hits_are_shown_and_the_miss_below_them(capsys) -> None:
    """The others were fetched to look for the one that is hoped for."""
    demo._print_result(Console(width=110), RESULT)
    table, _, note = capsys.readouterr().out.partition("a miss: ")
    assert "other3" in table
    assert "deque" not in table
    assert note.startswith("collections.deque")


def test_the_introduction_says_what_is_searched_what_takes_time_and_what_colours_mean(capsys) -> None:
    """What a reader of the answers, or of the picture, must know."""
    demo._print_models(Console(width=110))
    shown = capsys.readouterr().out
    for said in ("docstrings", "reranking on the CPU", "30 ms", "━ bm25, ━ dense, ━ sparse, words of the question"):
        assert said in shown
    assert max(map(len, shown.splitlines())) <= 110


def test_two_questions_are_pictured() -> None:
    """A picture of five is not read to its end."""
    assert len(demo.PICTURED) == 2
    assert set(demo.PICTURED) < set(demo.QUESTIONS)
