"""The page on copies: its columns are those of the files."""

from __future__ import annotations

import re
from pathlib import Path

from hybrid_search.copying.folder import _arrow_schema

PAGE = (Path(__file__).parents[2] / "docs" / "copy.md").read_text(encoding="utf-8")


def test_every_column_is_on_the_page_in_its_order() -> None:
    """By their names."""
    table = PAGE.partition("## The folder")[2]
    named = [name for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert named == _arrow_schema(4).names


def test_the_tests_that_the_page_names_are_there() -> None:
    """So that what it says can be looked up."""
    tests = Path(__file__).parents[1]
    assert all((tests / name).is_file() for name in re.findall(r"`((?:contract|faults)/\w+\.py)`", PAGE))
