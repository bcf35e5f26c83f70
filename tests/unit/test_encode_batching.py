from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.encode.batching import TokenBudget, ahead, batches, once, packed

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


def passes(budget: TokenBudget, lengths: list[int], seconds_a_token=lambda _: 1e-3) -> list[list[int]]:
    """The groups of one call, whose time is told and not measured."""
    made = []
    for rows, _ in packed(lengths, budget, list):
        made.append(rows)
        padded = len(rows) * max(lengths[row] for row in rows)
        budget.told(padded, seconds_a_token(padded) * padded)
    return made


class TokenBudgetWithoutClock(TokenBudget):
    """Its passes take what the test says."""

    def took(self, tokens, padded, seconds):
        del padded, seconds
        self._kept = tokens

    def told(self, padded, seconds):
        super().took(self._kept, padded, seconds)


def test_the_size_that_takes_least_time_a_token_stays():
    """Sizes 100, 50 and 200 are tried twice each; tokens of passes above 60 cost three times as much, so 50 stays."""
    budget = TokenBudgetWithoutClock(100)
    made = passes(budget, [10] * 1000, lambda padded: 3e-3 if padded > 60 else 1e-3)
    assert [10 * len(rows) for rows in made[:6]] == [100, 100, 50, 50, 200, 200]
    assert {10 * len(rows) for rows in made[6:-1]} == {50}
    assert sorted(row for rows in made for row in rows) == list(range(1000))


def test_few_texts_tell_nothing_about_a_size():
    """A query is no full pass: a thousand of them leave the usual size to be tried first."""
    budget = TokenBudgetWithoutClock(100)
    for _ in range(1000):
        passes(budget, [8])
    assert budget.tokens_now == 100


def test_what_the_user_has_said_stays():
    """No other size is tried."""
    budget = TokenBudgetWithoutClock(64, (1.0,))
    made = passes(budget, [8] * 100, lambda padded: padded)
    assert {len(rows) for rows in made[:-1]} == {8}


@pytest.mark.parametrize("error", [MemoryError("no more"), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_running_out_of_memory_halves_the_budget_and_goes_on(error):
    """Passes of more than 30 tokens fail: 100, 50 and 25 are tried, every text is done, and 25 is kept for later."""
    budget, asked = TokenBudget(100), []

    def forward(rows: list[int]) -> list[int]:
        asked.append(len(rows))
        if len(rows) * 5 > 30:
            raise error
        return rows

    made = [rows for rows, _ in packed([5] * 12, budget, forward)]
    assert asked[:2] == [12, 6]
    assert sorted(row for rows in made for row in rows) == list(range(12))
    assert budget.tokens_now <= 30


def test_no_memory_for_one_text_is_the_error_that_it_is():
    """Halving nothing would go on for ever; an error that is about something else is not taken for this."""
    with pytest.raises(MemoryError):
        list(packed([5], TokenBudget(100), _failing(MemoryError())))
    with pytest.raises(RuntimeError, match="shape"):
        list(packed([5, 5], TokenBudget(100), _failing(RuntimeError("shape"))))


def _failing(error):
    def forward(_rows):
        raise error

    return forward


def test_the_padding_that_is_left_is_counted():
    """Lengths 9, 8 and 1 in one pass of 27 tokens hold 18: a third is padding."""
    budget = TokenBudget(100)
    list(packed([9, 8, 1], budget, list))
    assert (budget.tokens, budget.padded) == (18, 27)
    assert budget.padding == pytest.approx(1 / 3)


@given(LENGTHS, BUDGET)
def test_every_text_goes_through_once(lengths, tokens):
    """Whatever is tried on the way."""
    budget = TokenBudget(tokens)
    made = [rows for rows, _ in packed(lengths, budget, list)]
    assert sorted(row for rows in made for row in rows) == list(range(len(lengths)))


@given(st.lists(st.text(max_size=3), max_size=30))
def test_repeated_texts_are_told_apart_from_their_first(texts):
    """The places give the texts back; none is there twice."""
    different, places = once(texts)
    assert [different[place] for place in places] == texts
    assert len(set(different)) == len(different)


def test_the_next_texts_are_tokenized_while_these_are_encoded():
    """When the first is handed out, the second is being made; the error of one is raised where it is asked for."""
    begun = []
    second = threading.Event()

    def make(start: int) -> int:
        begun.append(start)
        if start == 1:
            second.set()
        if start == 2:
            raise ValueError("third")
        return start * 10

    coming = ahead(make, range(3))
    assert next(coming) == (0, 0)
    assert second.wait(5)
    assert next(coming) == (1, 10)
    with pytest.raises(ValueError, match="third"):
        next(coming)
    assert begun == [0, 1, 2]
