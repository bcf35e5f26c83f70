"""The pages about loading and faults name tests that are there, and their links lead somewhere."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ("faults-people.md", "ingest.md", "security.md")
NAMED = re.compile(r"`((?:[\w-]+/)+test_\w+\.py)::(test_\w+)`")
FAULTS = 25


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of the tests of a file, which is not imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def head() -> str:
    """What the script of the first table writes above it."""
    tree = ast.parse((ROOT / "tests" / "faults" / "tally.py").read_text(encoding="utf-8"))
    values = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    return str(ast.literal_eval(values["HEAD"]))


def rows(page: str) -> list[str]:
    """The numbered rows of a page's tables."""
    return re.findall(r"^\| \d+ \|.*$", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_is_there(page) -> None:
    """By file and name; a test that was renamed is noticed here."""
    named = NAMED.findall((DOCS / page).read_text(encoding="utf-8"))
    assert named
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (path := ROOT / "tests" / file).is_file() or test not in names_in(path)
    ]
    assert missing == []


def test_every_fault_of_people_has_a_row_with_a_test() -> None:
    """Numbered from 1, each with five columns, of which the last one names tests and nothing else."""
    found = rows("faults-people.md")
    assert [int(row.split("|")[1]) for row in found] == list(range(1, FAULTS + 1))
    for row in found:
        *_, shown, end = row.split(" |")
        assert (row.count(" |"), end) == (5, "")
        assert NAMED.sub("", shown).strip() == ""
        assert NAMED.search(shown)


def test_writing_the_first_table_anew_keeps_the_second() -> None:
    """The script's head is the page's, links to the second page, and is all of the page but its rows."""
    page = (DOCS / "faults.md").read_text(encoding="utf-8")
    assert page.startswith(head())
    assert "](faults-people.md)" in head()
    assert all(line.startswith("| ") for line in page.removeprefix(head()).splitlines())


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_of_the_pages_lead_somewhere(page) -> None:
    """Beside the page, or up from it."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (DOCS / page).read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (DOCS / link).exists()] == []
