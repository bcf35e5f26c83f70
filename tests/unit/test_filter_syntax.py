"""Filters as text and as clauses; what they select is tested on the engines (tests/contract/test_filters.py)."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import QueryError
from hybrid_search.filters import And, Eq, Exists, Filter, In, Not, Or, Range, clause, parse, parse_all
from hybrid_search.records import IndexSchema

SCHEMA = IndexSchema(
    None, None, keyword_fields=("brand", "size.eu"), number_fields=("price",), date_fields=("published",)
)


@pytest.mark.parametrize(
    ("expression", "filter"),
    [
        ("brand=Sony", Eq("brand", "Sony")),
        (" brand = Sony ", Eq("brand", "Sony")),
        ("brand=", Eq("brand", "")),
        ("brand!=Sony", Not(Eq("brand", "Sony"))),
        ("brand=Sony|Canon", In("brand", ("Sony", "Canon"))),
        ("brand!=Sony|Canon", Not(In("brand", ("Sony", "Canon")))),
        ("brand=*", Exists("brand")),
        ("brand!=*", Not(Exists("brand"))),
        ("price<100", Range("price", lt="100")),
        ("price<=100", Range("price", lte="100")),
        ("price>100", Range("price", gt="100")),
        ("price >= -1.5e3", Range("price", gte="-1.5e3")),
        ("size.eu=42", Eq("size.eu", "42")),
        ("brand=a=b", Eq("brand", "a=b")),
        ("brand=a<b", Eq("brand", "a<b")),
        ("two words=x y", Eq("two words", "x y")),
    ],
)
def test_expressions(expression, filter):
    """The first operator splits; space around the parts does not count."""
    assert parse(expression) == filter


@pytest.mark.parametrize("expression", ["", "brand", "=Sony", "  =x", "price<", "price>= "])
def test_what_is_no_filter_is_refused(expression):
    """With the expression in the message."""
    with pytest.raises(QueryError):
        parse(expression)


@given(st.text())
def test_any_text_is_a_filter_or_a_query_error(expression):
    """And nothing else."""
    try:
        found = parse(expression)
    except QueryError:
        return
    assert isinstance(found, Filter)


def test_several_expressions_all_hold():
    """As repeated flags of the command line do."""
    assert parse_all([]) is None
    assert parse_all(["price<9"]) == Range("price", lt="9")
    assert parse_all(["price<9", "brand=Sony"]) == And((Range("price", lt="9"), Eq("brand", "Sony")))


def test_operators_combine():
    """``&``, ``|`` and ``~`` bind as Python's do."""
    one, two, three = Eq("brand", "a"), Eq("brand", "b"), Exists("price")
    assert (one | two & ~three) == Or((one, And((two, Not(three)))))


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (Eq("brand", "Sony"), {"term": {"filter.brand": {"value": "Sony"}}}),
        (Eq("brand", 7), {"term": {"filter.brand": {"value": "7"}}}),
        (Eq("brand", True), {"term": {"filter.brand": {"value": "true"}}}),
        (Eq("size.eu", "42"), {"term": {"filter.size%2Eeu": {"value": "42"}}}),
        (Eq("price", "9.5"), {"term": {"filter.price": {"value": 9.5}}}),
        (Exists("price"), {"exists": {"field": "filter.price"}}),
        (Range("price", gte=1, lt="2"), {"range": {"filter.price": {"lt": 2.0, "gte": 1.0}}}),
        (Eq("published", "2024"), {"range": {"filter.published": {"lte": "2024||/y", "gte": "2024||/y"}}}),
        (Range("published", gt="2024-02"), {"range": {"filter.published": {"gt": "2024-02||/M"}}}),
        (Range("published", lt=date(2024, 2, 3)), {"range": {"filter.published": {"lt": "2024-02-03||/d"}}}),
        (
            Range("published", lt=datetime(2024, 2, 3, 4, tzinfo=UTC)),
            {"range": {"filter.published": {"lt": "2024-02-03T04:00:00+00:00"}}},
        ),
        (
            In("price", (1, 2)),
            {
                "bool": {
                    "should": [{"term": {"filter.price": {"value": 1.0}}}, {"term": {"filter.price": {"value": 2.0}}}],
                    "minimum_should_match": 1,
                }
            },
        ),
        (Or(()), {"match_none": {}}),
        (Not(Exists("price")), {"bool": {"must_not": [{"exists": {"field": "filter.price"}}]}}),
        (And((Exists("price"),)), {"bool": {"filter": [{"exists": {"field": "filter.price"}}]}}),
    ],
)
def test_clauses(filter, expected):
    """Whole bodies."""
    assert clause(filter, SCHEMA) == expected


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        (Eq("brnad", "Sony"), "Did you mean 'brand'"),
        (Eq("colour", "red"), "It can filter on: brand, price, published, size.eu"),
        (Exists("text"), "cannot filter on 'text'"),
        (Eq("price", "cheap"), "'cheap' is no number"),
        (Eq("price", True), "True is no number"),
        (Eq("price", float("nan")), "nan is no number"),
        (Range("price", lt="inf"), "'inf' is no number"),
        (Eq("published", "yesterday"), "'yesterday' is no date"),
        (Eq("published", "2024-13"), "'2024-13' is no date"),
        (Eq("published", 2024), "2024 is no date"),
        (Eq("brand", 1.5), "1.5 is no keyword"),
        (Range("brand", lt="a"), "a keyword has no order"),
        (Range("price"), "a range without bounds"),
        ("price<9", "is no filter"),
    ],
)
def test_what_the_index_cannot_filter_on_is_refused(filter, message):
    """Before anything is sent; wherever in a combination it stands."""
    for wrapped in (filter, Not(filter), And((filter,)), Or((filter,))):
        with pytest.raises(QueryError) as caught:
            clause(wrapped, SCHEMA)
        assert message in str(caught.value)
