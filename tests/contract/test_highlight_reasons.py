"""Highlights on real engines: words as the analyzer matches them, terms that met, the sentence that is nearest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from hybrid_search import Highlight
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.encode.tokens import WordSpans
from hybrid_search.engine import Connection, connect_async
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, delete_index, refresh
from hybrid_search.records import (
    Document,
    EncodedPassage,
    Fingerprint,
    Hit,
    IndexSchema,
    Passage,
    SearchResult,
    TextField,
)
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import NO_MODEL, DenseSettings, EngineSettings, Settings, SparseSettings

SCHEMA = IndexSchema(
    dense=Fingerprint(kind="dense", name="warmth", weights="0", dimension=2),
    sparse=Fingerprint(kind="sparse", name="words", weights="1"),
)
TEXTS = {
    "words": "😀 Two <mark>LAMPS</mark> & an oak. Nothing else is said. The lamp's foot is heavy.",
    "terms": "It stands in a hall. A lantern of brass glows here.",
    "meaning": "Cold iron, out of doors. 😀 Warm light for long evenings! Batteries are extra.",
}
NO_MODELS = Settings(dense=DenseSettings(model=NO_MODEL), sparse=SparseSettings(model=NO_MODEL))
PADDING = "Another passage. "


class WarmEncoder:
    """Warm texts lie at angle 0, as queries do, others at 60 degrees; a query for lamps is one for lanterns too."""

    dense = SCHEMA.dense
    sparse = SCHEMA.sparse
    max_tokens = 100
    tokenizer = WordSpans()

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        return EncodedTexts(np.stack([_at(0)] * len(texts)), [{"lantern": 2.0, "lamp": 1.0}] * len(texts))

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        dense = np.stack([_at(0 if "warm" in text.lower() else 60) for text in texts])
        return EncodedTexts(dense, [{"lantern": 1.5} if "lantern" in text else {"other": 1.0} for text in texts])


def _at(degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.array([np.cos(radians), np.sin(radians)], dtype=np.float32)


@pytest.fixture(scope="module")
def index(connection: Connection) -> Iterator[str]:
    """An index of :data:`TEXTS`, each the second passage of its document; the tests only read it."""
    name = f"highlights-{id(connection):x}-{datetime.now(UTC):%H%M%S%f}"
    create_index(connection, name, SCHEMA)
    try:
        lines = b"".join(index_action(name, _encoded(id_), connection.dialect, SCHEMA) for id_ in TEXTS)
        assert not connection.send(bulk_request(lines))["errors"]
        refresh(connection, name)
        yield name
    finally:
        delete_index(connection, name)


def _encoded(id_: str) -> EncodedPassage:
    document = Document(id_, PADDING + TEXTS[id_])
    vectors = WarmEncoder().encode_documents([TEXTS[id_]])
    return EncodedPassage(Passage(document, 1, len(PADDING), len(document.text)), vectors.dense[0], vectors.sparse[0])


@pytest.fixture
def client(connection: Connection, index: str) -> SearchClient:
    return SearchClient(index, connection=connection, encoder=WarmEncoder(), settings=Settings())


def _hits(result: SearchResult) -> dict[str, Hit]:
    assert not result.warnings
    return {hit.id: hit for hit in result}


def _marked(hit: Hit) -> list[tuple[str, list[str]]]:
    """The kind of each highlight and what it marks; offsets are those of the whole document."""
    document = PADDING + TEXTS[hit.id]
    for one in hit.highlights:
        assert document[one.start : one.end] == one.text
    return [(one.kind, [document[start:end] for start, end in one.marks]) for one in hit.highlights]


def test_every_hit_has_its_own_reason(client) -> None:
    """Words in every form, a term that the query's vector has, and for a hit without either its nearest sentence."""
    hits = _hits(client.search("lamps", legs=["bm25", "dense", "sparse"], highlight=True))
    assert _marked(hits["words"]) == [("words", ["LAMPS", "lamp's"])]
    assert _marked(hits["terms"]) == [("terms", ["lantern"])]
    assert _marked(hits["meaning"]) == [("meaning", ["😀 Warm light for long evenings!"])]


def test_reasons_come_with_their_numbers(client) -> None:
    """2 x 1.5 of the term that met, to nine bits; cosine 1 of the sentence at the query's angle."""
    hits = _hits(client.search("lamps", highlight=True))
    assert hits["terms"].highlights[0].terms == {"lantern": pytest.approx(3.0)}
    assert hits["meaning"].highlights[0].score == pytest.approx(1.0)


