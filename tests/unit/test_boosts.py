"""Business rules: what a document is worth, what of the ranking they change, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_search_procedure import SCHEMA, Asked

from hybrid_search.boosts import CURVES, Boost, Fresh, Log1p, Saturation, parse_boost
from hybrid_search.errors import QueryError, SettingsError
from hybrid_search.filters import Range
from hybrid_search.records import LegScore, Placed
from hybrid_search.search.boosts import Boosts, boosted, parted, plan_boosts
from hybrid_search.search.fusion import Fused
from hybrid_search.search.request import SearchRequest
from hybrid_search.settings import SearchSettings

DAY = 86_400_000
NOW = 20_000 * DAY


@pytest.mark.parametrize(
    ("boost", "days", "worth"),
    [
        (Fresh("d", "30d"), 0, 1),
        (Fresh("d", "30d"), 30, 0.5),
        (Fresh("d", "30d"), 60, 0.25),
        (Fresh("d", "30d"), -30, 0.5),
        (Fresh("d", "30d", offset="10d"), 40, 0.5),
        (Fresh("d", "30d", offset="10d"), 10, 1),
        (Fresh("d", "30d", decay=0.1), 15, 0.1**0.5),
        (Fresh("d", "30d", curve="gauss"), 30, 0.5),
        (Fresh("d", "30d", curve="gauss"), 60, 0.5**4),
        (Fresh("d", "30d", curve="linear"), 15, 0.75),
        (Fresh("d", "30d", curve="linear"), 60, 0),
        (Fresh("d", "4w"), 28, 0.5),
        (Fresh("d", "12h"), 1, 0.25),
    ],
    ids=str,
)
def test_a_date_is_worth_less_the_further_it_is(boost, days, worth) -> None:
    """Halved at the scale, if not said otherwise, counted from the offset on."""
    assert boost.worth([NOW - days * DAY], NOW) == pytest.approx(worth)


def test_the_nearest_of_several_dates_counts() -> None:
    """30 days, not 300."""
    assert Fresh("d", "30d").worth([NOW - 300 * DAY, NOW - 30 * DAY], NOW) == 0.5


@pytest.mark.parametrize(
    ("boost", "numbers", "worth"),
    [
        (Log1p("n", 99), (99,), 1),
        (Log1p("n", 99), (9,), 0.5),
        (Log1p("n", 99), (1000,), 1),
        (Log1p("n", 99), (-5,), 0),
        (Log1p("n", 99), (0, 9), log(10) / log(100)),
        (Saturation("n", 4), (4,), 0.5),
        (Saturation("n", 4), (12,), 12 / 16),
        (Saturation("n", 4), (0,), 0),
        (Saturation("n", 4), (-1, 12), 12 / 16),
        (Saturation("n", 4, missing=0.3), (), 0.3),
        (Log1p("n", 4), (), 0),
        (Fresh("n", missing=1), (), 1),
    ],
    ids=str,
)
def test_a_number_is_worth_more_the_larger_it_is(boost, numbers, worth) -> None:
    """The largest of several; what is missing is worth what is said of it."""
    assert boost.worth(numbers, NOW) == pytest.approx(worth)


any_number = st.floats(allow_nan=False, allow_infinity=False)


@given(st.sampled_from(sorted(CURVES)), st.floats(0.001, 0.999), st.lists(any_number, min_size=1), any_number)
def test_a_decay_is_bounded(curve, decay, dates, origin) -> None:
    """From 0 to 1, whatever the dates."""
    assert 0 <= Fresh("d", "1d", decay=decay, curve=curve).worth([d / 1e200 for d in dates], origin / 1e200) <= 1


@given(st.lists(any_number), st.floats(1e-9, 1e300))
def test_a_number_is_bounded(numbers, scale) -> None:
    """From 0 to 1, and ascending."""
    for boost in (Log1p("n", scale), Saturation("n", scale)):
        worths = [boost.worth([number], 0) for number in sorted(numbers)]
        assert worths == sorted(worths)
        assert all(0 <= worth <= 1 for worth in worths)


def test_the_short_forms() -> None:
    """The first number or duration needs no name."""
    assert parse_boost("fresh:published") == Fresh("published")
    assert parse_boost("fresh:a.b, 7d, curve=gauss,offset=1d, decay=.3,origin=2024-05") == Fresh(
        "a.b", "7d", offset="1d", decay=0.3, curve="gauss", origin="2024-05"
    )
    assert parse_boost("log1p:sold,10000") == Log1p("sold", 10000)
    assert parse_boost("saturation:rating,weight=.5,pivot=4,missing=.1") == Saturation("rating", 4, 0.5, 0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("published", "is no boost"),
        ("frsh:published", "Did you mean fresh"),
        ("fresh:", "names no field"),
        ("fresh:published,soon", "'soon' is no duration"),
        ("fresh:published,30d,60d", "is no part of the boost"),
        ("fresh:published,30d,curv=gauss", r"Did you mean curve=\.\.\."),
        ("fresh:published,30d,curve=log", "unknown curve 'log'"),
        ("fresh:published,0d", "a scale of 0d"),
        ("fresh:published,30d,decay=1", "a decay of 1"),
        ("fresh:published,30d,weight=-1", "a weight of -1"),
        ("fresh:published,30d,weight=nan", "a weight of nan"),
        ("fresh:published,30d,weight=a", "weight is 'a'"),
        ("fresh:published,30d,missing=2", "missing is 2"),
        ("log1p:sold", "gives no full"),
        ("log1p:sold,weight=2", "gives no full"),
        ("saturation:sold,0", "pivot is 0"),
        ("saturation:sold,inf", "pivot is inf"),
    ],
    ids=lambda value: value,
)
def test_what_is_no_boost_is_refused(text, said) -> None:
    """With what is wrong and how it is written; in the settings too."""
    with pytest.raises(QueryError, match=said):
        parse_boost(text)
    with pytest.raises(SettingsError, match=r"search\.boosts"):
        SearchSettings(boosts=(text,))


@given(st.text())
def test_any_text_is_a_boost_or_is_refused(text) -> None:
    """Nothing else is raised."""
    for given_ in (text, f"fresh:{text}", f"log1p:x,{text}"):
        try:
            made = parse_boost(given_)
        except QueryError as refused:
            made = refused
        assert isinstance(made, Boost | QueryError)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"boosts": "fresh:kind"}, "'kind' is no date, but a keyword.*no field with a date"),
        ({"boosts": ["log1p:kid,5"]}, "unknown field 'kid'"),
        ({"boosts": [7]}, "7 is no boost"),
        ({"pin": ["a", "a"]}, "twice"),
        ({"pin": ["a"], "bury": "a"}, "'a' is pinned and buried"),
        ({"pin": [""]}, "is no id"),
        ({"pin": [3]}, "3 is no id"),
        ({"bury": [str(n) for n in range(101)]}, "101 ids"),
    ],
    ids=str,
)
def test_nothing_is_sent_for_what_is_wrong(options, said) -> None:
    """Every option is checked first."""
    asked = Asked(lambda request: pytest.fail(request.path))
    with pytest.raises(QueryError, match=said):
        asked.search(**options)


def planned(settings=None, **options) -> Boosts:
    return plan_boosts(SearchRequest.of(**options), settings or SearchSettings(), SCHEMA)


@pytest.mark.parametrize("digits", [20, 400, 5000])
@pytest.mark.parametrize("sign", [1, -1], ids=["after", "before"])
def test_a_moment_of_more_than_64_bits_is_no_date(digits, sign) -> None:
    """As the origin of a boost and in a filter: no engine and no JSON has such a number, and few floats."""
    asked = Asked(lambda request: pytest.fail(request.path), schema=replace(SCHEMA, date_fields=("day",)))
    far = sign * 10**digits
    for options in ({"boosts": [Fresh("day", origin=far)]}, {"filter": Range("day", gte=far)}):
        with pytest.raises(QueryError, match="is no date"):
            asked.search(**options)


def test_what_a_search_gives_stands_in_the_place_of_the_settings() -> None:
    """An empty list leaves out what the settings have."""
    settings = SearchSettings(pin=("a",), bury=("b",))
    assert planned(settings) == Boosts((), ("a",), frozenset("b"))
    assert planned(settings, pin=["c"], bury=[]) == Boosts((), ("c",), frozenset())


def fused(**scores: float) -> list[Fused]:
    return [Fused(id_, score, {"bm25": LegScore(1, score, score)}) for id_, score in scores.items()]


def in_order(hits, boosts, values=None):
    return boosted(hits, boosts, values or {}, {hit.id: hit.id for hit in hits})


def test_factors_multiply_the_fused_score() -> None:
    """b: .5 x (1 + 1 x .75) x (1 + .5 x 1) = 1.3125 overtakes a, which has no value: 1 x 1 x 1."""
    boosts = Boosts(((Saturation("n", 4), NOW), (Fresh("d", weight=0.5), NOW)))
    first, second = in_order(fused(a=1.0, b=0.5), boosts, {"b": {"n": (12,), "d": (NOW,)}})
    assert (first.id, first.score, first.fused, first.boosts) == (
        "b",
        0.5 * 1.75 * 1.5,
        0.5,
        {"saturation:n": 1.75, "fresh:d": 1.5},
    )
    assert (second.id, second.score, second.boosts) == ("a", 1, {"saturation:n": 1, "fresh:d": 1})


def test_scores_of_zero_are_told_apart_by_their_factors() -> None:
    """0 x 1.5 is 0: the better factor first, then the id."""
    boosts = Boosts(((Saturation("n", 4), NOW),))
    assert [hit.id for hit in in_order(fused(a=0.0, b=0.0, c=0.0), boosts, {"c": {"n": (4,)}})] == ["c", "a", "b"]


def test_pinned_ones_stand_first_in_the_order_given_and_buried_ones_last() -> None:
    """Whatever their scores; the others keep theirs."""
    hits = in_order(fused(a=0.9, b=0.8, c=0.7, d=0.1), Boosts((), ("d", "c"), frozenset("a")))
    assert [(hit.id, hit.placed) for hit in hits] == [
        ("d", Placed.PINNED),
        ("c", Placed.PINNED),
        ("b", None),
        ("a", Placed.BURIED),
    ]
    above, between, below = parted(hits)
    assert [len(above), len(between), len(below)] == [2, 1, 1]


scores = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1), max_size=8)


@given(scores, st.lists(st.sampled_from("abcd"), unique=True), st.sets(st.sampled_from("efgh")))
def test_nothing_is_lost_or_doubled(found, pinned, buried) -> None:
    """The same hits; pinned, others, buried; each part by its rule."""
    hits = in_order(fused(**found), Boosts((), tuple(pinned), frozenset(buried)))
    assert sorted(hit.id for hit in hits) == sorted(found)
    rest = sorted(found.keys() - set(pinned) - buried, key=lambda id_: (-found[id_], id_))
    last = sorted(found.keys() & buried, key=lambda id_: (-found[id_], id_))
    assert [hit.id for hit in hits] == [id_ for id_ in pinned if id_ in found] + rest + last
