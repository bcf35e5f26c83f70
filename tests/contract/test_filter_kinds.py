"""Beginnings and parts of keywords, places, dates relative to now, yes and no: on every engine as Python says."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from generated import filled
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hybrid_search.engine.protocols import Request
from hybrid_search.filter_values import MOST_HELD
from hybrid_search.filters import Contains, Eq, GeoBox, GeoDistance, In, Prefix, Range, clause, parse
from hybrid_search.records import Document, EncodedPassage, FieldReading, IndexSchema, Passage

SCHEMA = IndexSchema(
    None,
    None,
    keyword_fields=("label", "stock"),
    date_fields=("seen",),
    geo_fields=("shop", "lat,lon"),
    readings={"stock": FieldReading(boolean=True)},
)
NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)
MILLISECONDS = int(NOW.timestamp() * 1000)
LABELS = [
    "Sony",
    "Sony Ericsson",
    "sony",
    "a*b",
    "a?b",
    "ab",
    "a\\b",
    "a\\*b",
    "**",
    "*",
    "?",
    "\\",
    "",
    "[a-z]",
    "(a|b)",
    "é",
    "e\u0301t\u00e9",
    "猫と魚",
    "😀👍",
    "a" * 300,
    "ab" * 150,
]
RANDOM = np.random.default_rng(5)
RANDOM_PLACES = [(float(latitude), float(RANDOM.uniform(-180, 180))) for latitude in RANDOM.uniform(-89, 89, 60)]
EDGES = [(48.1, 11.5), (48.1, 11.6), (-17.7, 179.9), (-17.7, -179.9), (89.99, 0.0), (89.99, 180.0), (0.0, 0.0)]
PLACES = RANDOM_PLACES + EDGES
AGES = [timedelta(0), timedelta(hours=3), timedelta(hours=16), timedelta(days=6, hours=23), timedelta(days=40)]
RECORDS = (
    {f"l{n}": {"label": label} for n, label in enumerate(LABELS)}
    | {f"p{n}": {"shop": [lon, lat], "lat": str(lat), "lon": lon} for n, (lat, lon) in enumerate(PLACES)}
    | {f"d{n}": {"seen": (NOW - age).isoformat()} for n, age in enumerate(AGES)}
    | {"yes": {"stock": "Yes"}, "no": {"stock": False}, "both": {"stock": [1, "nein"]}}
)


@pytest.fixture(scope="module")
def ids(connection):
    """The ids of the documents that a filter lets pass."""
    name = f"test-filter-kinds-{uuid4().hex[:8]}"
    batch = [
        EncodedPassage(Passage(Document(id_, "thing", fields), 0, 0, 5), None, None) for id_, fields in RECORDS.items()
    ]
    filled(connection, name, batch, SCHEMA)

    def found(filter):
        part = clause(filter, SCHEMA, now=MILLISECONDS)
        body = {"query": {"bool": {"filter": [part]}}, "size": 200, "_source": ["doc_id"]}
        hits = connection.send(Request.json("POST", f"/{name}/_search", body))["hits"]["hits"]
        return {hit["_source"]["doc_id"] for hit in hits}

    yield found
    connection.transport.send(Request.json("DELETE", f"/{name}"))


def labelled(condition):
    """The documents whose label, composed, fulfils a condition."""
    return {f"l{n}" for n, label in enumerate(LABELS) if condition(unicodedata.normalize("NFC", label))}


PARTS = st.sampled_from(LABELS).flatmap(
    lambda label: st.tuples(st.integers(0, len(label)), st.integers(1, 5)).map(lambda at: label[at[0] : sum(at)])
) | st.text("ab*?\\[]()|.é", max_size=4)


@example("")
@example("*")
@example("a" * MOST_HELD)
@example("ab" * (MOST_HELD // 2))
@given(PARTS)
@settings(max_examples=40)
def test_parts_and_beginnings_are_those_of_python(ids, part):
    """No character is a wildcard, and case counts; an empty part is any."""
    composed = unicodedata.normalize("NFC", part)
    assert ids(Contains("label", part)) == labelled(lambda label: composed in label)
    assert ids(Prefix("label", part)) == labelled(lambda label: label.startswith(composed))


def test_parts_as_text(ids):
    """``^=`` and ``*=``, with alternatives, and denied."""
    assert ids(parse("label^=Sony")) == {"l0", "l1"}
    assert ids(parse("label*=ric|[a")) == {"l1", "l13"}
    assert ids(parse('label*="*" and not label^="a"')) == {"l8", "l9"}


def away(one, other):
    """Meters between two places, on the sphere that both engines take the earth for."""
    (a, b), (c, d) = (map(math.radians, place) for place in (one, other))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6_371_008.7714 * math.asin(math.sqrt(half))


def placed(condition):
    return {f"p{n}" for n, place in enumerate(PLACES) if condition(place)}


@given(st.sampled_from(PLACES), st.floats(1, 20_000_000))
@example((89.99, 0.0), 3_000.0)
@example((0.0, 0.0), 1e300)
@settings(max_examples=25)
def test_distances_are_those_of_the_sphere(ids, around, most):
    """Across the 180th meridian and the poles too; places that are just at the edge are left to the engine."""
    found = ids(GeoDistance("shop", *around, most))
    assert placed(lambda place: away(place, around) < most * 0.9999 - 1) <= found
    assert found <= placed(lambda place: away(place, around) < most * 1.0001 + 1)


def is_between(west, longitude, east):
    return west <= longitude <= east if west <= east else longitude >= west or longitude <= east


BOXES = st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))


@given(BOXES)
@example((-20.0, 179.0, -10.0, -179.0))
@example((-90.0, -180.0, 90.0, 180.0))
@settings(max_examples=25)
def test_boxes_hold_what_is_between_their_edges(ids, box):
    """One whose west is greater than its east goes across the 180th meridian."""
    edges = [round(edge, 4) for edge in box]  # an engine keeps degrees to 32 bits, and takes no edges for a box
    south, west, north, east = min(edges[0], edges[2]), edges[1], max(edges[0], edges[2]), edges[3]
    assume(north > south)
    assume(west != east)
    expected = placed(lambda place: south <= place[0] <= north and is_between(west, place[1], east))
    assert ids(GeoBox("shop", south, west, north, east)) == expected


@pytest.mark.parametrize("field", ["shop", "lat,lon"])
def test_areas_as_text(ids, field):
    """Of a field, and of two fields that say one place; 0.1 degrees of longitude are 7.4 km there."""
    assert ids(parse(f"{field} within 7km of 48.1,11.5")) == {"p60"}
    assert ids(parse(f"{field} within 8km of 48.1,11.5")) == {"p60", "p61"}
    assert ids(parse(f"{field} not within 8km of 48.1,11.5 and {field} within 48,11 to 49,12")) == set()
    assert ids(parse(f"{field} within -18,179 to -17,-179")) == {"p62", "p63"}
    assert len(ids(parse(f"{field}=*"))) == len(PLACES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seen>=now-7d", {"d0", "d1", "d2", "d3"}),
        ("seen>=now/d", {"d0", "d1"}),
        ("seen=now/d", {"d0", "d1"}),
        ("seen<now/d", {"d2", "d3", "d4"}),
        ("seen>now-7d/d and seen<=now-1d/d", {"d2"}),
        ("seen>=now-7d/d and seen<=now-1d/d", {"d2", "d3"}),
        ("seen=now", {"d0"}),
        ("seen>=now - 3 h", {"d0", "d1"}),
        ("seen<now-1M/M", {"d4"}),
        ('seen>="2026-03-01||+9d"', {"d0", "d1"}),
        ("seen in (now/d, now-1d/d)", {"d0", "d1", "d2"}),
    ],
)
def test_dates_relative_to_now(ids, text, expected):
    """Now is 2026-03-10 15:30; seen then, 3 and 16 hours, 7 days less an hour, and 40 days before it.

    A bound that is rounded is rounded as the engines do: ``>`` behind the day, ``<`` before it.
    """
    assert ids(parse(text)) == expected


def test_yes_and_no(ids):
    """In every word for them, and as Python has them."""
    for said in ("true", "yes", "TRUE", "1", "ja", True, 1):
        assert ids(Eq("stock", said)) == {"yes", "both"}
    assert ids(parse("stock=true")) == ids(parse("stock=Yes|1")) == {"yes", "both"}
    assert ids(In("stock", (False,))) == ids(parse("stock=no")) == {"no", "both"}
    assert ids(parse("stock!=yes and stock=*")) == {"no"}


def test_the_filter_of_a_day_is_cached_as_that_day(ids):
    """Python's dates and date math are one bound."""
    assert ids(Range("seen", gte=NOW.date())) == ids(Range("seen", gte="now/d"))
