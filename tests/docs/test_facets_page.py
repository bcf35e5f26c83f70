"""The short forms that ``docs/facets.md`` shows are what stands beside them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import hybrid_search
from hybrid_search.records import IndexSchema
from hybrid_search.search.facets import COUNTS, Terms, checked_facets

PAGE = (Path(__file__).parents[2] / "docs" / "facets.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`[^|]+) \| `([^`]+)` \|", PAGE, flags=re.MULTILINE)
SCHEMA = IndexSchema(
    dense=None, sparse=None, keyword_fields=("brand",), number_fields=("price", "rating"), date_fields=("published",)
)
NAMES = {name: getattr(hybrid_search, name) for name in ("Terms", "Ranges", "Dates", "MinMax")}


@pytest.mark.parametrize(("short", "written"), ROWS)
def test_short_and_long_forms_are_one(short, written) -> None:
    """Each short form of a row is read as the object beside it; one of 10 values as that of 20 is, but for the size."""
    (long,) = checked_facets([eval(written, NAMES)], SCHEMA)  # noqa: S307 - the page's own code
    for form in re.findall(r"`([^`]+)`", short):
        (read,) = checked_facets([form], SCHEMA)
        assert read == (replace(long, size=read.size) if isinstance(read, Terms) else long)


def test_what_is_counted_is_all_listed() -> None:
    """The rows of the table, and each kind of facet."""
    assert tuple(re.findall(r"^\| `(candidates|filter|bm25)` \|", PAGE, flags=re.MULTILINE)) == COUNTS
    assert len(ROWS) == 8
