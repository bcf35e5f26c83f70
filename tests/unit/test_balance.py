"""Languages of few documents and of many: their rarest words count the same."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import OverloadedError
from hybrid_search.records import IndexSchema
from hybrid_search.search.balance import balance_of, passages_by_analyzer, rarest

SCHEMA = IndexSchema(None, None, analyzer="standard", language="lang", analyzers={"de": "german", "en": "english"})


def test_the_rarest_words_count_the_same() -> None:
    """ln(1 + 999.5 / 1.5) of a thousand passages, ln(1 + 9.5 / 1.5) of ten."""
    balance = balance_of({"english": 1000, "german": 10, "standard": 0})
    assert balance == {"english": 1.0, "german": math.log(1 + 999.5 / 1.5) / math.log(1 + 9.5 / 1.5), "standard": 1.0}
    assert balance["german"] == pytest.approx(6.503 / 1.992, rel=1e-3)
    assert balance_of({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 10**9), min_size=1))
def test_no_language_is_weighed_down(passages) -> None:
    """The largest counts as it is, and the smaller one is, the more."""
    balance = balance_of(passages)
    assert min(balance.values()) == 1.0
    there = sorted((count, -balance[name]) for name, count in passages.items() if count)
    assert [factor for _, factor in there] == sorted(factor for _, factor in there)
    most = rarest(max(1, *passages.values()))
    assert all(rarest(count) * balance[name] == pytest.approx(most) for name, count in passages.items() if count)


def answered(answer, schema=SCHEMA):
    """What is read of an answer, or of an error, and how many requests were sent."""
    steps, sent = passages_by_analyzer("index", schema, lambda request: request), 0
    try:
        next(steps)
        sent = 1
        steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
    except StopIteration as end:
        return end.value, sent
    raise AssertionError("more than one request")


@pytest.mark.parametrize(
    "answer",
    [
        OverloadedError("busy"),
        {},
        None,
        "page",
        {"aggregations": {"analyzers": {"buckets": {"german": {"doc_count": 1}}}}},
    ],
    ids=["error", "empty", "none", "page", "lacking"],
)
def test_an_engine_that_does_not_say_leaves_all_alike(answer) -> None:
    """Searches go on without."""
    assert answered(answer) == ({}, 1)


def test_an_index_of_one_analyzer_is_not_asked() -> None:
    """There is nothing to weigh."""
    assert answered({}, IndexSchema(None, None)) == ({}, 0)
