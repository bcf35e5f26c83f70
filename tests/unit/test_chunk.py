"""Passages: what holds for every text, and what good cuts look like."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hybrid_search.errors import SettingsError
from hybrid_search.ingest.stages.chunk import passages, passages_of, segments
from hybrid_search.ingest.stages.sentences import sentence_starts
from hybrid_search.records import Document


class Words:
    """One token for each word and each sign; other characters, here underscores, belong to no token."""

    def spans(self, texts):
        return [[match.span() for match in re.finditer(r"[^\W_]+|[^\w\s]", text)] for text in texts]


class Pieces:
    """Word pieces: a word starts with up to 4 letters and goes on in pieces of 3, so a piece cut out may split anew.

    ``abcdefg`` is ``abcd ##efg``, but ``efghijk`` inside ``abcdefghijk`` is 3 + 3 pieces and 4 + 3 on its own.
    """

    def spans(self, texts):
        return [[span for match in re.finditer(r"\S+", text) for span in self._word(*match.span())] for text in texts]

    def _word(self, start, end):
        cuts = [start, *range(start + 4, end, 3), end]
        return list(itertools.pairwise(cuts))


class Bytes:
    """One token for each byte: several tokens may cover the same character."""

    def spans(self, texts):
        return [[(at, at + 1) for at, letter in enumerate(text) for _ in letter.encode()] for text in texts]


TOKENIZERS = [Words(), Pieces(), Bytes()]
TEXTS = st.lists(
    st.sampled_from(
        ["word", "a", "Dr. ", "end. ", "No! ", "\n\n", "\n- ", "日本。", "_", "\u200b", "\t", " ", "🙂", "x" * 30, "é"]
    ),
    max_size=60,
).map("".join)
LIMITS = st.integers(4, 24).flatmap(lambda limit: st.tuples(st.just(limit), st.integers(0, limit - 1)))


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: type(tokenizer).__name__)
@given(text=TEXTS, limits=LIMITS)
@example(text="", limits=(4, 0))
@example(text=" \n ", limits=(4, 3))
@example(text="x" * 500, limits=(4, 3))
@example(text="word. " * 50, limits=(4, 3))
def test_every_text_is_covered_by_passages_that_fit(tokenizer, text, limits):
    """No passage is too long, none is empty, all advance, and only white space lies outside of them."""
    limit, overlap = limits
    cut = passages(Document("d", text), tokenizer, max_tokens=limit, overlap=overlap)
    assert [passage.id for passage in cut] == [f"d#{number}" for number in range(len(cut))]
    assert all(len(tokenizer.spans([passage.text])[0]) <= limit for passage in cut)
    covered = {place for passage in cut for place in range(passage.start, passage.end)}
    assert {place for place, letter in enumerate(text) if not letter.isspace()} <= covered
    if text.strip():
        assert all(passage.text == passage.text.strip() != "" for passage in cut)
    assert all(one.start <= two.start and one.end < two.end for one, two in itertools.pairwise(cut))


@given(text=TEXTS, limits=LIMITS)
def test_neighbours_share_at_most_the_overlap(text, limits):
    """What two neighbours have in common has no more tokens than the overlap."""
    limit, overlap = limits
    words = Words()
    cut = passages(Document("d", text), words, max_tokens=limit, overlap=overlap)
    for one, two in itertools.pairwise(cut):
        assert len(words.spans([text[two.start : max(one.end, two.start)]])[0]) <= overlap


@given(text=TEXTS, limits=LIMITS)
def test_cuts_are_deterministic_and_the_same_in_a_batch(text, limits):
    """The same text gives the same passages, alone or among others."""
    limit, overlap = limits
    document = Document("d", text)
    alone = passages(document, Words(), max_tokens=limit, overlap=overlap)
    batch = passages_of([Document("e", "Other."), document], Words(), max_tokens=limit, overlap=overlap)
    assert batch[1] == alone


def test_a_short_document_is_one_passage_without_its_margins():
    """Offsets point into the text, white space at its ends is left out."""
    (passage,) = passages(Document("d", "  One. Two.\n"), Words(), max_tokens=4, overlap=0)
    assert (passage.start, passage.end, passage.text) == (2, 11, "One. Two.")


def test_passages_end_with_sentences_and_overlap_by_whole_ones():
    """4 tokens a sentence, 8 a passage, 4 shared: each passage is two sentences, the second comes again."""
    text = "Aa bb cc. Dd ee ff. Gg hh ii. Jj kk ll."
    cut = passages(Document("d", text), Words(), max_tokens=8, overlap=4)
    assert [passage.text for passage in cut] == ["Aa bb cc. Dd ee ff.", "Dd ee ff. Gg hh ii.", "Gg hh ii. Jj kk ll."]


def test_overlap_gives_way_to_a_sentence_that_would_not_fit_with_it():
    """The second sentence has 7 of 8 tokens: with "Bb." before it it would be cut, so that is not shared."""
    text = "Aa. Bb. Cc dd ee ff gg hh. Ii jj kk."
    cut = passages(Document("d", text), Words(), max_tokens=8, overlap=3)
    assert [passage.text for passage in cut] == ["Aa. Bb.", "Cc dd ee ff gg hh.", "gg hh. Ii jj kk."]


def test_overlap_begins_inside_a_sentence_that_is_longer_than_it():
    """No whole sentence of 5 tokens fits into an overlap of 2, so its last word and stop are shared."""
    text = "Aa bb cc dd. Ee ff gg. Hh ii jj."
    cut = passages(Document("d", text), Words(), max_tokens=9, overlap=2)
    assert [passage.text for passage in cut] == ["Aa bb cc dd. Ee ff gg.", "gg. Hh ii jj."]


def test_a_sentence_longer_than_the_limit_is_cut_between_words():
    """Without a sentence end in reach, words stay whole; two are shared, or one where the rest then fits whole."""
    cut = passages(Document("d", "aa bb cc dd ee ff gg hh ii"), Words(), max_tokens=4, overlap=2)
    assert [passage.text for passage in cut] == ["aa bb cc dd", "cc dd ee ff", "ff gg hh ii"]


def test_a_word_longer_than_the_limit_is_cut_between_tokens():
    """A word of 13 letters in pieces of at most 4, at most 2 pieces to a passage."""
    cut = passages(Document("d", "abcdefghijklm"), Pieces(), max_tokens=2, overlap=0)
    assert "".join(passage.text for passage in cut) == "abcdefghijklm"
    assert all(len(Pieces().spans([passage.text])[0]) <= 2 for passage in cut)


def test_a_document_that_carries_vectors_stays_whole():
    """The vector stands for all of the text, so the text is not cut."""
    for carried in ({"dense": np.ones(3, np.float32)}, {"sparse": {"a": 1.0}}):
        document = Document("d", "Aa bb. " * 10, **carried)
        (passage,) = passages(document, Words(), max_tokens=4, overlap=0)
        assert (passage.start, passage.end) == (0, 69)  # 10 x 7 characters, less the last space


@pytest.mark.parametrize(
    ("limit", "overlap", "message"),
    [
        (0, 0, "chunking.max_tokens: must be at least 1, got 0"),
        (
            8,
            8,
            "chunking.overlap: must be at least 0 and less than the passage's limit of 8 tokens, got 8",
        ),
        (
            8,
            -1,
            "chunking.overlap: must be at least 0 and less than the passage's limit of 8 tokens, got -1",
        ),
    ],
)
def test_impossible_limits_are_refused(limit, overlap, message):
    """The limits are checked against each other where the encoder's own limit is known."""
    with pytest.raises(SettingsError) as caught:
        passages(Document("d", "text"), Words(), max_tokens=limit, overlap=overlap)
    assert str(caught.value) == message


