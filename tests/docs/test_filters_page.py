"""The filters that ``docs/filters.md`` shows are filters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hybrid_search.filters import clause, parse
from hybrid_search.records import IndexSchema

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
TABLE = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
SHOWN = [shown.replace("\\|", "|") for shown in re.findall(r"`([^`]+)`", TABLE) if re.search(r"\w\W", shown)]
SCHEMA = IndexSchema(
    None, None, keyword_fields=("brand", "meta.maker"), number_fields=("price",), date_fields=("published",)
)


def test_the_table_has_filters():
    """Else the next test would check nothing."""
    assert len(SHOWN) > 5


@pytest.mark.parametrize("expression", SHOWN)
def test_what_is_shown_is_taken(expression):
    """By the parser, and for an index with the fields of the page."""
    assert clause(parse(expression), SCHEMA)
