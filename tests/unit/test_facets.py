"""What is asked of a facet: short forms, and what is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fakes import SCHEMA as FAKE_SCHEMA
from search_fakes import PlaneEncoder, connection, engine, found

from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.engine.templates import index_body
from hybrid_search.errors import QueryError
from hybrid_search.filters import Eq, parse
from hybrid_search.found import FacetCounts, FacetValue
from hybrid_search.records import IndexSchema, Leg, Query, TextField
from hybrid_search.search import SearchClient
from hybrid_search.search.facets import Dates, MinMax, Ranges, Terms, checked_facets
from hybrid_search.search.facets_calendar import end_of, label, milliseconds, start_of, written
from hybrid_search.search.facets_filter import selected, without_field
from hybrid_search.search.facets_found import term
from hybrid_search.search.facets_table import facets_view

SCHEMA = IndexSchema(
    dense=None,
    sparse=None,
    keyword_fields=("brand", "a:b", "x=y"),
    number_fields=("price",),
    date_fields=("published",),
    title="headline",
    text_fields=(TextField("body", "english"),),
)
AT_0 = np.array([1, 0], np.float32)
COUNTED = {
    "documents": {"value": 2},
    "facet-0": {
        "buckets": [{"key": "Sony", "doc_count": 2}],
        "sum_other_doc_count": 0,
        "doc_count_error_upper_bound": 0,
    },
    "missing-0": {"doc_count": 0},
    "facet-1": {"count": 1, "min": 1.0, "max": 2.5},
    "missing-1": {"doc_count": 1},
}


@pytest.mark.parametrize(
    ("short", "facet"),
    [
        ("brand", Terms("brand")),
        ("brand:20", Terms("brand", 20)),
        ("makers=brand : 3", Terms("brand", 3, name="makers")),
        ("a:b", Terms("a:b")),
        ("a:b:5", Terms("a:b", 5)),
        ("x=y", Terms("x=y")),
        ("price", MinMax("price")),
        ("price:min-max", MinMax("price")),
        ("price:values", Terms("price")),
        ("price:10", Ranges("price", (10,))),
        ("price:-5, 0,10.5", Ranges("price", (-5, 0, 10.5))),
        ("published", MinMax("published")),
        ("published:month", Dates("published", "month")),
        ("published:day@Europe/Berlin", Dates("published", "day", "Europe/Berlin")),
        ("published:day@+02:00", Dates("published", "day", "+02:00")),
        ("published:1970,1970-01-02", Ranges("published", (0, 86_400_000))),
    ],
    ids=str,
)
def test_short_forms(short, facet) -> None:
    """A field alone, or what is behind its colon, which the field's kind decides."""
    assert checked_facets([short], SCHEMA) == (facet,)


def test_edges_may_be_lists_and_dates() -> None:
    """1970-01-01 is 0, a day later 86,400,000 ms; what was given is hashable."""
    assert Ranges("price", range(3)).edges == (0, 1, 2)
    facet = Ranges("published", [date(1970, 1, 1), "1970-01-02"])
    assert hash(facet)
    assert checked_facets([facet], SCHEMA)[0].edges == (0, 86_400_000)


@pytest.mark.parametrize(
    ("facet", "said"),
    [
        ("brnad", "Did you mean 'brand'"),
        ("colour", "It can count: a:b, brand, price, published, x=y"),
        ("text", "is text, whose words are searched. Name it in documents.keyword as well"),
        ("body", "is text, whose words are searched"),
        ("headline", "is text, whose words are searched. Name it in documents.keyword as well"),
        (Terms("brand", 0), "a size of 0. Give a number from 1 to 1,000"),
        ("brand:0", "a size of 0"),
        (Terms("brand", True), "a size of True"),
        ("brand:many", "'many' is no number of values"),
        (Terms("published"), "terms are not for a date field"),
        (Ranges("brand", (1,)), 'ranges are not for a keyword field. Give "brand"'),
        (MinMax("brand"), "min-max are not for a keyword field"),
        ("price:50,10", "the edges 50, 10 do not ascend"),
        ("price:10,10", "do not ascend"),
        ("price:10,", "are no edges"),
        (Ranges("price"), "ranges without edges"),
        (Ranges("price", ("ten",)), "the edge 'ten' is no number"),
        (Ranges("price", (float("nan"),)), "is no number"),
        (Ranges("price", tuple(range(101))), "101 edges"),
        (Ranges("published", ("soon",)), "the edge 'soon' is no date"),
        ("published:moon", "unknown interval 'moon'. Did you mean month?"),
        ("published:fortnight", "There are: minute, hour, day, week, month, quarter, year"),
        ("published:day@Europe/Berln", "unknown time zone 'Europe/Berln'. Did you mean Europe/Berlin?"),
        (Terms("brand", counts="all"), "it counts 'all'. It may count: candidates, filter, bm25"),
        (["brand", "brand:3"], "two facets are called 'brand'"),
        (["brand"] * 51, "51 facets"),
        (7, "7 is no facet"),
    ],
    ids=str,
)
def test_what_cannot_be_counted_is_refused(facet, said) -> None:
    """By name, with what to do instead."""
    with pytest.raises(QueryError) as error:
        checked_facets(facet if isinstance(facet, list) else [facet], SCHEMA)
    assert said in str(error.value)


