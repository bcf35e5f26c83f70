"""Clauses of beginnings, parts, areas and relative dates, and their errors; what they select: tests/contract."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import QueryError
from hybrid_search.filter_values import MOST_HELD
from hybrid_search.filters import Contains, Eq, Filter, GeoBox, GeoDistance, In, Prefix, Range, clause, parse
from hybrid_search.records import FieldReading, IndexSchema

SCHEMA = IndexSchema(
    None,
    None,
    keyword_fields=("brand", "stock"),
    number_fields=("price",),
    date_fields=("seen",),
    geo_fields=("shop",),
    readings={"stock": FieldReading(boolean=True)},
)
NOW = 1_773_156_600_123
"""2026-03-10T15:30:00.123Z."""


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (Prefix("brand", "So*"), {"prefix": {"filter.brand": {"value": "So*"}}}),
        (Prefix("brand", ""), {"exists": {"field": "filter.brand"}}),
        (Contains("brand", r"a*b?\c"), {"wildcard": {"filter.brand": {"value": r"*a\*b\?\\c*"}}}),
        (
            Contains("brand", "so", ignore_case=True),
            {"wildcard": {"filter.brand": {"value": "*so*", "case_insensitive": True}}},
        ),
        (Contains("brand", "e\u0301"), {"wildcard": {"filter.brand": {"value": "*é*"}}}),
        (
            GeoDistance("shop", 48.1, 11.5, "5km"),
            {"geo_distance": {"distance": "5000.0m", "filter.shop": {"lat": 48.1, "lon": 11.5}}},
        ),
        (
            GeoBox("shop", 48, 11, 49, 12),
            {
                "geo_bounding_box": {
                    "filter.shop": {"top_left": {"lat": 49.0, "lon": 11.0}, "bottom_right": {"lat": 48.0, "lon": 12.0}}
                }
            },
        ),
        (Range("seen", gte="now-7d"), {"range": {"filter.seen": {"gte": "2026-03-10T15:30:00.123Z||-7d"}}}),
        (Range("seen", gte="now-1M/M"), {"range": {"filter.seen": {"gte": "2026-03-10T15:30:00.123Z||-1M/M"}}}),
        (Range("seen", lt="NOW - 1h"), {"range": {"filter.seen": {"lt": "2026-03-10T15:30:00.123Z||-1h"}}}),
        (Range("seen", lt="17.05.2024||+1M/d"), {"range": {"filter.seen": {"lt": "2024-05-17||+1M/d"}}}),
        (
            Eq("seen", "now/d"),
            {"range": {"filter.seen": {"gte": "2026-03-10T15:30:00.123Z||/d", "lte": "2026-03-10T15:30:00.123Z||/d"}}},
        ),
    ],
)
def test_clauses(filter, expected):
    """Whole bodies."""
    assert clause(filter, SCHEMA, now=NOW) == expected


def test_without_a_moment_now_is_left_to_the_engine():
    """As for whoever makes a clause by hand."""
    assert clause(parse("seen>=now-7d/d"), SCHEMA) == {"range": {"filter.seen": {"gte": "now-7d/d"}}}


def test_now_is_a_keyword_like_others():
    """In a keyword field."""
    assert clause(Eq("brand", "now"), SCHEMA, now=NOW) == {"term": {"filter.brand": {"value": "now"}}}


@pytest.mark.parametrize(
    ("filter", "why"),
    [
        (Prefix("price", "1"), "price: a number has no beginning and no parts"),
        (Contains("shop", "1"), "shop: a geo has no beginning and no parts"),
        (Contains("stock", "ye"), "stock: yes or no has no beginning and no parts"),
        (Contains("brand", "x" * (MOST_HELD + 1)), f"brand: a part of {MOST_HELD + 1} characters"),
        (Prefix("brand", "\ud800"), "half a surrogate pair"),
        (Prefix("brnd", "x"), "cannot filter on 'brnd'. Did you mean 'brand'"),
        (GeoDistance("shp", 1, 2, "5km"), "cannot filter on 'shp'. Did you mean 'shop'"),
        (GeoDistance("brand", 1, 2, "5km"), r"brand: a keyword is no place. Name it in documents.geo"),
        (GeoDistance("shop", 91, 2, "5km"), r"shop: \(91, 2\) is no place: give a place with a latitude from -90"),
        (GeoDistance("shop", 1, "x", "5km"), "number for its longitude"),
        (GeoDistance("shop", 1, 2, "5"), r"shop: '5' is no distance: give a distance such as 5km; the units are m, km"),
        (GeoDistance("shop", 1, 2, 0), "shop: 0 is no distance: give a distance above 0"),
        (GeoBox("shop", 49, 11, 48, 12), "shop: a box from 49,11 to 48,12. Give its corner in the southwest, then"),
        (GeoBox("shop", 48, 11, 48, 12), "a box from 48,11 to 48,12"),
        (GeoBox("shop", 48, 11, 49, 181), "longitude from -180 to 180, and 181 is beyond"),
        (Eq("shop", "48,11"), "shop: a place is not compared by its value. Write shop within 5km of"),
        (In("shop", ("48,11",)), "a place is not compared by its value"),
        (Range("shop", lt=5), "shop: a place has no order"),
        (Range("seen", lt="now-7"), r"seen: 'now-7' is no date. Write it as now, now-7d, now-1M/M"),
        (Range("seen", lt="now-7D"), "'now-7D' is no date"),
        (Range("seen", lt="nowhere"), "'nowhere' is no date"),
        (Range("seen", lt="now-99999y"), "more than 10,000 years away"),
        (Range("seen", lt="never||+1d"), "'never' is no date"),
    ],
)
def test_what_is_wrong_is_said(filter, why):
    """By the name of the field, and what to give."""
    with pytest.raises(QueryError, match=why):
        clause(filter, SCHEMA, now=NOW)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("shop within 5km", "shop: '5km' is no area. Write shop within 5km of"),
        ("shop within 5km of Munich", "shop: "),
        ("shop within 95,11 to 96,12", "latitude from -90 to 90, and 95 is beyond"),
        ("shop within", "this is no comparison|a comparison is missing"),
        ("brand^=", "a value is missing"),
        ("seen>now|2024", "alternatives are for"),
    ],
)
def test_texts_that_are_no_filter(text, why):
    """With what to write instead."""
    with pytest.raises(QueryError, match=why):
        parse(text)


SIGNS = ["shop", "brand", "seen", " within ", "5km", " of ", " to ", "48.1,11.5", "^=", "*=", ">=", "now", "-7d", "/d"]
PIECES = st.lists(st.sampled_from(SIGNS) | st.text(max_size=2))


@given(PIECES.map("".join))
def test_any_text_is_a_clause_or_a_query_error(text):
    """And nothing else, down to the clause."""
    try:
        found = parse(text)
        assert isinstance(found, Filter)
        assert clause(found, SCHEMA, now=NOW)
    except QueryError:
        return


@given(st.floats(), st.floats(), st.floats() | st.integers() | st.text(max_size=5))
def test_any_area_is_a_clause_or_a_query_error(latitude, longitude, distance):
    """Whatever numbers a program has."""
    for area in (
        GeoDistance("shop", latitude, longitude, distance),
        GeoBox("shop", latitude, longitude, longitude, latitude),
    ):
        try:
            assert clause(area, SCHEMA)
        except QueryError:
            continue
