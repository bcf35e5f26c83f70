"""What ``docs/highlights.md`` says of kinds, defaults and bounds is so."""

from __future__ import annotations

import re
from pathlib import Path

from hybrid_search import Highlight
from hybrid_search.search.highlight_reasons import MEANING, MOST_SENTENCES, TERMS, WORDS
from hybrid_search.search.highlight_stage import MOST_CHARACTERS
from hybrid_search.search_warnings import WarningCode

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "highlights.md").read_text(encoding="utf-8").split())


def test_every_kind_is_told() -> None:
    """A row of the table for each."""
    assert re.findall(r"\| `(\w+)` \|", PAGE)[1:] == [WORDS, TERMS, MEANING]


def test_defaults_and_bounds_are_those_of_the_code() -> None:
    """Pieces, characters, sentences, and the code of the warning."""
    usual = Highlight()
    assert f"`Highlight(fragments={usual.fragments}, length={usual.length})`" in PAGE
    assert f"between `{usual.before}` and `{usual.after}`" in PAGE
    assert f"the first {MOST_CHARACTERS:,} characters are looked at, and its first {MOST_SENTENCES} sentences" in PAGE
    assert f"(`{WarningCode.HIGHLIGHTS_FAILED}`)" in PAGE