def _client(answer: Callable[[Mapping[str, Any]], Any]) -> SearchClient:
    """A client of an index with :data:`SCHEMA`'s fields; aggregations are answered by ``answer``."""
    schema = replace(FAKE_SCHEMA, keyword_fields=("brand",), number_fields=("price",))

    def respond(request: Request) -> Answer:
        if request.path == "/docs/_mapping":
            return Answer(200, {"docs": {"mappings": index_body("opensearch", (3, 6, 0), schema)["mappings"]}})
        whole = engine({Leg.BM25: [("a#0", 2.0), ("b#0", 1.0)]})
        asked = [orjson.loads(line) for line in (request.body or b"").splitlines()[1::2]]
        if not any("aggs" in body for body in asked):
            return whole(request)
        fetched = whole(replace(request, body=b"".join((request.body or b"").splitlines(keepends=True)[:2])))
        return Answer(200, {"responses": [*fetched.body["responses"], *(answer(body) for body in asked[1:])]})

    return SearchClient("docs", encoder=PlaneEncoder(), connection=connection(respond))


def test_nothing_is_sent_for_a_facet_that_is_refused() -> None:
    """Neither for one that no index could count, nor for words that the query does not have."""
    with _client(lambda _: {}) as client:
        sent = len(client._connection.transport.requests)
        for facets, query in (["brnad"], "lamp"), ([Terms("brand", counts="bm25")], Query("", dense=AT_0)):
            with pytest.raises(QueryError, match=r"brnad|words of the query"):
                client.search(query, facets=facets, legs=["dense"])
        assert len(client._connection.transport.requests) == sent


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (
            {"error": {"type": "too_many", "reason": "of them"}, "status": 400},
            "facets-failed",
            "too_many",
        ),
        (found([]), "facets-failed", "not counted: brand, price"),
        ({**found([]), "aggregations": {"documents": {"value": "many"}}}, "facets-failed", "not counted: brand, price"),
        (
            {**found([], failed=1), "aggregations": COUNTED},
            "shards-missing",
            "counted brand, price without 1 of 2 shards",
        ),
        ({**found([], timed_out=True), "aggregations": COUNTED}, "stopped", "was stopped"),
    ],
    ids=["refused", "none", "unreadable", "shards", "stopped"],
)
def test_a_facet_that_cannot_be_counted_costs_no_hits(answer, code, said) -> None:
    """It is left out, or inexact, and the result says so."""
    facets = [Terms("brand", counts="filter"), MinMax("price", counts="filter")]
    with _client(lambda _: answer) as client:
        result = client.search("lamp", facets=facets, legs=["bm25"])
    assert [hit.id for hit in result] == ["a", "b"]
    assert result.degraded == {"facets": code}
    assert said in result.warnings[-1]
    assert [counts.exact for counts in result.facets.values()] == ([] if code == "facets-failed" else [False, False])


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_the_filter_of_a_value_is_one(value) -> None:
    """Whatever the field and the value hold, it is read back as what they are."""
    assert parse(term(value, value, 1).filter) == Eq(value, value)


@pytest.mark.parametrize(
    ("text", "rest", "chosen"),
    [
        ("brand=Sony and price<9", "price<9", {"Sony"}),
        ("price<9", "price<9", set()),
        ("brand=Sony|Canon", None, {"Sony", "Canon"}),
        ("not brand=Sony and (price<9 and brand=Canon)", "price<9", {"Canon"}),
        ("brand=Sony or price<9", "brand=Sony or price<9", set()),
    ],
)
def test_conditions_on_the_own_field_alone_are_left_out(text, rest, chosen) -> None:
    """What joins it to another field stays."""
    kept, left_out = without_field(parse(text), "brand")
    assert kept == (None if rest is None else parse(rest))
    assert selected(left_out, "brand", SCHEMA) == chosen


