"""Filters of Haystack on metadata of any shape: what Haystack's own comparison says of a document, terms say too."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from haystack.dataclasses import Document
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter
from hypothesis import assume, given
from hypothesis import strategies as some

from hybrid_search.filters import And, Eq, Exists, Filter, In, Not, Or, Range
from hybrid_search.frameworks import metadata_terms
from hybrid_search.frameworks.haystack_documents import Legs, to_ours
from hybrid_search.frameworks.haystack_filters import TERMS, translated

NUMBERS = (
    some.integers(-3, 3)
    | some.integers()
    | some.integers(2**53 - 3, 2**53 + 3)
    | some.floats(allow_nan=False)
    | some.booleans()
    | some.sampled_from([0.0, -0.0, 0.5, 2.0, math.inf, -math.inf, 2**53, -(2**53) - 1, 2**64, 5e-324])
)
ZONES = some.none() | some.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
MAY = datetime.fromisoformat("2024-05-31")
EARLIEST, LATEST = (datetime.fromisoformat(day) for day in ("0001-01-02", "9999-12-30"))
MOMENTS = some.datetimes(EARLIEST, LATEST, timezones=ZONES, allow_imaginary=False)
NEAR = some.builds(
    lambda minutes, zone: datetime(2024, 5, 31, tzinfo=zone) + timedelta(minutes=minutes), some.integers(-2, 2), ZONES
)
DATES = (MOMENTS | NEAR).map(lambda moment: moment.isoformat())
TEXTS = some.text(alphabet="abé1-", max_size=4) | some.sampled_from(["a" * 2_000, "1", "2024-05-31", "\x1f"])
OBJECTS = some.dictionaries(some.sampled_from("xy"), some.integers(0, 2) | some.text("ab", max_size=1), max_size=2)
ANYTHING = some.none() | NUMBERS | DATES | MOMENTS | NEAR | TEXTS | OBJECTS


def holds(wanted: Filter, terms: set[str]) -> bool:
    """What an engine says of a document that has these terms."""
    match wanted:
        case In(field, values):
            assert field == TERMS
            return not terms.isdisjoint(values)
        case Not(part):
            return not holds(part, terms)
        case And(parts):
            return all(holds(part, terms) for part in parts)
        case Or(parts):
            return any(holds(part, terms) for part in parts)
    raise AssertionError(wanted)


def says(document: Document, filters: dict[str, Any]) -> bool:
    """Whether the terms of a document pass a filter."""
    wanted = translated(filters)
    assert wanted is not None
    return holds(wanted, set(to_ours(document, Legs(), 0).fields[TERMS]))


def expected(document: Document, filters: dict[str, Any]) -> bool:
    """What Haystack says; a comparison that it refuses is not looked at."""
    try:
        return document_matches_filter(filters, document)
    except (FilterError, TypeError):
        assume(False)
        raise AssertionError from None


@given(ANYTHING, some.sampled_from(["==", "!="]), ANYTHING)
def test_equality_is_haystacks(held: Any, operator: str, value: Any) -> None:
    """Numbers of different types are equal, moments of different clocks are, and nothing is equal to a text."""
    document, filters = Document(meta={"k": held}), {"field": "meta.k", "operator": operator, "value": value}
    assert says(document, filters) == expected(document, filters)


@given(NUMBERS, some.sampled_from([">", ">=", "<", "<="]), NUMBERS)
def test_numbers_have_an_order(held: Any, operator: str, value: Any) -> None:
    """Whole numbers and fractions of any size compare with each other."""
    document, filters = Document(meta={"k": held}), {"field": "meta.k", "operator": operator, "value": value}
    assume(metadata_terms.digits_of(held) is not None and metadata_terms.digits_of(value) is not None)
    assert says(document, filters) == expected(document, filters)


@given(DATES | MOMENTS | NEAR, some.sampled_from([">", ">=", "<", "<="]), DATES | MOMENTS | NEAR)
def test_dates_have_an_order(held: Any, operator: str, value: Any) -> None:
    """As texts or objects, with a time zone or without: one without takes the other's."""
    document, filters = Document(meta={"k": held}), {"field": "meta.k", "operator": operator, "value": value}
    assert says(document, filters) == expected(document, filters)


