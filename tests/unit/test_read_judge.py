"""What ``init`` takes a column for, and why: values as people write them, names in every spelling."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.read.judge import Column, Finding, Role, judged
from hybrid_search.read.languages import analyzer_for, languages
from hybrid_search.read.names import id_rank, is_body, is_dated, title_rank
from hybrid_search.read.survey import survey


def found(*values, name="f"):
    """The finding for a column; ``found("a", "b")``."""
    return judged(Column(name, list(values)))


PRICES = ["515.14", "$792.29", "1,299.00", "12"] * 10
WORDS = ["yes", "no", "1", "0", "TRUE"]

COLUMNS = {
    "prices": (found(*PRICES), Finding("number", Role.NUMBER, "numbers")),
    "prices-and-a-phrase": (
        found(*PRICES, *["on request"] * 7),
        Finding("number", Role.NUMBER, "numbers; 7 of 47 are not: on request", lenient=True),
    ),
    "prices-and-two-typos": (
        found(*PRICES, "12.5O", "l2"),
        Finding("number", Role.NUMBER, "numbers; 2 of 42 are not: 12.5O", lenient=True),
    ),
    "too-few-prices": (found(*PRICES[:20], *"abcde"), Finding("text", Role.KEYWORD, "9 values")),
    "ratings": (
        found("3.5", "NaN", "4", "NaN"),
        Finding("number", Role.NUMBER, "numbers; 2 missing"),
    ),
    "decimal-commas": (
        found("12,50", "1.234,00", "1.299"),
        Finding("number", Role.NUMBER, "numbers, with a decimal comma", decimal=","),
    ),
    "words-for-yes": (found(*WORDS), Finding("boolean", Role.BOOLEAN, "yes or no, in 5 words")),
    "one-word-for-yes": (found("yes", "yes"), Finding("boolean", Role.BOOLEAN, "yes or no")),
    "norway": (found("NO", "NO"), Finding("text", Role.KEYWORD, "1 value")),
    "digits-are-numbers": (found("1", "0", "1"), Finding("number", Role.NUMBER, "numbers")),
    "booleans-of-json": (found(True, False), Finding("boolean", Role.KEYWORD, "yes or no")),
    "days-first": (
        found("26/05/2025", "05/07/2022", "2024-01-13"),
        Finding("date", Role.DATE, "dates, the day first", date_order="day"),
    ),
    "months-first": (
        found("05/26/2025", "05/07/2022"),
        Finding("date", Role.DATE, "dates, the month first", date_order="month"),
    ),
    "day-or-month": (
        found("05/07/2022", "01/02/2023"),
        Finding("date", Role.STORED, "day or month first? say it in date_order"),
    ),
    "written-months": (found("Jun 15, 2021", "3 May 2020"), Finding("date", Role.DATE, "dates")),
    "milliseconds": (
        found(1_705_363_200_000, 1_705_363_300_000, name="createdAt"),
        Finding("date", Role.DATE, "dates"),
    ),
    "milliseconds-of-no-time": (found(1_705_363_200_000, name="views"), Finding("number", Role.NUMBER, "numbers")),
    "eight-digits": (found("20240116", 20240117, name="day"), Finding("date", Role.DATE, "dates")),
    "years": (found("2022", "2023", name="published"), Finding("number", Role.NUMBER, "numbers")),
    "post-codes": (
        found("01730", "10115"),
        Finding("numeric label", Role.KEYWORD, "leading zeros or plus signs"),
    ),
    "bars": (
        found(*["sale|kids", "new|sale", "kids"] * 4),
        Finding("list in a cell", Role.KEYWORD, "lists, split at |", separator="|"),
    ),
    "commas": (
        found(*["red, blue", "blue, green", "red"] * 4),
        Finding("list in a cell", Role.KEYWORD, "lists, split at ,", separator=","),
    ),
    "sentences-with-commas": (
        found("We came, we saw, we left again", "No rain, no flowers, they say"),
        Finding("text", Role.TEXT, "6 words long"),
    ),
    "printed-lists": (
        found("['new', 'sale']", "['#fff']"),
        Finding("printed list", Role.KEYWORD, "printed lists of labels", separator="[]"),
    ),
    "printed-vectors": (found("[1.5, 2.5]", "[0.1]"), Finding("printed list", Role.STORED, "printed lists")),
    "colours": (found("#ff8800", "#00aaff"), Finding("text", Role.STORED, "few letters")),
    "telephones": (found("(030) 123 45 67", "030 / 99 88 77"), Finding("text", Role.STORED, "few letters")),
    "addresses": (found("https://a.b/c", "http://d.e"), Finding("text", Role.STORED, "addresses")),
    "html": (
        found("<p>one two</p>", "<b>three</b> four <script>x y z</script>"),
        Finding("HTML", Role.TEXT, "2 words long without its tags", html=True),
    ),
    "labels-with-entities": (found(*["Pots &amp; Pans"] * 3), Finding("text", Role.KEYWORD, "1 value")),
    "one-tag-in-many-texts": (
        found(*["a text of some words"] * 3, "how does <div> work at all", *"bcdefgh", name="text"),
        Finding("text", Role.TEXT, "3 words long"),
    ),
    "han": (found("猫が庭で魚を食べている", "山の上の小さな茶屋で休む"), Finding("text", Role.TEXT, "6 words long")),
    "mixed": (found(1, "odd", [2]), Finding("mixed", Role.STORED, "of several types")),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_what_a_column_holds(case):
    """Its kind, its role, why, and how its values are to be read."""
    seen, expected = COLUMNS[case]
    assert seen == expected


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12), min_size=1, max_size=9))
def test_any_values_are_judged(values):
    """Whatever they are, there is a kind and a role."""
    assert judged(Column("f", values)).kind


TITLES = ["title", "Product Title", "productTitle", "product_title", "meta.headline", "TITEL", "title_en", "Body.Title"]
NAMES = ["name", "Item Name", "productName", "Produkt", "label"]
NO_TITLES = ["brand_name", "Author Name", "firstName", "file name", "titles of honour", "subtitle", "names", "category"]


@pytest.mark.parametrize(("names", "rank"), [(TITLES, 2), (NAMES, 1), (NO_TITLES, 0)], ids=["titles", "names", "none"])
def test_titles_are_known_by_their_words(names, rank):
    """In every spelling; the names of other things are none of the document's."""
    assert {name: title_rank(name) for name in names} == dict.fromkeys(names, rank)