def test_a_long_filter_is_no_recursion() -> None:
    """Two thousand conditions joined by ``&`` are a deep tree."""
    long = Eq("brand", "0")
    for number in range(2000):
        long = long & Eq("brand", str(number))
    assert without_field(long, "brand")[0] is None


@pytest.mark.parametrize(
    ("moment", "interval", "zone", "start", "called"),
    [
        ("2024-03-31T00:30:00+00:00", "day", "Europe/Berlin", "2024-03-31T00:00:00+01:00", "2024-03-31"),
        ("2024-03-30T23:30:00+00:00", "month", "Europe/Berlin", "2024-03-01T00:00:00+01:00", "2024-03"),
        ("2024-05-17T00:00:00+00:00", "week", "UTC", "2024-05-13T00:00:00+00:00", "2024-05-13"),
        ("2024-05-17T00:00:00+00:00", "quarter", "UTC", "2024-04-01T00:00:00+00:00", "2024-Q2"),
        ("2024-10-27T00:40:00+00:00", "hour", "Europe/Berlin", "2024-10-27T02:00:00+02:00", "2024-10-27T02:00+02:00"),
        ("2024-10-27T01:40:00+00:00", "hour", "Europe/Berlin", "2024-10-27T02:00:00+01:00", "2024-10-27T02:00+01:00"),
        ("2018-11-04T12:00:00+00:00", "day", "America/Sao_Paulo", "2018-11-04T01:00:00-02:00", "2018-11-04"),
        ("0001-01-01T12:00:00+00:00", "year", "UTC", "0001-01-01T00:00:00+00:00", "0001"),
    ],
)
def test_intervals_begin_where_the_calendar_says(moment, interval, zone, start, called) -> None:
    """Also where clocks go forward over midnight, and where an hour comes twice."""
    begin = start_of(milliseconds(datetime.fromisoformat(moment)), interval, zone)
    assert begin is not None
    assert (written(begin, zone), label(begin, interval, zone)) == (start, called)


@pytest.mark.parametrize("moment", [2**60, -(2**60), 253_402_300_799_999])
def test_moments_beyond_the_calendar_have_no_interval(moment) -> None:
    """Python's calendar goes from year 1 to 9999; an end beyond it is open."""
    begin = start_of(moment, "year", "UTC")
    assert begin is None or end_of(begin, "year", "UTC") is None


def test_a_facet_is_a_small_table() -> None:
    """Bars of 20 cells for the most, counts below each other, what is selected, empty ends left out, long ones cut."""
    values = [FacetValue("Lun", 1000, "", selected=True), FacetValue("x" * 50, 500, ""), FacetValue("y\n", 1, "")]
    terms = FacetCounts("brand", "terms", "candidates", 1500, 7, tuple(values), 12, without_own_filter=True)
    ends = (FacetValue("<10", 0, "", end=10), FacetValue("10..50", 0, "", start=10, end=50), FacetValue(">=50", 0, ""))
    days = tuple(FacetValue(f"d{n}", 1, "") for n in range(42))
    found = {
        "brand": terms,
        "price": FacetCounts("price", "ranges", "filter", 0, 0, ends),
        "day": FacetCounts("day", "dates", "bm25", 9, 0, days, exact=False),
        "span": FacetCounts("price", "min-max", "filter", 3, 1, minimum=1, maximum=2.5),
        "none": FacetCounts("tags", "terms", "bm25", 0, 0),
    }
    brand, price, day, span, none = (text.plain.strip().splitlines() for text in facets_view(found))
    assert brand == [
        "brand  of 1,500 candidates of the list, whatever its own filter",
        f"✓ {'Lun':<30}  1,000 {'━' * 20}",
        f"  {'x' * 29}…    500 {'━' * 10}",
        f"  {'y' + chr(92) + 'u000a':<30}      1 ━",
        f"  {'others':<30}     12",
        f"  {'without':<30}      7",
    ]
    assert price == ["price  of 0 documents that pass the filter", "  10..50  0"]
    assert day[0] == "day  of about 9 documents with a word of the query"
    assert day[-2:] == [f"  d39  1 {'━' * 20}", "  … and 2 more"]
    assert span == ["span  of 3 documents that pass the filter", "  1 to 2.5   (1 without)"]
    assert none[-1] == "  nothing to count"
