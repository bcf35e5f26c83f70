"""Filters as text and as clauses; what they select is tested on the engines (tests/contract/test_filters.py)."""

from __future__ import annotations

import operator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import reduce

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hybrid_search.errors import QueryError
from hybrid_search.filter_numbers import equals, within
from hybrid_search.filter_syntax import quoted
from hybrid_search.filters import (
    And,
    Contains,
    Eq,
    Exists,
    Filter,
    GeoBox,
    GeoDistance,
    In,
    Not,
    Or,
    Prefix,
    Range,
    clause,
    parse,
    parse_all,
)
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


GRAMMAR = [
    ("kind = Sony | Canon", In("kind", ("Sony", "Canon"))),
    ('kind="Sony"', Eq("kind", "Sony")),
    ("kind='Sony'", Eq("kind", "Sony")),
    ("kind==Sony", Eq("kind", "Sony")),
    ("kind=a AND price<5", And((Eq("kind", "a"), Range("price", lt="5")))),
    ("a=1 and b=2 or c=3", Or((And((Eq("a", "1"), Eq("b", "2"))), Eq("c", "3")))),
    ("a=1 and (b=2 or c=3)", And((Eq("a", "1"), Or((Eq("b", "2"), Eq("c", "3")))))),
    ("not a=1 and b=2", And((Not(Eq("a", "1")), Eq("b", "2")))),
    ("NOT (a=1 and b=2)", Not(And((Eq("a", "1"), Eq("b", "2"))))),
    ("not not a=1", Not(Not(Eq("a", "1")))),
    ("kind in (Sony, 'Canon, Inc.' ,x y)", In("kind", ("Sony", "Canon, Inc.", "x y"))),
    ("kind not in (Sony)", Not(In("kind", ("Sony",)))),
    ("kind in ()", In("kind", ())),
    ("made in (Japan)", In("made", ("Japan",))),
    ("made in=Japan", Eq("made in", "Japan")),
    ("brand=Sony Ericsson", Eq("brand", "Sony Ericsson")),
    ("brand=Sony Ericsson or brand=Siemens", Or((Eq("brand", "Sony Ericsson"), Eq("brand", "Siemens")))),
    ("brand=Foo (UK and more) | b", In("brand", ("Foo (UK and more)", "b"))),
    ("(brand=Foo (UK))", Eq("brand", "Foo (UK)")),
    ("brand=O'Neill", Eq("brand", "O'Neill")),
    ("brand=Orlando", Eq("brand", "Orlando")),
    ("brand=and", Eq("brand", "and")),
    ("order=1", Eq("order", "1")),
    ("not=1", Eq("not", "1")),
    ("not = 1", Eq("not", "1")),
    ('"a b=c"="*"', Eq("a b=c", "*")),
    (r'brand="say \"hi\" \\ | bye"', Eq("brand", 'say "hi" \\ | bye')),
    ("brand=' Sony '", Eq("brand", " Sony ")),
    ('brand=""', Eq("brand", "")),
    ('brand="a"|b', In("brand", ("a", "b"))),
    ("brand=a|", In("brand", ("a", ""))),
    ('price<"5"', Range("price", lt="5")),
    (r"path=C:\new", Eq("path", r"C:\new")),
    ("brand=*and", Eq("brand", "*and")),
    ("brand=* and price=*", And((Exists("brand"), Exists("price")))),
    ("brand^=So", Prefix("brand", "So")),
    ("brand *= on | ny", Or((Contains("brand", "on"), Contains("brand", "ny")))),
    ('brand*="*"', Contains("brand", "*")),
    ('"a^"=b', Eq("a^", "b")),
    ("shop within 5km of 48.1,11.5", GeoDistance("shop", 48.1, 11.5, "5km")),
    ("shop within 5 km of POINT(11.5 48.1) and a=1", And((GeoDistance("shop", 48.1, 11.5, "5 km"), Eq("a", "1")))),
    ("shop not within 48,11 to 49,12", Not(GeoBox("shop", 48.0, 11.0, 49.0, 12.0))),
    ("lat,lon within '5km of 48.1,11.5'", GeoDistance("lat,lon", 48.1, 11.5, "5km")),
    ("within=5", Eq("within", "5")),
    ("published>=now-7d", Range("published", gte="now-7d")),
]


@pytest.mark.parametrize(("expression", "filter"), GRAMMAR)
def test_the_grammar(expression, filter):
    """Quotes, escapes, words of any case, parentheses, lists and alternatives."""
    assert parse(expression) == filter


