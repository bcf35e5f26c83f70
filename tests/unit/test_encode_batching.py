from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.encode.batching import batches

LENGTHS = st.lists(st.integers(1, 300), max_size=80)
BUDGET = st.integers(1, 2000)


def test_texts_of_about_the_same_length_go_together_longest_first():
    """9 and 8 pad to 18 of 20 tokens; a third text would make 27; the two short ones fit together."""
    assert list(batches([2, 9, 3, 8], budget=20)) == [[1, 3], [2, 0]]


def test_no_texts_make_no_batch():
    """An empty call must not reach the model."""
    assert list(batches([], budget=10)) == []


@given(LENGTHS, BUDGET)
def test_every_text_is_in_exactly_one_batch(lengths, budget):
    """Nothing is lost or encoded twice, whatever the lengths."""
    assert sorted(row for rows in batches(lengths, budget=budget) for row in rows) == list(range(len(lengths)))


@given(LENGTHS, BUDGET)
def test_padded_tokens_stay_within_the_budget(lengths, budget):
    """Only a single text that is longer than the budget may exceed it."""
    for rows in batches(lengths, budget=budget):
        assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= budget


@given(LENGTHS, BUDGET)
def test_batches_are_filled(lengths, budget):
    """The first text of a batch would not have fitted into the one before."""
    groups = list(batches(lengths, budget=budget))
    for rows in groups[:-1]:
        assert (len(rows) + 1) * lengths[rows[0]] > budget
