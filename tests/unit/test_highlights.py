"""Highlights without an engine: marks and pieces of texts, HTML that nothing can forge, and encoders that are late."""

from __future__ import annotations

import html as html_library
import re
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fakes import SCHEMA, PlaneEncoder, connection, engine

from hybrid_search import Highlight
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.engine.templates import index_body
from hybrid_search.errors import QueryError
from hybrid_search.found import Highlighted
from hybrid_search.records import Hit, Leg, SearchResult
from hybrid_search.search import SearchClient
from hybrid_search.search.highlight import checked_highlight
from hybrid_search.search.highlight_reasons import Passage, by_terms
from hybrid_search.search.highlight_text import html, marked_spans, pieces, sentences
from hybrid_search.search.highlight_view import highlights_view
from hybrid_search.settings import Settings

TEXTS = st.text(st.sampled_from("ab <>&\"'.!?\n😀é。/mark"), max_size=80)


@st.composite
def marked(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    """A text and marks in it, ascending and apart."""
    text = draw(TEXTS)
    ends = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    return text, list(zip(ends[::2], ends[1::2], strict=False))


@given(marked())
def test_marks_are_where_they_were_put(given_text) -> None:
    """Whatever the text holds, in characters, not in halves of surrogate pairs."""
    text, marks = given_text
    parts, at = [], 0
    for start, end in marks:
        parts += [text[at:start], "<7f>", text[start:end], "</7f>"]
        at = end
    assert marked_spans("".join([*parts, text[at:]]), "<7f>", "</7f>") == (text, marks)


@given(marked(), st.integers(20, 60), st.integers(1, 3))
def test_pieces_are_bounded_and_hold_their_marks(given_text, length, fragments) -> None:
    """At most so many, of so many characters (or of one mark), apart, and each with all marks that are in it."""
    text, marks = given_text
    found = pieces(text, marks, Highlight(fragments, length))
    assert len(found) <= fragments
    last = 0
    for (start, end), held in found:
        assert last <= start < end <= len(text)
        assert held == [mark for mark in marks if start <= mark[0] and mark[1] <= end]
        assert end - start <= length or any(stop - begin > length // 2 for begin, stop in held)
        last = end


@given(marked())
def test_no_text_can_forge_a_marker(given_text) -> None:
    """Tags are as many as marks, and without them the text is what it was."""
    text, marks = given_text
    made = html(text, (0, len(text)), marks, Highlight())
    assert re.findall(r"<[^>]*>", made) == ["<mark>", "</mark>"] * len(marks)
    assert html_library.unescape(re.sub(r"</?mark>", "", made)) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two!  Three?", ["One.", "Two!", "Three?"]),
        ('He said "stop." Then 3.5 mm.', ['He said "stop."', "Then 3.5 mm."]),
        ("一つ。二つ！終わり", ["一つ。", "二つ！", "終わり"]),
        ("a line\nand its end\n\nanother", ["a line\nand its end", "another"]),
        (" \n ", []),
    ],
)
def test_sentences(text, found) -> None:
    """They end at their marks and at empty lines."""
    assert [text[start:end] for start, end in sentences(text)] == found


def test_terms_are_marked_as_whole_words() -> None:
    """A word piece that met marks its word, and is named with its product: 2 x .5, 1 x 3."""
    passage = Passage("The lamps glow", 100, {"1": 0.5, "2": 3.0})
    tokens = [("9", 0, 3), ("1", 4, 8), ("2", 8, 9), ("7", 10, 14)]
    (found,) = by_terms(passage, {"1": 2.0, "2": 1.0, "7": 4.0}, tokens, Highlight())
    assert found.html == "The <mark>lamps</mark> glow"
    assert (found.start, found.marks) == (100, ((104, 109),))
    assert list(found.terms.items()) == [("s", 3.0), ("lamp", 1.0)]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Highlight(fragments=0), "0 fragments"),
        (lambda: Highlight(length=5), "fragments of 5 characters"),
        (lambda: Highlight(before="**"), "the marker '\\*\\*' could stand in a document. Give a tag"),
        (lambda: Highlight(after=7), "the marker 7"),
        (lambda: checked_highlight("yes"), "'yes' is no form of highlights"),
    ],
    ids=["fragments", "length", "marker", "number", "form"],
)
def test_what_cannot_be_highlighted_so_is_refused(make, said) -> None:
    """Before anything is sent."""
    with pytest.raises(QueryError, match=said):
        make()