ERRORS = [
    ("brand=", None),
    ("kind", 5),
    ("=Sony", 1),
    ("a=1 and", 8),
    ("a=1 or or b=2", 8),
    ("a=1 and b", 10),
    ("a= and b=2", 4),
    ("(a=1", 5),
    ("a=1)", 4),
    ("a=(b|c)", 3),
    ("a=b (c", 7),
    ("a='b", 3),
    ('a="b" c', 7),
    ("a=>5", 3),
    ("a==<b", 4),
    ("a<1|2", 5),
    ("a<*", None),
    ("a=b|*", 6),
    ("a in (b, *)", 12),
    ("a in (b", 8),
    ("a in (b,,c)", 9),
    ("a in b", 7),
    ("a=x b=y", 5),
    ("()", 2),
    ("not", 4),
    ("", 1),
    ("(" * 200 + "a=1" + ")" * 200, 102),
    ("not " * 200 + "a=1", 405),
]


@pytest.mark.parametrize(("expression", "position"), ERRORS)
def test_an_error_says_where(expression, position):
    """By the number of the character, from 1; only what was always taken is taken."""
    if position is None:
        assert isinstance(parse(expression), Filter)
        return
    with pytest.raises(QueryError, match=rf"^character {position} of the filter"):
        parse(expression)


PIECES = st.lists(st.sampled_from([*"ab=<>!|()*\\'\", ", " and ", " or ", "not ", " in (", "=="]) | st.text(max_size=2))


@example("'\\")
@given(st.text() | PIECES.map("".join))
def test_any_text_is_a_filter_or_a_query_error(expression):
    """And nothing else."""
    try:
        found = parse(expression)
    except QueryError:
        return
    assert isinstance(found, Filter)


@given(st.text(min_size=1), st.text(), st.text())
def test_any_value_can_be_said_in_quotes(field, one, other):
    """Alone, as an alternative, in a list, and in a combination; the same for the name of a field."""
    f, a, b = map(quoted, (field, one, other))
    assert parse(f"{f}={a}") == Eq(field, one)
    assert parse(f"{f} != {a}|{b}") == Not(In(field, (one, other)))
    assert parse(f"{f} in ({a},{b})") == In(field, (one, other))
    assert parse(f"({f}<{a} and {f}={b})") == And((Range(field, lt=one), Eq(field, other)))


NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3).flatmap(
    lambda near: st.sampled_from([near, 2**53 + near, -(2**53) + near, 2**60 + near])
)
BOUNDS = st.sampled_from(["gt", "gte", "lt", "lte"])


def holds(part, value):
    """Whether a clause of :mod:`hybrid_search.filter_numbers` holds: doubles are floats, longs are whole numbers."""
    ((kind, body),) = part.items()
    ((path, condition),) = body.items()
    if path == "double":
        value = float(value)
    elif not (isinstance(value, int) and -(2**63) <= value < 2**63):
        return False
    if kind != "range":
        return value in condition if kind == "terms" else value == condition["value"]
    return all(getattr(operator, name.replace("te", "e"))(value, bound) for name, bound in condition.items())


@given(NUMBERS | st.floats(-1e15, 1e15), st.dictionaries(BOUNDS, NUMBERS, min_size=1, max_size=3))
def test_numbers_are_within_bounds_as_python_says(value, bounds):
    """For whole numbers of 64 bits, and fractions."""
    expected = all(getattr(operator, name.replace("te", "e"))(value, bound) for name, bound in bounds.items())
    assert any(holds(part, value) for part in within(bounds, "double", "exact")) == expected


@given(NUMBERS, st.lists(NUMBERS))
def test_numbers_are_equal_as_python_says(value, values):
    """Whichever of the two fields is asked."""
    assert any(holds(part, value) for part in equals(values, "double", "exact")) == (value in values)


def test_long_chains_are_no_deep_nests():
    """As a program may build them, one by one: of ``|``, of ``&`` and of ``~``."""
    one_of = reduce(operator.or_, (Eq("brand", str(n)) for n in range(70_000)))
    parts = clause(one_of, SCHEMA)["bool"]["should"]
    assert [len(part["terms"]["filter.brand"]) for part in parts] == [65_536, 70_000 - 65_536]
    assert len(clause(reduce(operator.and_, [Exists("brand")] * 1_000), SCHEMA)["bool"]["filter"]) == 1_000
    assert clause(reduce(lambda one, _: ~one, range(10_000), Exists("brand")), SCHEMA) == clause(
        Exists("brand"), SCHEMA
    )


def test_layout_1_says_that_it_cannot_tell_large_numbers_apart():
    """It has doubles only; smaller numbers are filtered on as ever."""
    old = replace(SCHEMA, layout=1)
    assert clause(Range("price", lt=2**53 - 1), old) == {"range": {"fields.price": {"lt": 9007199254740991.0}}}
    for large in (Eq("price", 2**53), In("price", (1, "9007199254740993")), Range("price", gt=-(2**60))):
        with pytest.raises(QueryError, match="hybrid-search reindex"):
            clause(large, old)