SENTENCES = [
    ("One. Two! Three? Four", ["One. ", "Two! ", "Three? ", "Four"]),
    ("Dr. Smith met J. R. Tolkien in the U.S. Senate.", ["Dr. Smith met J. R. Tolkien in the U.S. Senate."]),
    ("See Fig. 3, e.g. the left side. Then stop.", ["See Fig. 3, e.g. the left side. ", "Then stop."]),
    ("It costs 1.5 million. That is a lot.", ["It costs 1.5 million. ", "That is a lot."]),
    ('He said "Stop!" Then he left.', ['He said "Stop!" ', "Then he left."]),
    ("It ended... and began. (So it goes.)", ["It ended... and began. ", "(So it goes.)"]),
    ("A title\n\nA text", ["A title\n\n", "A text"]),
    ("a hard\nline break", ["a hard\nline break"]),
    ("List:\n- one\n- two\n1. three\n2. Four", ["List:\n", "- one\n", "- two\n", "1. three\n", "2. Four"]),
    ("Use it:\n>>> f(1)\n>>> g(2)", ["Use it:\n", ">>> f(1)\n", ">>> g(2)"]),
    ("日本語です。次の文。", ["日本語です。", "次の文。"]),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES)
def test_sentences_begin_where_a_reader_would_say(text, expected):
    """Abbreviations, initials, numbers and hard line breaks are no ends; paragraphs, list items and code lines are."""
    starts = sentence_starts(text)
    assert [text[one:two] for one, two in zip(starts, [*starts[1:], None], strict=True)] == expected


@given(st.text())
def test_sentences_are_a_partition_of_any_text(text):
    """Starts ascend from 0 and stay inside the text."""
    starts = sentence_starts(text)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] < max(1, len(text))


@given(st.text("ab. \n", min_size=1, max_size=200))
def test_segments_cover_a_text_without_a_gap(text):
    """They join, none is empty or too long, and words are kept whole where a segment holds a space."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hybrid_search.ingest.stages.chunk.SEGMENT", 20)
        found = segments(text)
    assert [begin for begin, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == len(text)
    assert all(0 < end - begin <= 20 for begin, end in found)


def test_a_long_text_is_cut_segment_by_segment(monkeypatch):
    """30 lines of 10 words and segments of 200 characters: every word is in a passage, and none reaches too far."""
    monkeypatch.setattr("hybrid_search.ingest.stages.chunk.SEGMENT", 200)
    text = "".join(" ".join(f"w{line}x{word}" for word in range(10)) + "\n" for line in range(30))
    asked = []

    class Counting(Words):
        def spans(self, texts):
            asked.extend(map(len, texts))
            return super().spans(texts)

    made = passages(Document("d", text), Counting(), max_tokens=8, overlap=2)
    assert max(asked) <= 200
    assert [word for word in text.split() if not any(word in passage.text.split() for passage in made)] == []
    assert all(len(passage.text.split()) <= 8 for passage in made)
    assert [passage.number for passage in made] == list(range(len(made)))
