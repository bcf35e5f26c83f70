"""What ``docs/why-not.md`` and ``docs/similar.md`` say of codes and options is so."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from hybrid_search.search.duplicates_records import MiningRequest
from hybrid_search.search.similar import WORDS
from hybrid_search.search.similar_held import MOST
from hybrid_search.search.why_not_records import Reason

DOCS = Path(__file__).parents[2] / "docs"


def test_every_reason_is_named() -> None:
    """With its code."""
    page = (DOCS / "why-not.md").read_text(encoding="utf-8")
    assert all(f"`{reason}`" in page for reason in Reason)


def test_every_option_of_mining_is_in_the_table() -> None:
    """With its default, where it has one."""
    page = (DOCS / "similar.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)`", page, re.MULTILINE)
    assert named == ["threshold", "exact", "neighbours", "limit", "filter", "timeout", "on_progress"]
    assert set(named) == {one.name for one in fields(MiningRequest)}
    defaults = {one.name: one.default for one in fields(MiningRequest)}
    assert f"`threshold` ({defaults['threshold']:g})".replace("0.", ".") in page
    assert f"`neighbours` ({defaults['neighbours']})" in page
    assert f"`limit` ({defaults['limit']:,})" in page


def test_numbers_are_those_of_the_code() -> None:
    """Words that BM25 searches for, and passages that are looked at."""
    page = (DOCS / "similar.md").read_text(encoding="utf-8")
    assert f"the {WORDS} words" in page
    assert f"The first {MOST} passages" in page
