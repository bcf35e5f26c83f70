"""Passages to documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import QueryError
from hybrid_search.search.collapse import (
    Best,
    Collapse,
    best_passages,
    check_passages,
    collapse_of,
    collapsed,
    document_id,
)

hits = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 12)), st.integers(0, 5).map(float), max_size=20
).map(lambda scores: [(f"{doc}#{n}", score) for (doc, n), score in scores.items()])


def test_a_document_stands_where_its_best_passage_does() -> None:
    """Max passage, whatever the order in which the engine sent them."""
    assert best_passages([("a#0", 1.0), ("b#3", 2.0), ("a#7", 3.0)]) == [Best("a", "a#7", 3.0), Best("b", "b#3", 2.0)]


def test_equal_passages_are_broken_by_id() -> None:
    """The first passage of equals, and the first document of equals."""
    assert best_passages([("b#0", 1.0), ("a#1", 1.0), ("a#0", 1.0)]) == [Best("a", "a#0", 1.0), Best("b", "b#0", 1.0)]


def test_equal_passages_are_broken_as_the_engines_do() -> None:
    """By document and then by number: a comes before a-b, and 9 before 10."""
    equal = [("a-b#0", 1.0), ("a#10", 1.0), ("a#9", 1.0)]
    assert [best.id for best in best_passages(equal, collapse=False)] == ["a#9", "a#10", "a-b#0"]


def test_passages_stand_for_themselves_when_asked() -> None:
    """Without collapsing every passage is a hit of its own."""
    assert [best.id for best in best_passages([("a#0", 1.0), ("a#1", 2.0)], collapse=False)] == ["a#1", "a#0"]


def test_an_id_may_hold_the_separator() -> None:
    """Only the last part is the passage number."""
    assert document_id("c#minor#12") == "c#minor"


@given(hits)
def test_every_document_appears_once_with_its_best_score(found) -> None:
    """What remains is sorted and holds the maximum of each document."""
    best = best_passages(found)
    highest = {doc: max(s for id_, s in found if document_id(id_) == doc) for doc in {document_id(i) for i, _ in found}}
    assert {b.id: b.score for b in best} == highest
    assert [(-b.score, b.id) for b in best] == sorted((-b.score, b.id) for b in best)


FOUND = [("a#0", 5.0), ("a#1", 3.0), ("a#2", 2.0), ("b#4", 6.0), ("b#0", 1.0)]


@pytest.mark.parametrize(
    ("summed", "unfound", "scores"),
    [
        (2, 0.0, {"a": 5 + 3, "b": 6 + 1}),
        (3, 0.0, {"a": 5 + 3 + 2, "b": 6 + 1}),
        (1, 0.0, {"a": 5, "b": 6}),
        (2, None, {"a": 5 + (3 - 1), "b": 6 + (1 - 1)}),
        (3, None, {"a": 5 + (3 - 1) + (2 - 1), "b": 6}),
        (3, 2.5, {"a": 5 + (3 - 2.5) + 0, "b": 6 + 0}),
    ],
    ids=str,
)
def test_the_best_passages_are_summed_above_what_was_not_found(summed, unfound, scores) -> None:
    """The best counts whole, the next by what it scored above a passage that was not found: 0, or the lowest, 1."""
    found = collapsed(FOUND, Collapse("sum", summed), unfound=unfound)
    assert {best.id: best.score for best in found} == scores
    assert [best.passage_id for best in found] == [
        {"a": "a#0", "b": "b#4"}[id_] for id_ in sorted(scores, key=lambda id_: -scores[id_])
    ]


@given(hits, st.one_of(st.none(), st.integers(-3, 5).map(float)))
def test_the_sum_of_one_is_the_best(found, unfound) -> None:
    """Whatever the score of what was not found."""
    assert collapsed(found, Collapse("sum", 1), unfound=unfound) == best_passages(found)


@given(hits, st.integers(1, 13))
def test_more_passages_lower_no_document(found, summed) -> None:
    """A sum grows with the number of passages that count, and is at least the best."""
    less, more = (
        {best.id: best.score for best in collapsed(found, Collapse("sum", n), unfound=None)} for n in (summed, 13)
    )
    assert all(less[id_] <= more[id_] + 1e-9 for id_ in less)
    assert all(best.score <= less[best.id] + 1e-9 for best in best_passages(found))


def test_what_is_asked_for_in_words() -> None:
    """True and False as before."""
    assert [collapse_of(given) for given in (True, False, "best", "first", "sum:3")] == [
        Collapse("best"),
        Collapse("none"),
        Collapse("best"),
        Collapse("first"),
        Collapse("sum", 3),
    ]
    assert collapse_of("first").filter == {"term": {"passage": 0}}


@pytest.mark.parametrize("given_", ["sum", "sum:0", "sum:101", "sum:-1", "sum:x", "last", "", None, 3], ids=str)
def test_other_words_are_refused(given_) -> None:
    """With those that there are."""
    with pytest.raises(QueryError, match="unknown collapse"):
        collapse_of(given_)


@pytest.mark.parametrize(
    ("wanted", "collapse", "said"),
    [
        (-1, True, "-1 further"),
        (101, True, "101 further"),
        (True, True, "True further"),
        ("3", True, "'3' further"),
        (2, False, "ranked themselves"),
        (2, "first", "first passages alone"),
    ],
    ids=str,
)
def test_further_passages_that_there_cannot_be_are_refused(wanted, collapse, said) -> None:
    """Before anything is sent."""
    with pytest.raises(QueryError, match=said):
        check_passages(wanted, collapse_of(collapse))
