"""Held-out queries: near-duplicates stay on one side, and what cannot be learned from is said at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import InputError
from hybrid_search.records import Query
from hybrid_search.train.records import Judged
from hybrid_search.train.split import NEAR, groups_of, near_duplicates, split, words_of

WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "juniper",
    "knoll",
    "larch",
    "maple",
]


def judged(texts, *, prefix="q", grade=1):
    queries = [Query(text, id=f"{prefix}{number}") for number, text in enumerate(texts)]
    return Judged(queries, {str(query.id): {f"d{query.id}": grade} for query in queries})


def different(count, prefix="w"):
    return [f"{prefix}{number} {prefix}{number}x {prefix}{number}y" for number in range(count)]


def ids(side):
    return {str(query.id) for query in side.queries}


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=12))
def test_prefix_filtering_finds_what_comparing_all_finds(texts):
    """The same pairs as by brute force, for any texts."""
    sets = [words_of(text) for text in texts]
    expected = {
        (one, other)
        for other in range(len(texts))
        for one in range(other)
        if sets[one] and sets[other] and len(sets[one] & sets[other]) >= NEAR * len(sets[one] | sets[other])
    }
    assert set(near_duplicates(texts)) == expected


def test_groups_are_linked_by_either_text():
    """A query is near to another by its own words, or by the document that it was made of."""
    queries = ["red fox jumps over", "red fox jumps over", "blue whale", "grey owl"]
    documents = ["one", "two", "three four five", "three four five"]
    assert groups_of(queries, documents) == [0, 0, 2, 2]


def test_no_two_sides_share_near_duplicates():
    """Each text stands twice, in other order of its words; both are always on one side."""
    texts = different(60)
    both = judged([*texts, *(" ".join(reversed(text.split())) for text in texts)])
    sides = split(both, None, seed=3)
    sizes = [len(side.queries) for side in (sides.training, sides.validation, sides.test)]
    assert sum(sizes) == 120
    assert sizes[2] == 24  # a fifth
    for number in range(60):
        pair = {f"q{number}", f"q{number + 60}"}
        assert sum(bool(pair & ids(side)) for side in (sides.training, sides.validation, sides.test)) == 1


def test_the_seed_decides_the_split():
    """The same seed gives the same sides, another gives others."""
    texts = judged(different(60))
    assert ids(split(texts, None, 1).test) == ids(split(texts, None, 1).test)
    assert ids(split(texts, None, 1).test) != ids(split(texts, None, 2).test)


def test_training_queries_that_repeat_test_queries_are_left_out():
    """One of fifty is a test query in other words' order; it is left out and counted."""
    texts = different(50)
    test = judged(["w0y w0x w0", *different(11, "t")], prefix="t")
    sides = split(judged(texts), test, 0)
    assert sides.leaked == 1
    assert "q0" not in ids(sides.training) | ids(sides.validation)


def test_more_queries_are_trained_on_unless_they_repeat_held_out_ones():
    """Queries made of documents join the training side alone."""
    more = judged(["w0 w0x w0y", "something else entirely"], prefix="m")
    held_out = judged(["w0 w0x w0y", *different(11, "t")], prefix="t")
    sides = split(judged(different(50, "v")), held_out, 0, more=more)
    assert "m1" in ids(sides.training)
    assert "m0" not in ids(sides.training)


def test_a_test_set_that_is_the_training_set_is_refused():
    """No figure on it would say anything."""
    with pytest.raises(InputError, match="are test queries too"):
        split(judged(different(50)), judged(different(50), prefix="t"), 0)


@pytest.mark.parametrize(
    ("given_texts", "grade", "message"),
    [
        (different(12), 1, "12 queries"),
        (different(60), 0, "no query has a relevant document"),
        (["a b c"] * 60, 1, "same"),
    ],
    ids=["too few", "one class", "all the same"],
)
def test_what_cannot_be_learned_from_is_refused(given_texts, grade, message):
    """Before anything is retrieved."""
    with pytest.raises(InputError, match=message):
        split(judged(given_texts, grade=grade), None, 0)


def test_too_few_test_queries_are_refused():
    """Nine cannot tell two models apart."""
    with pytest.raises(InputError, match="9 test queries"):
        split(judged(different(60)), judged(different(9, "t"), prefix="t"), 0)
