"""Words of a query by what an analyzer answers, and conditions of a filter as text."""

from __future__ import annotations

import pytest

from hybrid_search.filters import parse
from hybrid_search.records import IndexSchema, Query
from hybrid_search.search.query_syntax import read_query
from hybrid_search.search.why_not_filters import conditions_of, said
from hybrid_search.search.why_not_records import LegPlace, Reason, WhyNot
from hybrid_search.search.why_not_verdict import verdict_of
from hybrid_search.search.why_not_words import _words, query_words, shared_terms, term_clauses

SCHEMA = IndexSchema(None, None, keyword_fields=("brand",), number_fields=("price",))


def token(term: str, start: int, end: int) -> dict:
    return {"token": term, "start_offset": start, "end_offset": end}


def test_words_have_the_terms_that_touch_them() -> None:
    """A word may make several terms, a stop word none, and offsets count 16-bit units: a picture is two of them."""
    text = "the \U0001f389 wi-fi Dates"
    tokens = [token("\U0001f389", 4, 6), token("wi", 7, 9), token("fi", 10, 12), token("date", 13, 18)]
    assert _words(text, tokens) == [
        ("the", ()),
        ("\U0001f389", ("\U0001f389",)),
        ("wi", ("wi",)),
        ("fi", ("fi",)),
        ("Dates", ("date",)),
    ]


def test_words_are_counted_by_passages() -> None:
    """What no passage holds has 0."""
    words = query_words({"the": {"text": ()}, "Dates": {"text": ("date",)}, "rice": {"text": ("rice",)}}, {"Dates": 2})
    assert [(word.text, word.passages, word.is_stop_word) for word in words] == [
        ("the", 0, True),
        ("Dates", 2, False),
        ("rice", 0, False),
    ]


def test_a_word_is_looked_for_in_every_text_by_its_own_terms() -> None:
    """Two texts of different analyzers make "date" and "dates" of a word; a stop word of both has no clause."""
    words = {"Dates": {"text": ("date",), "words.title": ("dates",)}, "the": {"text": (), "words.title": ()}}
    wanted = [{"terms": {"text": ["date"]}}, {"terms": {"words.title": ["dates"]}}]
    assert term_clauses(words) == {"Dates": {"bool": {"should": wanted, "minimum_should_match": 1}}}
    assert [word.terms for word in query_words(words, {})] == [("date", "dates"), ()]


def test_terms_that_met_are_sorted_by_product() -> None:
    """2 * 1 = 2 before .5 * 3 = 1.5; a term of one side alone is none."""
    met = shared_terms({"7": 0.5, "8": 2.0, "9": 9.0}, {"7": 3.0, "8": 1.0}, {"8": "rice"})
    assert [(one.term, one.word, one.product) for one in met] == [("8", "rice", 2.0), ("7", None, 1.5)]


@pytest.mark.parametrize(
    "text",
    [
        "brand=Sony",
        'brand="Canon Inc."',
        "price>=10 and price<100",
        "brand in (Sony, Canon)",
        "brand=*",
        "brand=a or price=1",
        "brand^=So",
        "brand*=on",
        "shop within 5km of 48.1,11.5",
        "shop within 48,11 to 49,12",
    ],
    ids=["equal", "quoted", "range", "in", "any", "or", "begins", "holds", "near", "box"],
)
def test_a_filter_as_text_is_read_as_the_same(text) -> None:
    """What is printed can be given again."""
    assert parse(said(parse(text))) == parse(text)


def test_a_conjunction_is_tested_part_by_part() -> None:
    """Nested or not; a disjunction is one condition, and signs of the query's text are conditions too."""
    query = Query("x", filter=parse("brand=Sony and (price<5 and not (brand=A or brand=B))"))
    assert [one.text for one in conditions_of(query, SCHEMA)] == ["brand=Sony", "price<5", "not (brand=A or brand=B)"]
    typed = Query('"desk lamp" -toy', read=read_query('"desk lamp" -toy', SCHEMA))
    assert [one.text for one in conditions_of(typed, SCHEMA)] == ['"desk lamp"', "-toy"]
    fields = Query("lamp brand:Sony", read=read_query("lamp brand:Sony -price:5", SCHEMA))
    assert [(one.text, one.fields) for one in conditions_of(fields, SCHEMA)] == [
        ("brand:Sony", ("brand",)),
        ("-price:5.0", ("price",)),
    ]


def test_a_graph_that_missed_is_named() -> None:
    """By exact search third of a window of 10, and not found in the search; not so where the filter removed it."""
    missed = LegPlace("dense", 10, score=0.9, rank=3, cosine=0.8)
    assert missed.missed_by_graph
    assert not LegPlace("dense", 10, score=0.9, rank=3, cosine=0.8, filtered=True).missed_by_graph
    assert not LegPlace("dense", 10, score=0.9, rank=11, cosine=0.8).missed_by_graph
    found = verdict_of(WhyNot("q", "d", Reason.NOT_FOUND, "", legs=[missed]))
    assert found.verdict == "the graph search missed it: by exact search it has rank 3 in the dense leg"
