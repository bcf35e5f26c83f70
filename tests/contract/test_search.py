"""Searching on real engines: each leg ranks as its formula says, and both engines alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection, connect_async
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, delete_index, refresh
from hybrid_search.errors import IndexMismatchError, IndexMissingError, QueryError
from hybrid_search.filters import Eq
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Leg, Passage, Query
from hybrid_search.search import AsyncSearchClient, Fusion, SearchClient
from hybrid_search.settings import NO_MODEL, DenseSettings, EngineSettings, Settings, SparseSettings

SCHEMA = IndexSchema(
    dense=Fingerprint(kind="dense", name="circle", weights="0", dimension=2),
    sparse=Fingerprint(kind="sparse", name="letters", weights="1"),
    keyword_fields=("kind",),
)

# id -> text, angle in degrees, terms, kind
PASSAGES: Mapping[str, tuple[str, float, Mapping[str, float], str]] = {
    "a#0": ("parse a date from a string", 0, {"1": 2.0}, "function"),
    "a#1": ("dates dates dates", 40, {"2": 8.0}, "function"),
    "b#0": ("the date of the day", 10, {"1": 1.0, "2": 1.0}, "class"),
    "c#0": ("compress a stream of bytes", 60, {"3": 4.0}, "class"),
    "d#0": ("strings of bytes", 90, {"1": 0.5, "3": 0.5}, "module"),
}


class CircleEncoder:
    """A text ``"30: words"`` is encoded at 30 degrees, with the terms 1 and 2."""

    dense = SCHEMA.dense
    sparse = SCHEMA.sparse
    max_tokens = 100
    tokenizer = None

    def encode_documents(self, texts):
        return self.encode_queries(texts)

    def encode_queries(self, texts):
        dense = np.stack([at(float(text.partition(":")[0])) for text in texts])
        return EncodedTexts(dense, [{"1": 1.0, "2": 0.5}] * len(texts))


def at(degrees: float) -> np.ndarray:
    """The unit vector at this angle."""
    radians = np.radians(degrees)
    return np.array([np.cos(radians), np.sin(radians)], dtype=np.float32)


@pytest.fixture
def index(connection: Connection, index_name: Callable[[], str]) -> str:
    """An index of :data:`PASSAGES`."""
    name = index_name()
    create_index(connection, name, SCHEMA)
    load(connection, name)
    return name


def load(connection: Connection, name: str) -> None:
    lines = b"".join(index_action(name, encoded(id_), connection.dialect, SCHEMA) for id_ in PASSAGES)
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, name)


def encoded(passage_id: str) -> EncodedPassage:
    text, degrees, terms, kind = PASSAGES[passage_id]
    document_id, _, number = passage_id.rpartition("#")
    padding = " " * 10 * int(number)
    document = Document(document_id, padding + text, {"kind": kind, "note": "only stored"})
    return EncodedPassage(Passage(document, int(number), len(padding), len(document.text)), at(degrees), terms)


@pytest.fixture
def client(connection: Connection, index: str) -> SearchClient:
    """A client of :func:`index` with the encoder of its vectors."""
    return SearchClient(index, connection=connection, encoder=CircleEncoder(), settings=Settings())


def ranking(result) -> list[str]:
    return [hit.passage_id for hit in result]


def test_bm25_finds_words_in_any_form(client) -> None:
    """The english analyzer stems, and a document stands where its best passage does."""
    result = client.search("0: date", legs=["bm25"])
    assert ranking(result) == ["a#1", "b#0"]


def test_dense_scores_are_cosines(client) -> None:
    """(1 + cosine) / 2 of the angle between query and passage, nearest first."""
    result = client.search("20: anything", legs=["dense"])
    assert ranking(result) == ["b#0", "a#0", "c#0", "d#0"]
    scores = [hit.legs[Leg.DENSE].score for hit in result]
    assert scores == pytest.approx([(1 + np.cos(np.radians(d))) / 2 for d in (10, 20, 40, 70)], abs=1e-6)


def test_sparse_scores_are_dot_products(client) -> None:
    """Query weights times passage weights, to nine bits; a passage without a common term is not found."""
    result = client.search("0: anything", legs=["sparse"])
    assert ranking(result) == ["a#1", "b#0", "d#0"]
    scores = [hit.legs[Leg.SPARSE].score for hit in result]
    assert scores == pytest.approx([0.5 * 8, 1 * 1 + 0.5 * 1, 1 * 0.5], rel=4e-3)


def test_exact_and_graph_search_agree_on_a_small_index(client) -> None:
    """Both compare with every vector of five, and score alike."""
    graph, exact = (client.search("33: anything", legs=["dense"], exact=exact) for exact in (False, True))
    assert ranking(graph) == ranking(exact)
    assert [h.score for h in graph] == pytest.approx([h.score for h in exact])


def test_three_legs_are_fused(client) -> None:
    """Reciprocal ranks of documents: a is second, first and second; b first in none, and so on."""
    result = client.search("10: date", fusion="rrf")
    ranks = {hit.id: {leg: score.rank for leg, score in hit.legs.items()} for hit in result}
    assert ranks["a"] == {Leg.BM25: 1, Leg.DENSE: 2, Leg.SPARSE: 1}
    assert ranks["b"] == {Leg.BM25: 2, Leg.DENSE: 1, Leg.SPARSE: 2}
    assert result.hits[0].score == pytest.approx(1 / 61 + 1 / 62 + 1 / 61)
    assert [hit.id for hit in result] == ["a", "b", "d", "c"]
    assert not result.warnings


def test_a_hit_shows_its_passage_and_fields(client) -> None:
    """Text, offsets in the document and the user's fields, but no vector."""
    hit = client.search("0: dates", legs=["bm25"]).hits[0]
    assert (hit.passage_id, hit.text, hit.start, hit.end) == ("a#1", "dates dates dates", 10, 27)
    assert hit.fields == {"kind": "function", "note": "only stored"}


