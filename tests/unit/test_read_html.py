"""HTML in a field: recognised, and turned into the text that a reader of the page would read."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.read import documents
from hybrid_search.read.html import holds_markup, html_text
from hybrid_search.settings import DocumentSettings

TEXTS = [
    ("<p>Liebe Kunden, <b>f&uuml;r</b> Kinder &amp; alle.</p>", "Liebe Kunden, für Kinder & alle."),
    ("<div><p>One</p><ul><li>a</li><li>b c</li></ul></div>", "One\na\nb c"),
    ("a<br>b<script>track(1)</script><style>p {}</style>", "a\nb"),
    ("<table><tr><th>k</th><td>v</td></tr><tr><td>x</td></tr></table>", "k v\nx"),
    ("10&nbsp;years\n  long", "10 years long"),
    ("never <closed", "never"),
    ("", ""),
    ("<img src='x'>", ""),
    ("no markup\nin two lines", "no markup\nin two lines"),
    ("<html><head><title>T</title></head><body><!-- no -->seen</body></html>", "seen"),
]


@pytest.mark.parametrize(("source", "text"), TEXTS, ids=[str(number) for number in range(len(TEXTS))])
def test_blocks_are_lines_and_what_is_not_read_is_left_out(source, text):
    """Entities are read, white space is joined."""
    assert html_text(source) == text


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1, max_size=5))
def test_every_word_of_a_page_is_in_its_text(words):
    """One line for each paragraph."""
    assert html_text("".join(f"<p>{word}</p>" for word in words)).split("\n") == words


@pytest.mark.parametrize("text", ["<b>x</b>", "x</p>", '<p class="x">', "a &amp; b", "x<br/>y", "5 &#8364;"])
def test_markup_is_recognised(text):
    """Tags and character references."""
    assert holds_markup(text)


@pytest.mark.parametrize(
    "text",
    ["a < b", "List<String>", "if a<b and c>d", "x <a@b.c>", "R&D", "AT&T; more", "<3", "a <div> is", "`<b>x</b>`"],
)
def test_what_is_no_markup(text):
    """Comparisons, generic types and addresses."""
    assert not holds_markup(text)


def test_a_document_has_the_text_and_keeps_the_source(tmp_path):
    """Passages are cut out of the text; the field is stored byte for byte."""
    source = "<p>The <i>first</i> line</p><p>the second</p>"
    path = tmp_path / "a.jsonl"
    path.write_bytes(orjson.dumps({"_id": "a", "title": "A &amp; B", "body": source}))
    settings = DocumentSettings(text=("title", "body"), html=("title", "body"))
    (document,) = documents(path, settings)
    assert document.text == "A & B\nThe first line\nthe second"
    assert document.fields == {"title": "A &amp; B", "body": source}