def test_other_names():
    """Bodies, times and ids."""
    assert all(map(is_body, ["description_html", "Body (HTML)", "abstract", "meta.text", "Beschreibung"]))
    assert not any(map(is_body, ["textile", "price", "description_count"]))
    assert all(map(is_dated, ["created_at", "publishedAt", "Date", "updated", "timestamp"]))
    assert not any(map(is_dated, ["views", "data_count_x", "price"]))
    ranks = [id_rank(name) for name in ("_id", "id", "product_id", "SKU", "isbn13")]
    assert ranks == sorted(ranks)
    assert [id_rank(name) for name in ("colour", "user_id", "category key", "paid")] == [None] * 4


def identity(tmp_path, *records):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    seen = survey(path)
    views = [view for view in seen.fields if view.role == Role.ID]
    return (views[0].name, views[0].reason) if views else None, seen.id_from, seen.repeated_ids


def test_an_id_that_is_there_twice_is_still_the_id(tmp_path):
    """By its name, where nearly all are different; numbered, unless the records are the same."""
    records = [{"sku": f"s{min(n, 8)}", "text": f"the text number {n}"} for n in range(10)]
    expected = (("sku", "different in 9 of 10, twice at line 9 and 10"), "field", "number")
    assert identity(tmp_path, *records) == expected
    expected = (("sku", "different in 9 of 10, twice at line 1 and 10"), "field", "first")
    assert identity(tmp_path, *records[:9], records[0]) == expected


def test_without_an_id_one_is_made(tmp_path):
    """Numbers, days and titles that happen to be different are none, and a key of something else is none."""
    records = [{"title": f"t {n}", "price": n / 2, "day": f"2024-01-0{n + 1}", "shop_id": n % 2} for n in range(6)]
    assert identity(tmp_path, *records) == (None, "content", "first")


def test_an_id_by_its_place(tmp_path):
    """What stands first and is different in all, whatever its name; one with an id's name before it."""
    records = [{"number": f"n{n}", "text": "some words in it"} for n in range(3)]
    assert identity(tmp_path, *records) == (("number", "different in all"), "field", "refuse")
    assert identity(tmp_path, *({**record, "uuid": str(n)} for n, record in enumerate(records)))[0][0] == "uuid"


GERMAN = "Liebe Kunden, dieses Produkt passt für Allergiker und für Kinder, und es ist leicht zu reinigen."
ENGLISH = "A brass lamp for a quiet reading corner, made to last and easy to clean with a soft cloth."


def test_languages_of_a_field():
    """Shares by code; short texts are not guessed at; four fifths of one language choose its analyzer."""
    assert languages([GERMAN] * 3 + [ENGLISH]) == {"de": 0.75, "en": 0.25}
    assert languages(["lamp", "Lampe"]) == {}
    in_turn = languages(([GERMAN] + [ENGLISH] * 3) * 225)  # each fourth of 900 is German
    assert in_turn["en"] == pytest.approx(0.75, abs=0.1)
    assert [analyzer_for(shares) for shares in ({"de": 0.9}, {"de": 0.75, "en": 0.25}, {}, {"xx": 1.0})] == [
        "german",
        None,
        None,
        None,
    ]


def test_fields_inside_objects_and_lists(tmp_path):
    """Of a list of objects each name is a field to filter on, and no text; a name of two fields is left alone."""
    record = {
        "_id": "a",
        "text": "some words to search",
        "labels": [{"name": "bug", "note": "a long remark about it"}, {"name": "ui"}],
        "a": {"b": 1, "c": 2},
        "a.b": "x",
    }
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(orjson.dumps({**record, "_id": str(n)}) + b"\n" for n in range(3)))
    roles = {view.name: (view.role.value, view.reason) for view in survey(path).fields}
    assert roles == {
        "_id": ("id", "different in all"),
        "text": ("text", "4 words long"),
        "labels.name": ("keyword", "short labels"),
        "labels.note": ("keyword", "short labels"),
        "a.b": ("stored", "two fields have this name"),
        "a.c": ("number", "numbers"),
    }