@given(ANYTHING, some.sampled_from(["in", "not in"]), some.lists(ANYTHING, max_size=4))
def test_lists_of_values_are_haystacks(held: Any, operator: str, values: list[Any]) -> None:
    """One of the values holds, None among them."""
    document, filters = Document(meta={"k": held}), {"field": "k", "operator": operator, "value": values}
    assert says(document, filters) == expected(document, filters)


CONDITIONS = some.recursive(
    some.builds(
        lambda field, operator, value: {"field": f"meta.{field}", "operator": operator, "value": value},
        some.sampled_from("kl"),
        some.sampled_from(["==", "!=", "<", ">="]),
        some.integers(0, 2),
    ),
    lambda inner: some.builds(
        lambda operator, conditions: {"operator": operator, "conditions": conditions},
        some.sampled_from(["AND", "OR", "NOT"]),
        some.lists(inner, max_size=3),
    ),
    max_leaves=6,
)


@given(CONDITIONS, some.dictionaries(some.sampled_from("kl"), some.integers(0, 2)))
def test_conditions_are_haystacks(filters: dict[str, Any], meta: dict[str, Any]) -> None:
    """NOT is that not all hold; of no conditions all hold, and none of any."""
    document = Document(meta=meta)
    assert says(document, filters) == expected(document, filters)


@given(some.integers() | some.floats(allow_nan=False), some.integers() | some.floats(allow_nan=False))
def test_digits_ascend_with_numbers(one: float, other: float) -> None:
    """Their order as texts is that of the numbers, and equal ones are the same."""
    first, second = metadata_terms.digits_of(one), metadata_terms.digits_of(other)
    assume(first is not None and second is not None)
    assert (first < second, first == second) == (one < other, one == other)


@given(NUMBERS | TEXTS)
def test_a_term_says_its_value(value: Any) -> None:
    """A value that is listed is what was written, of the same type; a long text is known to be one."""
    assume(not isinstance(value, int) or metadata_terms.digits_of(value) is not None)
    term = next(term for term in metadata_terms.terms("meta.k", value) if term.startswith("=meta.k"))
    if metadata_terms.holds_hash(term):
        assert metadata_terms.value_with("meta.k", {"meta": {"k": ["other", value]}}, term) == value
    else:
        said = metadata_terms.value_in(term)
        assert (said, type(said)) == (value, type(value))


def test_a_number_has_few_terms() -> None:
    """1 is 0x3ff0.., with its sign turned bff: three beginnings, itself, and that it is there."""
    assert metadata_terms.digits_of(1) == "bff"
    terms = list(metadata_terms.terms("k", 1))
    assert [term.replace("\x1f", "~") for term in terms] == ["?k~i", "=k~nbff!i", "#k~b", "#k~bf", "#k~bff"]
    assert all(len(metadata_terms.ordered("k", sign, 2023.25)) <= 300 for sign in (">", ">=", "<", "<="))


