"""The filters that ``docs/filters.md`` shows are filters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hybrid_search.filters import Filter, clause, parse
from hybrid_search.records import FieldReading, IndexSchema

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
TABLE = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
SHOWN = [shown.replace("\\|", "|") for shown in re.findall(r"`([^`]+)`", TABLE) if re.search(r"\w\W", shown)]
SCHEMA = IndexSchema(
    None,
    None,
    keyword_fields=("brand", "meta.maker", "in_stock"),
    number_fields=("price",),
    date_fields=("published",),
    geo_fields=("shop",),
    readings={"in_stock": FieldReading(boolean=True)},
)
PROGRAM = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_table_has_filters():
    """Else the next test would check nothing."""
    assert len(SHOWN) > 5


@pytest.mark.parametrize("expression", SHOWN)
def test_what_is_shown_is_taken(expression):
    """By the parser, and for an index with the fields of the page."""
    assert clause(parse(expression), SCHEMA)


def test_the_program_runs():
    """And what it makes are filters."""
    assert PROGRAM is not None
    names: dict[str, object] = {"makers": ("Acme", "Ajax")}
    exec(PROGRAM[1], names)  # noqa: S102  what the page shows
    assert all(isinstance(names[name], Filter) for name in ("wanted", "near", "named", "also"))
