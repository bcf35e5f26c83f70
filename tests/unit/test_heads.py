"""Titles before passages: what holds for every text, title and tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_chunk import LIMITS, TEXTS, TOKENIZERS

from hybrid_search.ingest.stages.chunk import passages_of
from hybrid_search.ingest.stages.heads import NO_HEAD, SEPARATOR, TITLE_SHARE, heads_of
from hybrid_search.records import Document

TITLES = st.lists(st.sampled_from(["word", "a", "Dr. ", "\n", " ", "日本", "x" * 9, "é", "_"]), max_size=8).map("".join)
EVERY = pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: type(tokenizer).__name__)


def cut(document, title, tokenizer, limits):
    most, overlap = limits
    return passages_of([document], tokenizer, max_tokens=most, overlap=overlap, titles=[title])[0]


def fits(passage, tokenizer, most):
    """A lone token that grew when it was cut out is the one exception, as without a title."""
    (spans,) = tokenizer.spans([passage.for_models])
    (own,) = tokenizer.spans([passage.text])
    return len(spans) <= most or len(own) <= 4


@EVERY
@given(text=TEXTS, title=TITLES, limits=LIMITS, is_text=st.booleans())
def test_passages_under_their_title_fit(tokenizer, text, title, limits, is_text) -> None:
    """The limit is that of both; every passage is a piece of the text, and all of the text is in one."""
    text = f"{title}\n{text}" if is_text else text
    found = cut(Document("d", text), title, tokenizer, limits)
    assert all(fits(one, tokenizer, limits[0]) for one in found)
    covered = {place for one in found for place in range(one.start, one.end)}
    assert all(place in covered for place, letter in enumerate(text) if not letter.isspace())
    assert [one.number for one in found] == list(range(len(found)))


@EVERY
@given(text=TEXTS, title=TITLES.filter(str.strip), limits=LIMITS)
def test_a_title_is_read_once(tokenizer, text, title, limits) -> None:
    """No head where the passage begins with the title; offsets are those of the document."""
    document = Document("d", f"{title.strip()}\n{text}")
    first, *others = cut(document, title, tokenizer, limits)
    assert first.head == ""
    assert first.for_models == first.text
    for one in others:
        begins = document.text.startswith(title.strip(), one.start)
        assert one.for_models == (f"{one.head}\n{one.text}" if one.head and not begins else one.text)


@EVERY
@given(title=TITLES, most=st.integers(1, 40))
def test_a_head_takes_its_share_at_most(tokenizer, title, most) -> None:
    """As much of the title as fits, from its beginning."""
    (head,) = heads_of([title], tokenizer, most)
    assert title.strip().startswith(head.text)
    (spans,) = tokenizer.spans([head.text + SEPARATOR] if head.text else [""])
    assert head.tokens == len(spans)
    assert len(tokenizer.spans([head.text])[0]) <= most // TITLE_SHARE


def test_a_title_is_cut_between_words() -> None:
    """Three of four words where a passage has twelve tokens."""
    words = TOKENIZERS[0]
    assert heads_of(["one two three four"], words, 12)[0].text == "one two three"
    assert heads_of(["one two three four"], words, 3) == [NO_HEAD]


def test_without_titles_nothing_changes() -> None:
    """The cuts are those of the text alone."""
    document, words = Document("d", "A one. A two. A three. A four."), TOKENIZERS[0]
    plain = passages_of([document], words, max_tokens=6, overlap=0)
    assert plain == passages_of([document], words, max_tokens=6, overlap=0, titles=[""])
    assert [one.for_models for one in plain[0]] == ["A one. A two.", "A three. A four."]
