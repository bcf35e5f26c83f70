"""What a list shows of a passage: characters are those of the text, and no title comes twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.found import Highlighted
from hybrid_search.records import StoredPassage
from hybrid_search.serve.shown import passage_json


def stored(text: str, start: int = 0, title: str = "") -> StoredPassage:
    return StoredPassage("d#0", text, start, start + len(text), {"title": title} if title else {})


def piece(start: int, end: int, *marks: tuple[int, int]) -> Highlighted:
    return Highlighted("words", "text", "", start, end, marks, "")


def test_a_highlighted_piece_is_shown_with_its_marks() -> None:
    """The document's characters less those before the passage: 103 to 106 are 3 to 6 of one that begins at 100."""
    shown = passage_json(stored("on tea and milk", 100), "tea", "title", piece(100, 110, (103, 106)))
    assert shown == {"parts": [("on ", False), ("tea", True), (" and", False)], "is_begun": False, "goes_on": True}


def test_the_title_is_not_shown_again() -> None:
    """A text that begins with it goes on behind it; a piece that lies in it alone is passed over."""
    text = stored("Green tea\nSteep it cool.", 0, "Green tea")
    assert passage_json(text, "steep", "title", None)["parts"] == [("Steep", True), (" it cool.", False)]
    assert passage_json(text, "steep", "title", piece(0, 9, (6, 9)))["parts"] == [("Steep", True), (" it cool.", False)]
    both = passage_json(text, "x", "title", piece(0, 24, (6, 9), (16, 18)))
    assert both["parts"] == [("Steep ", False), ("it", True), (" cool.", False)]
    assert not both["is_begun"]


@pytest.mark.parametrize("title", ["", "Tea", "😀 tea"])
@given(text=st.text(min_size=1, max_size=80), query=st.text(max_size=20))
def test_parts_are_a_piece_of_the_text(title, text, query) -> None:
    """Whatever it holds: emoji, marks, blanks."""
    whole = f"{title}\n{text}" if title else text
    shown = passage_json(stored(whole, 7, title), query, "title", None)
    assert "".join(part for part, _ in shown["parts"]) in whole