def test_a_filter_applies_to_every_leg(client) -> None:
    """Pushed into each leg before its window is cut: nothing else is found, and scores stay."""
    everything = {hit.id: hit for hit in client.search("20: date bytes")}
    classes = client.search("20: date bytes", filter="kind=class")
    assert {hit.id for hit in classes} == {"b", "c"}
    for hit in classes:
        for leg, score in hit.legs.items():
            assert score.score == pytest.approx(everything[hit.id].legs[leg].score)


def test_passages_of_one_document_do_not_crowd_out_others(connection, index_name) -> None:
    """A hundred passages of one document fill the first answer; the others are found all the same."""
    name = index_name()
    create_index(connection, name, IndexSchema(dense=SCHEMA.dense, sparse=None))
    documents = [("long", 100), *((f"short{n}", 1) for n in range(5))]
    lines = b""
    for id_, passages in documents:
        document = Document(id_, "date " * (2 if id_ == "long" else 1) + "and more words than that")
        for number in range(passages):
            passage = Passage(document, number, 0, len(document.text))
            vector = at(number / 100 if id_ == "long" else 50)
            lines += index_action(name, EncodedPassage(passage, vector, None), connection.dialect, SCHEMA)
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, name)
    client = SearchClient(name, connection=connection, encoder=DenseOnly(), settings=Settings())
    result = client.search("0: date", k=6, window=6, candidates=6)
    assert [hit.id for hit in result] == ["long", *(f"short{n}" for n in range(5))]
    (found,) = client.retrieve(["0: date"], window=6, candidates=6)
    assert {leg: len(run) for leg, run in found.runs.items()} == {Leg.BM25: 6, Leg.DENSE: 6}


class DenseOnly(CircleEncoder):
    """Without sparse vectors."""

    sparse = None

    def encode_queries(self, texts):
        return EncodedTexts(super().encode_queries(texts).dense, None)


def test_queries_in_a_batch_are_answered_as_alone(client) -> None:
    """One request for all gives what one request each gives."""
    queries = ["0: date", "60: bytes", "90: string"]
    together = client.search_many(queries)
    alone = [client.search(query) for query in queries]
    assert [[(h.id, h.score) for h in result] for result in together] == [
        [(h.id, h.score) for h in result] for result in alone
    ]


def test_a_query_of_vectors_needs_no_encoder(connection, index) -> None:
    """Vectors search by themselves; models that are switched off are not loaded."""
    settings = Settings(dense=DenseSettings(model=NO_MODEL), sparse=SparseSettings(model=NO_MODEL))
    client = SearchClient(index, connection=connection, settings=settings)
    result = client.search(Query("", dense=at(60)), legs=["dense"], k=1)
    assert ranking(result) == ["c#0"]


def test_weights_change_the_ranking(client) -> None:
    """All weight on one leg gives that leg's ranking."""
    only_dense = Fusion("min-max", {Leg.BM25: 0, Leg.DENSE: 1, Leg.SPARSE: 0})
    result = client.search("90: date", fusion=only_dense)
    assert result.hits[0].id == "d"
    assert [hit.id for hit in result] == [hit.id for hit in client.search("90: date", legs=["dense"])]
    assert set(result.legs) == {Leg.DENSE}


def test_an_index_that_is_not_there_is_an_error(connection) -> None:
    """Opening says so, before any model is loaded."""
    with pytest.raises(IndexMissingError, match="no-such-index"):
        SearchClient("no-such-index", connection=connection, encoder=CircleEncoder())


def test_an_index_that_was_deleted_is_an_error(connection, client, index) -> None:
    """All legs fail, and the error is the engine's."""
    delete_index(connection, index)
    with pytest.raises(IndexMissingError):
        client.search("0: date")


def test_other_models_are_refused(connection, index) -> None:
    """Another model of the same dimension would find nonsense without a word."""

    class Other(CircleEncoder):
        dense = Fingerprint(kind="dense", name="square", weights="9", dimension=2)

    with pytest.raises(IndexMismatchError, match="circle / square"):
        SearchClient(index, connection=connection, encoder=Other())


def test_filters_of_query_and_call_apply_together(client) -> None:
    """A query's own filter is narrowed by that of the call."""
    query = Query("20: date bytes", filter=Eq("kind", "class") | Eq("kind", "module"))
    assert {hit.id for hit in client.search(query, filter=~Eq("kind", "module"))} == {"b", "c"}


def test_a_filter_on_a_field_that_is_not_indexed_is_refused(client) -> None:
    """The field is stored only; nothing is sent."""
    with pytest.raises(QueryError, match="note"):
        client.search("0: date", filter="note=x")


async def test_the_asynchronous_client_answers_the_same(engine_url, index, client) -> None:
    """One procedure, two drivers."""
    settings = EngineSettings(url=engine_url)
    async with (
        await connect_async(settings) as connection,
        AsyncSearchClient(index, connection=connection, encoder=CircleEncoder(), settings=Settings()) as searching,
    ):
        result = await searching.search("20: date bytes")
    assert [(hit.id, hit.score) for hit in result] == [(hit.id, hit.score) for hit in client.search("20: date bytes")]
