"""Prices, dates, words and lists as people write them: what is read, and what could be read in two ways."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import QueryError
from hybrid_search.fields import check, filter_values, moment, number, strays
from hybrid_search.filters import clause, parse
from hybrid_search.readings import PRINTED, boolean_in, parts_of
from hybrid_search.records import FieldReading, IndexSchema

AMOUNTS = [
    # text, with a decimal point, with a decimal comma
    ("$792.29", 792.29, 792.29),
    ("€53,05", 53.05, 53.05),
    ("1,234", 1234, 1.234),
    ("1.234", 1.234, 1234),
    ("1.234,50", 1234.5, 1234.5),
    ("1,234.50", 1234.5, 1234.5),
    ("1 234,50 €", 1234.5, 1234.5),
    ("1\u202f234\u00a0€", 1234, 1234),
    ("CHF 1'234.50", 1234.5, 1234.5),
    ("₹12,34,567", 1_234_567, 1_234_567),
    ("1.299,-", 1299, 1299),
    ("1,234,567", 1_234_567, 1_234_567),
    ("0,123", 0.123, 0.123),
    ("-$5", -5, -5),
    ("$ -5", -5, -5),
    ("(12.50)", -12.5, -12.5),
    ("45 %", 45, 45),
]


@pytest.mark.parametrize(("text", "point", "comma"), AMOUNTS, ids=[text for text, *_ in AMOUNTS])
def test_signs_of_money_and_separators_of_thousands(text, point, comma):
    """Only one mark before three digits can be read in two ways, and the field's decimal mark decides."""
    assert (number(text), number(text, ",")) == (point, comma)


@pytest.mark.parametrize(
    "text",
    [
        "on request",
        "",
        "$",
        "1,23,4",
        "1.2.3",
        "49 30",
        "SKU 12",
        "12 kg",
        "(5",
        "5)",
        "1_000",
        "3-4",
        "MAX 12",
    ],
)
def test_what_is_no_amount(text):
    """Groups that are no thousands, words that are no money."""
    for decimal in ".,":
        with pytest.raises(ValueError, match="a finite number"):
            number(text, decimal)


@given(
    st.integers(-(10**12), 10**12),
    st.integers(0, 99),
    st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", ".")]),
)
def test_any_amount_is_read_back(whole, cents, marks):
    """With separators of thousands of every country and two digits behind the decimal mark."""
    thousands, decimal = marks
    text = f"{whole:,}".replace(",", thousands) + f"{decimal}{cents:02}"
    expected = float(f"{whole}.{cents:02}")
    assert (number(text), number(text, decimal)) == (expected, expected)


def test_long_texts_cost_nothing():
    """Patterns with optional blanks would take minutes for these."""
    for text in ("- " + " " * 10**6 + "x", "9" * 5_000, "1 " * 10**6):
        for decimal in ".,":
            with pytest.raises(ValueError, match="a finite number"):
                number(text, decimal)
        with pytest.raises(ValueError, match="an ISO-8601 date"):
            moment(f"x{text}")


DATES = [
    # text, without an order, day first, month first
    ("26/05/2025", "2025-05-26", "2025-05-26", None),
    ("05/26/2025", "2025-05-26", None, "2025-05-26"),
    ("05/07/2022", None, "2022-07-05", "2022-05-07"),
    ("5.7.2022", "2022-07-05", "2022-07-05", "2022-07-05"),
    ("07/07/2022", "2022-07-07", "2022-07-07", "2022-07-07"),
    ("01/02/2024 3:30 PM", None, "2024-02-01T15:30:00", "2024-01-02T15:30:00"),
]
SAME_IN_ALL = [
    ("Jun 15, 2021", "2021-06-15"),
    ("16 January 2024", "2024-01-16"),
    ("16-Jan-2024", "2024-01-16"),
    ("3rd Sept. 2020", "2020-09-03"),
    ("Tue, 16 Jan 2024 10:00:00 GMT", "2024-01-16T10:00:00+00:00"),
    ("2024/1/6", "2024-01-06"),
    ("20240116", "2024-01-16"),
    (20240116, "2024-01-16"),
    (1_705_363_200_000, 1_705_363_200_000),
]
DATES += [(text, iso, iso, iso) for text, iso in SAME_IN_ALL]


@pytest.mark.parametrize(("text", "none", "day", "month"), DATES, ids=[str(text) for text, *_ in DATES])
def test_dates(text, none, day, month):
    """What comes first is known, or what the numbers leave; else it is no date, rather than a wrong one."""
    for order, expected in ((None, none), ("day", day), ("month", month)):
        if expected is None:
            with pytest.raises(ValueError, match="an ISO-8601 date"):
                moment(text, order)
        else:
            assert moment(text, order) == expected


