"""Passages to documents."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.search.collapse import Best, best_passages, document_id

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