def test_several_expressions_all_hold():
    """As repeated flags of the command line do."""
    assert parse_all([]) is None
    assert parse_all(["price<9"]) == Range("price", lt="9")
    assert parse_all(["price<9", "brand=Sony"]) == And((Range("price", lt="9"), Eq("brand", "Sony")))


def test_operators_combine():
    """``&``, ``|`` and ``~`` bind as Python's do."""
    one, two, three = Eq("brand", "a"), Eq("brand", "b"), Exists("price")
    assert (one | two & ~three) == Or((one, And((two, Not(three)))))


def moment(written):
    """The clause for one date."""
    return {"range": {"filter.published": {"gte": written, "lte": written}}}


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
        (In("price", (1, 2, 1.0)), {"terms": {"filter.price": [1.0, 2.0]}}),
        (In("brand", ["Sony", "Canon", "Sony"]), {"terms": {"filter.brand": ["Sony", "Canon"]}}),
        (
            In("price", (1, 2**53)),
            {
                "bool": {
                    "should": [
                        {"term": {"filter.price": {"value": 1.0}}},
                        {"term": {"filter.price.exact": {"value": 9007199254740992}}},
                    ],
                    "minimum_should_match": 1,
                }
            },
        ),
        (
            Range("price", gt=1.5, lte="9007199254740993"),
            {
                "bool": {
                    "should": [
                        {"range": {"filter.price.exact": {"gt": 1, "lte": 9007199254740993}}},
                        {"range": {"filter.price": {"gt": 1.5, "lt": 9007199254740992.0}}},
                    ],
                    "minimum_should_match": 1,
                }
            },
        ),
        (Eq("published", "20241231T235959"), moment("2024-12-31T23:59:59")),
        (Eq("published", " 2024-12-31 23:59 "), moment("2024-12-31T23:59:00")),
        (Eq("published", "20241231"), moment("2024-12-31||/d")),
        (Or(()), {"match_none": {}}),
        (Eq("brand", "a") | Eq("brand", "b") | Eq("brand", "c"), {"terms": {"filter.brand": ["a", "b", "c"]}}),
        (
            Exists("brand") & Exists("price") & Exists("published"),
            {"bool": {"filter": [{"exists": {"field": f"filter.{name}"}} for name in ("brand", "price", "published")]}},
        ),
        (~~~Exists("brand"), {"bool": {"must_not": [{"exists": {"field": "filter.brand"}}]}}),
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
        (Eq("price", 10**400), "is no number"),
        (Eq("price", 10**5000), "a number of thousands of digits is no number"),
        (Eq("price", None), "None is no number"),
        (Eq("price", [1]), "[1] is no number"),
        (Range("price", lt=(1, 2)), "(1, 2) is no number"),
        (Eq("price", date(2024, 1, 1)), "is no number"),
        (Eq("brand", None), "None is no keyword"),
        (Eq("brand", ["Sony"]), "['Sony'] is no keyword"),
        (Eq("brand", "\ud800"), "is no keyword"),
        (Eq("brand", 10**5000), "is no keyword"),
        (Eq("brand", "x" * 40_000), "is no keyword"),
        (Eq("published", None), "None is no date"),
        (Eq("published", [2024]), "[2024] is no date"),
        (Eq("published", "0000"), "'0000' is no date"),
        (Eq("published", "2024-01-01T00:00:00+01:02:03"), "is no date"),
        (In("brand", "Sony"), "'Sony' is no list of values"),
        (In("brand", None), "None is no list of values"),
        (In("brand", ("Sony", 1.5)), "1.5 is no keyword"),
        (In("brand", tuple(map(str, range(65_537)))), "65,537 values"),
        (In("published", tuple(map(str, range(1000, 2001)))), "1,001 conditions or dates"),
        (And((Exists("brand"),) * 1_001), "1,001 conditions"),
        (And(None), "None are no parts of a filter"),
        (Or(Exists("brand")), "are no parts of a filter"),
        (reduce(lambda one, n: ~one if n % 2 else one | Exists("brand"), range(60), Exists("price")), "nested deeper"),
        (Eq(["brand"], "Sony"), "is no name of a field"),
        (Exists(None), "None is no name of a field"),
    ],
)
def test_what_the_index_cannot_filter_on_is_refused(filter, message):
    """Before anything is sent; wherever in a combination it stands."""
    for wrapped in (filter, Not(filter), And((filter,)), Or((filter,))):
        with pytest.raises(QueryError) as caught:
            clause(wrapped, SCHEMA)
        assert message in str(caught.value)