@pytest.mark.parametrize("text", ["31.02.2024", "Foo 3, 2020", "January 2024", "13/13/2024", "Ma 3, 2020", "1.2.3"])
def test_what_is_no_date(text):
    """Days that no month has, months that no year has."""
    with pytest.raises(ValueError, match="an ISO-8601 date"):
        moment(text, "day")


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.sampled_from(["day", "month"]))
def test_any_day_is_read_back(day, order):
    """In each written form."""
    slashes = day.strftime("%d/%m/%Y" if order == "day" else "%m/%d/%Y")
    for text in (
        slashes,
        *(day.strftime(form) for form in ("%d.%m.%Y", "%b %d, %Y", "%d %B %Y", "%Y%m%d", "%Y/%m/%d")),
    ):
        assert moment(text, order) == day.isoformat()


def test_words_for_yes_and_no():
    """In any case; other words say neither."""
    assert [boolean_in(word) for word in ("yes", "TRUE", "1", 1, True, "Ja")] == [True] * 6
    assert [boolean_in(word) for word in ("no", "False", "0", 0, "non")] == [False] * 5
    assert [boolean_in(word) for word in ("maybe", "", 2, "none")] == [None] * 4


def test_several_values_in_one_cell():
    """Between separators, or printed by Python or as JSON; what is no such list is one value."""
    assert parts_of("sale| kids |", "|") == ["sale", "kids"]
    assert parts_of("['new', 'a, b']", PRINTED) == ["new", "a, b"]
    assert parts_of('["new", "sale"]', PRINTED) == ["new", "sale"]
    assert [parts_of(value, PRINTED) for value in ("new", "[new]", 7)] == [["new"], ["[new]"], [7]]
    assert parts_of("a|b", None) == ["a|b"]


SCHEMA = IndexSchema(
    None,
    None,
    keyword_fields=("stock", "tags"),
    number_fields=("price",),
    date_fields=("day",),
    readings={
        "stock": FieldReading(boolean=True, lenient=True),
        "tags": FieldReading(separator="|"),
        "price": FieldReading(decimal=",", lenient=True),
        "day": FieldReading(date_order="day"),
    },
)


def test_a_field_is_written_as_its_reading_says():
    """And the record itself is not changed; what a lenient field cannot read is left out."""
    fields = {"stock": "yes", "tags": "sale|kids", "price": "1.234", "day": "05/07/2022"}
    assert filter_values(fields, SCHEMA) == {
        "stock": True,
        "tags": ["sale", "kids"],
        "price": 1234,
        "day": "2022-07-05",
    }
    assert fields == {"stock": "yes", "tags": "sale|kids", "price": "1.234", "day": "05/07/2022"}
    assert filter_values({"stock": "perhaps", "price": ["on request", "NaN", "5"]}, SCHEMA) == {"price": 5}


def test_values_that_are_left_out_are_told_from_missing_ones():
    """A word for no value is none that could not be read."""
    assert strays({"stock": "perhaps", "price": ["on request", "NaN", "5", "-"]}, SCHEMA) == {
        "stock": ["perhaps"],
        "price": ["on request"],
    }
    check("on request", "price", "number", FieldReading(lenient=True))
    with pytest.raises(Exception, match="the keyword field 'stock' must be yes or no, true or false, 1 or 0, got 'x'"):
        check("x", "stock", "keyword", FieldReading(boolean=True))


FILTERS = [
    ("stock=yes", {"term": {"filter.stock": {"value": "true"}}}),
    ("stock=FALSE", {"term": {"filter.stock": {"value": "false"}}}),
    ("price<1.234", {"range": {"filter.price": {"lt": 1234.0}}}),
    ("price>=€53,05", {"range": {"filter.price": {"gte": 53.05}}}),
    ("day=05/07/2022", {"range": {"filter.day": {"gte": "2022-07-05||/d", "lte": "2022-07-05||/d"}}}),
    ("day<Jun 15, 2021", {"range": {"filter.day": {"lt": "2021-06-15||/d"}}}),
    ("day>20240116", {"range": {"filter.day": {"gt": "2024-01-16||/d"}}}),
    ("day>1705363200000", {"range": {"filter.day": {"gt": 1_705_363_200_000}}}),
    ("tags=sale|kids", {"terms": {"filter.tags": ["sale", "kids"]}}),
]


@pytest.mark.parametrize(("expression", "expected"), FILTERS, ids=[expression for expression, _ in FILTERS])
def test_filters_take_the_form_that_hits_show(expression, expected):
    """As the documents are read, with the reading of the field."""
    assert clause(parse(expression), SCHEMA) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("stock=perhaps", "stock: 'perhaps' is neither yes nor no"),
        ("price<cheap", "price: 'cheap' is no number"),
        ("day=1705363200", "day: '1705363200' is no date"),
        ("day=2024-13-01", "day: '2024-13-01' is no date"),
    ],
)
def test_what_cannot_be_read_is_said(expression, message):
    """Instead of finding nothing."""
    with pytest.raises(QueryError, match=message):
        clause(parse(expression), SCHEMA)


def test_a_day_is_a_whole_day_in_every_form():
    """Thirty days in a row, so that no pair of day and month is mistaken."""
    for step in range(30):
        day = date(2024, 1, 1) + timedelta(step * 12)
        wanted = clause(parse(f"day={day.isoformat()}"), SCHEMA)
        assert clause(parse(f"day={day.strftime('%d/%m/%Y')}"), SCHEMA) == wanted