@pytest.mark.parametrize(
    ("held", "filters"),
    [
        (["a", "b"], {"field": "meta.k", "operator": "==", "value": "b"}),
        (["a", "b"], {"field": "meta.k", "operator": "in", "value": ["c", "b"]}),
        (["a", "b"], {"field": "meta.k", "operator": "==", "value": ["a", "b"]}),
        ([1, 5], {"field": "meta.k", "operator": ">", "value": 4}),
        ([{"n": 1}, {"n": 2}], {"field": "meta.k.n", "operator": "==", "value": 2}),
        ({"n": {"m": None, "o": 3}}, {"field": "meta.k.n.o", "operator": "==", "value": 3}),
        ({"a.b": 1}, {"field": "meta.k.a.b", "operator": "==", "value": 1}),
        ("e\u0301", {"field": "meta.k", "operator": "!=", "value": "e"}),
        (date(2024, 5, 31), {"field": "meta.k", "operator": "<", "value": "2024-06-01"}),
        (b"x", {"field": "meta.k", "operator": "!=", "value": None}),
        ([], {"field": "meta.k", "operator": "!=", "value": None}),
    ],
)
def test_what_engines_find_in_lists_and_objects(held: Any, filters: dict[str, Any]) -> None:
    """A list holds its items, as engines have it; keys of objects are behind a dot."""
    assert says(Document(meta={"k": held}), filters)


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("id", "a", True),
        ("id", "b", False),
        ("content", "some text", True),
        ("content", "some", False),
        ("content", 5, False),
        ("score", 0.5, True),
        ("embedding", None, False),
        ("sparse_embedding", None, True),
        ("blob", None, True),
    ],
)
def test_what_is_no_metadata_is_filtered_on_too(field: str, value: Any, found: bool) -> None:
    """Ids, contents and scores by their values; vectors and blobs by being there."""
    document = Document(id="a", content="some text", score=0.5, embedding=[1.0])
    assert says(document, {"field": field, "operator": "==", "value": value}) is found


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"field": "k", "operator": "~", "value": 1}, "'~'"),
        ({"operator": "XOR", "conditions": []}, "'XOR'"),
        ({"operator": "AND", "conditions": 5}, "conditions"),
        ({"operator": "AND", "conditions": [5]}, "5 is no filter"),
        ({"field": "", "operator": "==", "value": 1}, "no name"),
        ({"field": "k", "operator": ">", "value": "soon"}, "'soon'"),
        ({"field": "k", "operator": ">", "value": {}}, "ISO"),
        ({"field": "k", "operator": "in", "value": "abc"}, "list"),
        ({"field": "embedding", "operator": "==", "value": [1.0]}, "None alone"),
        ("k == 1", "dictionary"),
    ],
)
def test_what_is_no_filter_is_named(filters: Any, named: str) -> None:
    """The operator, or what is wrong with the value, and what to give."""
    with pytest.raises(FilterError, match=named):
        translated(filters)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"field": "meta.year", "operator": ">=", "value": 2020}, Range("year", gte=2020)),
        ({"field": "brand", "operator": "==", "value": "Sony"}, Eq("brand", "Sony")),
        ({"field": "brand", "operator": "in", "value": ["a", "b"]}, In("brand", ("a", "b"))),
        ({"field": "brand", "operator": "==", "value": None}, Not(Exists("brand"))),
        ({"field": "brand", "operator": "in", "value": ["a", None]}, Or((Not(Exists("brand")), Eq("brand", "a")))),
        ({"field": "brand", "operator": "in", "value": []}, In("brand", ())),
        (
            {"field": "day", "operator": "<", "value": "2024-05-31"},
            Range("day", lt=MAY),
        ),
    ],
)
def test_declared_fields_are_compared_by_their_names(filters: dict[str, Any], wanted: Filter) -> None:
    """In an index that was not made by a store, a filter is of the fields that its settings declared."""
    assert translated(filters, declared=True) == wanted


def test_nothing_lets_everything_pass() -> None:
    """None and an empty dictionary are no filter."""
    assert translated(None) is translated({}) is None


def test_a_date_with_a_time_zone_is_compared_with_moments() -> None:
    """Noon in Berlin is before eleven in London, an hour later; its wall clock is that of noon anywhere."""
    noon = Document(meta={"k": "2024-05-31T12:00:00+02:00"})
    assert says(noon, {"field": "k", "operator": "<", "value": datetime(2024, 5, 31, 11, tzinfo=UTC)})
    assert says(noon, {"field": "k", "operator": "==", "value": "2024-05-31T12:00:00"})