def test_html_has_no_marker_but_ours(client) -> None:
    """What a document holds is text: its own tags are escaped."""
    hits = _hits(client.search("lamps", highlight=Highlight(before='<em class="hit">', after="</em>")))
    assert hits["words"].highlights[0].html == (
        '😀 Two &lt;mark&gt;<em class="hit">LAMPS</em>&lt;/mark&gt; &amp; an oak. Nothing else is said. '
        'The <em class="hit">lamp&#x27;s</em> foot is heavy.'
    )


def test_pieces_are_bounded(client) -> None:
    """Two sentences of a mark each, where both do not fit into one piece; the first of equals where one is wanted."""
    hits = _hits(client.search("lamps", highlight=Highlight(length=40)))
    assert [one.text for one in hits["words"].highlights] == [
        "😀 Two <mark>LAMPS</mark> & an oak.",
        "The lamp's foot is heavy.",
    ]
    hits = _hits(client.search("lamps", highlight=Highlight(length=40, fragments=1)))
    assert len(hits["words"].highlights) == 1


def test_every_reason_is_given_where_it_is_asked_for(client) -> None:
    """The hit of the words has its nearest sentence too; without meaning, a hit may have none."""
    hits = _hits(client.search("lamps", highlight=Highlight(every=True)))
    assert [one.kind for one in hits["words"].highlights] == ["words", "meaning"]
    hits = _hits(client.search("lamps", highlight=Highlight(meaning=False)))
    assert [list(hits[id_].highlights) for id_ in ("meaning",)] == [[]]


def test_terms_that_are_no_words_of_the_passage_leave_their_sentence(client) -> None:
    """A sparse leg alone: the sentence whose terms have the largest product with the query's, marked as that."""
    encoder = WarmEncoder()
    encoder.tokenizer = None  # nothing says where its terms stand
    quiet = SearchClient(
        client.searcher.target.index, connection=client._connection, encoder=encoder, settings=Settings()
    )
    hits = _hits(quiet.search("lamps", legs=["sparse"], highlight=True))
    assert _marked(hits["terms"]) == [("terms", ["A lantern of brass glows here."])]
    assert hits["terms"].highlights[0].score == pytest.approx(2 * 1.5)


def test_a_reranked_page_is_highlighted(client, connection, monkeypatch) -> None:
    """The hits that the reranker puts on the page, in one request more; without one, in that of the fetch."""

    class Backwards:
        name = "backwards"

        def score(self, query: str, passages: Sequence[str]) -> np.ndarray:
            del query
            return np.arange(len(passages), dtype=np.float32)

    index = client.searcher.target.index
    other = SearchClient(index, connection=connection, encoder=WarmEncoder(), reranker=Backwards(), settings=Settings())
    sent = []
    send = connection.transport.send
    monkeypatch.setattr(type(connection.transport), "send", lambda _, request: sent.append(request) or send(request))
    assert all(hit.highlights for hit in other.search("lamps", k=1, highlight=True))
    assert len(sent) == 3
    sent.clear()
    assert all(hit.highlights for hit in client.search("lamps", k=1, highlight=True))
    assert len(sent) == 2


@pytest.mark.parametrize("analyzer", ["english", "simple"])
def test_every_text_field_is_highlighted(connection, index_name, analyzer) -> None:
    """A title of the same analyzer, or of another, with offsets in its value; one that the text has is there once."""
    schema = replace(SCHEMA, dense=None, sparse=None, text_fields=(TextField("title", analyzer=analyzer, weight=2.0),))
    name = index_name()
    create_index(connection, name, schema)
    lines = b""
    for id_, title, text in (("a", "An oak lamp", "It glows by the lamp. So warm."), ("b", "A lamp", "A lamp glows.")):
        passage = Passage(Document(id_, text, {}, texts={"title": title}), 0, 0, len(text))
        lines += index_action(name, EncodedPassage(passage, None, None), connection.dialect, schema)
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, name)
    with SearchClient(name, connection=connection, settings=NO_MODELS) as client:
        found = {hit.id: hit.highlights for hit in client.search("lamp", highlight=True)}
    assert [(one.field, one.start, one.html) for one in found["a"]] == [
        ("text", 0, "It glows by the <mark>lamp</mark>. So warm."),
        ("title", 0, "An oak <mark>lamp</mark>"),
    ]
    assert [one.field for one in found["b"]] == ["text"]


async def test_the_asynchronous_client_highlights_alike(client, engine_url, index) -> None:
    """One procedure, two drivers."""
    async with (
        await connect_async(EngineSettings(url=engine_url)) as connection,
        AsyncSearchClient(index, connection=connection, encoder=WarmEncoder(), settings=Settings()) as other,
    ):
        result = await other.search("lamps", highlight=True)
    assert [hit.highlights for hit in result] == [hit.highlights for hit in client.search("lamps", highlight=True)]