class SlowSentences(PlaneEncoder):
    """Queries at once; sentences take their time, or fail."""

    def __init__(self, wait: float = 0.0) -> None:
        super().__init__()
        self.wait = wait

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        if self.wait == 0:
            raise RuntimeError("no sentence today")
        time.sleep(self.wait)
        return super().encode_documents(texts)


def _client(encoder: PlaneEncoder, hits: Sequence[str] = ("a#0", "b#0"), text: str = "One. Two.") -> SearchClient:
    """Hits of the dense leg alone, of two sentences each."""

    def respond(request: Request) -> Answer:
        if request.path == "/docs/_mapping":
            return Answer(200, {"docs": {"mappings": index_body("opensearch", (3, 6, 0), SCHEMA)["mappings"]}})
        answer = engine({Leg.DENSE: [(id_, 0.9) for id_ in hits]})(request)
        for hit in (hit for one in answer.body["responses"] for hit in one["hits"]["hits"]):
            if "_source" in hit:
                hit["_source"]["text"] = text
        return answer

    return SearchClient("docs", encoder=encoder, connection=connection(respond), settings=Settings())


def _search(encoder: PlaneEncoder, **options: Any) -> SearchResult:
    with _client(encoder) as client:
        return client.search("query", legs=["dense"], highlight=True, **options)


@pytest.mark.parametrize(("wait", "said"), [(0.0, "no sentence today"), (2.0, "did not answer")], ids=["fails", "late"])
def test_an_encoder_that_is_late_costs_no_hits(wait, said) -> None:
    """The hits come without their sentence, in time, and the result says so."""
    begin = time.monotonic()
    result = _search(SlowSentences(wait), timeout=0.6)
    assert time.monotonic() - begin < 1.9
    assert [(hit.id, list(hit.highlights)) for hit in result] == [("a", []), ("b", [])]
    assert result.degraded == {"highlights": "highlights-failed"}
    assert said in result.warnings[-1]


def test_sentences_are_encoded_once() -> None:
    """Two hits with the same two sentences: two texts."""
    encoder = PlaneEncoder()
    result = _search(encoder)
    assert encoder.texts[-1] == ["One.", "Two."]
    assert [one.text for hit in result for one in hit.highlights] == ["One."] * 2


def test_a_table_shows_what_was_marked() -> None:
    """Words in bold, what they are of otherwise named, the title once, and nothing that a terminal would obey."""
    from rich.console import Console

    pieces = [
        Highlighted("words", "text", "Lamps\nA \x1b[31mlamp.", 0, 19, ((0, 5), (13, 17)), ""),
        Highlighted("words", "maker", "Lamp & Co", 0, 9, ((0, 4),), ""),
        Highlighted("terms", "text", "It glows.", 30, 39, ((33, 38),), "", {"glow": 1.25}),
        Highlighted("meaning", "text", "So warm.", 40, 48, ((40, 48),), "", score=0.5),
    ]
    hit = Hit(1, "a", 1.0, 1.0, "text", "a#0", 0, 48, {}, {}, highlights=pieces)
    console = Console(width=80, force_terminal=True, color_system="standard")
    with console.capture() as shown:
        console.print(highlights_view(hit, "Lamps"))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.get())
    assert plain.splitlines() == [
        "A \\u001b[31mlamp.",
        "maker: Lamp & Co",
        "terms: It glows. (glow 1.25)",
        "meaning: So warm. (0.500)",
    ]
    assert "\x1b[1;32mlamp" in shown.get()


def test_sentences_go_to_the_encoder_a_few_at_a_time() -> None:
    """Five hits of 16 sentences: those of two, of two, and of one; what is alike is encoded once."""
    encoder = PlaneEncoder()
    encoder.encode_documents = lambda texts: PlaneEncoder.encode_queries(encoder, [*texts])
    ids = [f"{letter}#0" for letter in "abcde"]
    with _client(encoder, ids, " ".join(f"Sentence {n}." for n in range(16))) as client:
        result = client.search("query", legs=["dense"], highlight=True)
    assert [len(texts) for texts in encoder.texts] == [1, 16, 16, 16]
    assert all(len(hit.highlights) == 1 for hit in result)


def test_highlights_that_fail_cost_no_leg() -> None:
    """However often sentences fail, queries are encoded: their breaker counts what a search cannot do without."""
    with _client(SlowSentences()) as client:
        for _ in range(8):
            assert client.search("again", legs=["dense"], highlight=True).degraded.keys() == {"highlights"}
        assert not client.search("new", legs=["dense"]).degraded
