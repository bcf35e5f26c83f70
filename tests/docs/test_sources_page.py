"""The page on sources: its table is what the contract tests try, and its settings exist."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from kinds import KINDS

from hybrid_search.read.formats.registry import FORMATS, SUFFIXES
from hybrid_search.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")


def section(title):
    """The text under a heading."""
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def cells(text, column):
    """The cells of a column of the table in a text, without its head."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [row[column].strip() for row in rows[2:]]


def test_every_kind_of_the_table_is_tried_and_no_other():
    """By their names in the tests."""
    named = [name for cell in cells(section("Kinds that were tried"), 0) for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(named) == sorted(KINDS)


def test_the_settings_that_columns_become_exist():
    """Each is a key of the documents, or names its section."""
    known = msgspec.to_builtins(Settings())
    keys = [
        re.split(r" = ", name)[0]
        for cell in cells(section("What `init` makes of a column"), 2)
        for name in re.findall(r"`([a-z_.]+(?: = [^`]*)?)`", cell)
    ]
    values = {"refuse", "first", "last", "number"}
    for key in {key for key in keys if key not in values - {"number"}}:
        part, _, name = key.rpartition(".")
        assert name in known[part or "documents"]


def test_the_tests_that_the_page_names_are_there():
    """So that what it says can be looked up."""
    tests = Path(__file__).parents[1]
    for name in re.findall(r"`((?:unit|contract)/\w+\.py)`", PAGE):
        assert (tests / name).is_file()


def test_every_format_is_in_the_table_with_its_suffixes():
    """The table names what the registry reads, and nothing else; office documents are shown by the usual ones."""
    table = section("Formats").partition("| | |")[0]
    named = [name for cell in cells(table, 0) for name in re.findall(r"`([a-z]+)`", cell)]
    assert named == list(FORMATS)
    suffixes = {suffix for cell in cells(table, 1) for suffix in re.findall(r"`(\.\w+)`", cell)}
    assert suffixes <= set(SUFFIXES)
    unusual = {".text", ".markdown", ".sqlite3", ".db3"}
    assert set(SUFFIXES) - suffixes <= unusual
