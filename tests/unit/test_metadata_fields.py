"""Which keys of metadata become fields to filter on, and of which kind."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime

import pytest

from hybrid_search.frameworks.metadata_fields import MOST, with_fields_of
from hybrid_search.settings import DocumentSettings


def kinds(*metadata, known=(), declared=None) -> dict[str, str]:
    """The kinds of the keys that are new, by name."""
    before = declared or DocumentSettings()
    read = with_fields_of(metadata, known, before)
    roles = ("keyword", "number", "date", "boolean", "geo")
    return {name: role for role in roles for name in getattr(read, role) if name not in getattr(before, role)}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("Sony", "keyword"),
        (3, "number"),
        (2.5, "number"),
        (True, "boolean"),
        ("2024-01-31", "date"),
        ("2024-01-31T10:00:00+02:00", "date"),
        ("2024-01-31 10:00", "date"),
        (date(2024, 1, 31), "date"),
        (datetime(2024, 1, 31, tzinfo=UTC), "date"),
        ("2024-01", "keyword"),
        ("see 2024-01-31", "keyword"),
        (["a", "b"], "keyword"),
        ([1, 2], "number"),
        ((1, "a"), "keyword"),
    ],
)
def test_the_values_say_the_kind(value, kind) -> None:
    """One value, or all that a list has."""
    assert kinds({"k": value}) == {"k": kind}


@pytest.mark.parametrize("value", [None, "", [], {}, "x" * 1_001, object(), {"": 1}])
def test_what_nobody_compares_with_is_no_field(value) -> None:
    """Nothing, texts as long as a page, and what is no value."""
    assert kinds({"k": value}) == {}


def test_a_key_whose_values_differ_in_kind_is_a_keyword() -> None:
    """Page 3 and page iv are labels; a long text among short ones changes nothing."""
    assert kinds({"page": 3}, {"page": "iv"}, {"url": "x" * 2_000}, {"url": "/a"}) == {
        "page": "keyword",
        "url": "keyword",
    }


def test_a_key_within_an_object_is_named_with_a_dot() -> None:
    """Objects in lists too."""
    assert kinds({"author": {"name": "Ann", "born": 1970}, "parts": [{"id": "p1"}, {"id": "p2"}]}) == {
        "author.name": "keyword",
        "author.born": "number",
        "parts.id": "keyword",
    }


def test_what_is_known_or_declared_stays_as_it_is() -> None:
    """The settings are the same object where nothing is new: no other index is asked for."""
    declared = DocumentSettings(number=("year",))
    assert with_fields_of([{"year": "unknown", "lang": "en"}], ["lang"], declared) is declared
    assert kinds({"year": 1, "lang": "en", "new": 1}, known=["lang"], declared=declared) == {"new": "number"}


def test_fields_that_were_not_declared_are_lenient() -> None:
    """A later value of another kind is stored: nobody has said that it is wrong."""
    read = with_fields_of([{"year": 2020, "lang": "en"}], (), DocumentSettings(date=("day",)))
    assert set(read.lenient) == {"year", "lang"}


def test_an_index_is_not_filled_with_fields(caplog) -> None:
    """Of 400 keys the first 300 are filtered on, and that is said."""
    with caplog.at_level(logging.WARNING):
        found = kinds({f"k{n}": n for n in range(400)})
    assert len(found) == MOST == 300
    assert "100 keys of metadata are stored and not filtered on: there are 300 already" in caplog.text
