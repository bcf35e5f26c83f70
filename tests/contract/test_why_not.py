"""Why a document is not on the page, on real engines: ranks far below the window, conditions, words, terms, changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from loading import GeneratedEncoder

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection, connect_async
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.filters import parse
from hybrid_search.ingest import index_documents
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Passage
from hybrid_search.search import AsyncSearchClient, Fusion, Reranking, SearchClient, TextScoring
from hybrid_search.search.why_not_records import Reason
from hybrid_search.settings import (
    ChunkingSettings,
    DenseSettings,
    EngineSettings,
    SearchSettings,
    Settings,
    SparseSettings,
    TextFieldSettings,
)

SCHEMA = IndexSchema(
    dense=Fingerprint(kind="dense", name="circle", weights="0", dimension=2),
    sparse=Fingerprint(kind="sparse", name="letters", weights="1"),
    keyword_fields=("kind",),
    number_fields=("price",),
)
COUNT = 30


class Numbers:
    """Documents d00 to d29: d(n) says "date" once among n + 1 words, lies at n degrees, and has 30 - n of the term 1.

    A query is encoded at 0 degrees with the terms 1 and 2; the reranker likes the last documents best.
    """

    dense, sparse = SCHEMA.dense, SCHEMA.sparse
    max_tokens, tokenizer = 100, None
    name = "last-first"

    def encode_documents(self, texts):
        return self.encode_queries(texts)

    def encode_queries(self, texts):
        return EncodedTexts(np.stack([at(0)] * len(texts)), [{"1": 0.5, "2": 4.0}] * len(texts))

    def score(self, query, passages):
        del query
        return np.array([len(text) for text in passages], dtype=np.float32)


class Apart(Numbers):
    """A query at 20 degrees, where d20 lies."""

    def encode_queries(self, texts):
        return EncodedTexts(np.stack([at(20)] * len(texts)), [{"1": 0.5}] * len(texts))


def at(degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.array([np.cos(radians), np.sin(radians)], dtype=np.float32)


def document(n: int) -> Document:
    return Document(f"d{n:02}", " ".join(["date", *["filler"] * n]), {"kind": "odd" if n % 2 else "even", "price": n})


@pytest.fixture
def index(connection: Connection, index_name: Callable[[], str]) -> str:
    """An index of the documents of :class:`Numbers`, d29 in two passages of which the second is far away."""
    name = index_name()
    fill(connection, name)
    return name


def fill(connection: Connection, name: str) -> None:
    create_index(connection, name, SCHEMA)
    lines = b""
    for n in range(COUNT):
        one = document(n)
        passage = EncodedPassage(Passage(one, 0, 0, len(one.text)), at(n), {"1": float(COUNT - n)})
        lines += index_action(name, passage, connection.dialect, SCHEMA)
        if n == COUNT - 1:
            other = EncodedPassage(Passage(one, 1, 5, len(one.text)), at(90), {"3": 1.0})
            lines += index_action(name, other, connection.dialect, SCHEMA)
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, name)


@pytest.fixture
def client(connection: Connection, index: str) -> SearchClient:
    """A client with the encoder of the vectors."""
    return SearchClient(index, connection=connection, encoder=Numbers(), settings=Settings())


def legs_of(found) -> dict:
    return {place.leg: place for place in found.legs}


def test_ranks_are_known_far_below_the_window(client) -> None:
    """d20 is 21st in every leg, of which each ranks 5: (1 + cos 20 degrees) / 2, and 0.5 * (30 - 20)."""
    found = client.why_not("date", "d20", k=3, window=5)
    places = legs_of(found)
    assert {leg: place.rank for leg, place in places.items()} == {"bm25": 21, "dense": 21, "sparse": 21}
    assert all(place.found_at is None and place.contribution == 0 for place in places.values())
    assert places["dense"].score == pytest.approx((1 + np.cos(np.radians(20))) / 2, abs=1e-6)
    assert places["dense"].cosine == pytest.approx(np.cos(np.radians(20)), abs=1e-6)
    assert places["sparse"].score == pytest.approx(0.5 * 10)
    assert (found.reason, found.rank) == (Reason.NOT_FOUND, None)
    assert found.verdict == "no leg ranks it among its first 5: the nearest is bm25 with rank 21"


def test_a_document_on_the_page_is_said_to_be(client) -> None:
    """d02 is third."""
    found = client.why_not("date", "d02", k=3)
    assert (found.reason, found.rank, found.verdict) == (Reason.ON_PAGE, 3, "it is on the page: rank 3")
    assert found.changes == ()
    assert client.why_not("date", "d02", k=3, offset=3).reason is Reason.ABOVE_PAGE


def test_below_the_page_it_is_compared_with_the_last_hit(client) -> None:
    """By reciprocal ranks d05 has 3 / 66, and d02, the last on the page, 3 / 63."""
    found = client.why_not("date", "d05", k=3, fusion="rrf")
    assert (found.reason, found.rank, found.of) == (Reason.BELOW_PAGE, 6, COUNT)
    assert found.document.fused == pytest.approx(3 / 66)
    assert (found.last_hit.id, found.last_hit.rank) == ("d02", 3)
    assert found.last_hit.fused == pytest.approx(3 / 63)
    assert legs_of(found)["bm25"].contribution == pytest.approx(1 / 66)


def test_the_condition_that_removes_it_is_named(client) -> None:
    """Of three conditions d20 fails one; its rank is that among the 15 of its kind that pass: 7 odd ones below 15."""
    matching = parse("kind=odd and price<15 and (kind=odd or price>100)")
    found = client.why_not("date", "d20", filter=matching)
    assert found.reason is Reason.FILTERED
    assert [(one.text, one.passes) for one in found.conditions] == [
        ("kind=odd", False),
        ("price<15", False),
        ("kind=odd or price>100", False),
    ]
    assert found.conditions[1].values == {"price": 20}
    assert legs_of(found)["sparse"].rank == 8
    passing = client.why_not("date", "d21", filter=parse("kind=odd and price<15"))
    assert [(one.text, one.passes) for one in passing.conditions] == [("kind=odd", True), ("price<15", False)]
    assert passing.verdict == "the filter removes it: price<15"


def test_words_are_shown_as_the_analyzer_reads_them(client) -> None:
    """Stop words find nothing; "Dates" is searched as "date", which d03 has, and "lamps" as "lamp", which it lacks."""
    found = client.why_not("The Dates of lamps", "d03")
    assert [(w.text, w.terms, w.passages) for w in found.words] == [
        ("The", (), 0),
        ("Dates", ("date",), 1),
        ("of", (), 0),
        ("lamps", ("lamp",), 0),
    ]
    assert [w.is_stop_word for w in found.words] == [True, False, True, False]


def test_sparse_terms_that_met_have_their_products(client) -> None:
    """Query weight times stored weight: 0.5 * 27 for term 1; term 2 is not in the document."""
    found = client.why_not("date", "d03")
    assert [(t.term, t.query, t.stored, t.product) for t in found.terms] == [("1", 0.5, 27.0, 13.5)]


def test_an_absent_document_has_neighbours(client) -> None:
    """Ids that look alike are named; the id of a passage leads to its document."""
    found = client.why_not("date", "d99")
    assert (found.reason, found.passages, found.verdict) == (Reason.NOT_IN_INDEX, 0, "d99 is not in the index")
    assert "d29" in found.nearest or "d09" in found.nearest
    assert client.why_not("date", "d07#0").nearest[0] == "d07"


def test_a_wider_window_brings_it_in_as_said(connection, index) -> None:
    """d20 is first in dense and 21st in both others: in a window of 4 it has 1 / 61 alone, too little for rank 3."""
    client = SearchClient(index, connection=connection, encoder=Apart(), settings=Settings())
    found = client.why_not("date", "d20", k=3, window=4, fusion="rrf")
    window = int(next(change.setting for change in found.changes if change.kind == "window"))
    assert "d20" in {hit.id for hit in client.search("date", k=3, window=window, fusion="rrf")}
    assert "d20" not in {hit.id for hit in client.search("date", k=3, window=window - 1, fusion="rrf")}


def test_a_weight_brings_it_in_as_said(connection, index) -> None:
    """A query near d20 for the dense leg alone: its weight is raised until d20 is on the page, and then it is."""

    client = SearchClient(index, connection=connection, encoder=Apart(), settings=Settings())
    found = client.why_not("date", "d20", k=1)
    change = next(change for change in found.changes if change.kind == "weights")
    weights = {leg: float(weight) for leg, weight in (part.split("=") for part in change.setting.split(","))}
    assert weights["dense"] > 1 or weights["bm25"] < 1 or weights["sparse"] < 1
    again = client.search("date", k=1, fusion=Fusion("min-max", weights=weights))
    assert [hit.id for hit in again] == ["d20"]
    assert change.rank == 1


def test_the_reranker_is_asked_for_it(connection, index) -> None:
    """d10 is below the 5 that were reranked: its own score is its text's length, and no share is worked out."""
    client = SearchClient(index, connection=connection, encoder=Numbers(), reranker=Numbers(), settings=Settings())
    found = client.why_not("date", "d10", k=3, rerank=Reranking(window=5, weight=0.5))
    assert found.reranker_score == len(document(10).text)
    assert found.document.rerank is None
    inside = client.why_not("date", "d00", k=1, rerank=Reranking(window=5, weight=1.0))
    assert inside.document.rerank.rank_before == 1
    share = next(change for change in inside.changes if change.kind == "rerank-weight")
    again = client.search("date", k=1, rerank=Reranking(window=5, weight=float(share.setting)))
    assert [hit.id for hit in again] == ["d00"]


def test_both_clients_say_the_same(client, index, engine_url) -> None:
    """One procedure, two drivers."""

    async def asked():
        async with (
            await connect_async(EngineSettings(url=engine_url)) as connection,
            AsyncSearchClient(index, connection=connection, encoder=Numbers(), settings=Settings()) as other,
        ):
            return await other.why_not("date", "d20", k=3, window=5)

    assert asyncio.run(asked()).as_json() == client.why_not("date", "d20", k=3, window=5).as_json()


def test_words_are_looked_for_in_every_text_that_is_searched(connection, index_name) -> None:
    """A word is "date" to the whole text and "dates" to the title: one document has it there, another here."""
    name, texts = (
        index_name(),
        {"hour": ("Hours", "a date"), "clock": ("Dates", "the clock"), "lamp": ("Lamp", "light")},
    )
    settings = Settings(
        text={"title": TextFieldSettings(weight=2.0, analyzer="standard")},
        chunking=ChunkingSettings(with_title=False),
        dense=DenseSettings(model="none"),
        sparse=SparseSettings(model="none"),
        search=SearchSettings(legs=("bm25",)),
    )
    documents = [Document(id_, body, {"title": title}) for id_, (title, body) in texts.items()]
    index_documents(documents, name, connection, GeneratedEncoder(None, None, 512), settings)
    client = SearchClient(name, settings=settings, connection=connection)
    held = {id_: client.why_not("Dates", id_, 1).words[0] for id_ in texts}
    assert {id_: word.passages for id_, word in held.items()} == {"hour": 1, "clock": 1, "lamp": 0}
    assert set(held["hour"].terms) == {"date", "dates"}
    bare = client.why_not("Dates", "clock", 1, text=TextScoring(weights={"title": 0}))
    assert bare.words[0].passages == 0
    assert (bare.reason, bare.verdict) == (Reason.NOT_FOUND, "no leg matches it")


def test_what_is_buried_or_pinned_is_said_so(client) -> None:
    """A buried document is behind all others whatever its legs say, and no weight is worked out against that."""
    found = client.why_not("date", "d01", k=3, bury=("d01",))
    assert found.verdict == f"it is buried, behind all others: rank {COUNT}"
    assert (found.changes, found.document.placed) == ((), "buried")
    assert client.why_not("date", "d25", k=3, pin=("d25",)).rank == 1


def test_a_server_that_fuses_does_not_say_what_legs_found(opensearch, new_names) -> None:
    """Ranks are those that the legs would give; nothing is said to be missed, and no change is worked out."""
    name = new_names(opensearch)
    fill(opensearch, name)
    client = SearchClient(name, connection=opensearch, encoder=Numbers(), settings=Settings())
    found = client.why_not("date", "d20", k=3, fusion="server")
    assert (found.rank, found.changes) == (21, ())
    assert {place.rank for place in found.legs} == {21}
    assert not any(place.told or place.missed_by_graph for place in found.legs)


def test_an_alias_hides_what_it_does_not_show(connection, client, index) -> None:
    """d20 is there, and for who searches by the alias it is not; ranks count what the alias shows: d21 is 11th."""
    alias = f"{index}-odd"
    add = {"add": {"index": index, "alias": alias, "filter": {"term": {"filter.kind": "odd"}}}}
    connection.send(Request.json("POST", "/_aliases", {"actions": [add]}))
    shown = SearchClient(alias, connection=connection, encoder=Numbers(), settings=Settings())
    assert client.why_not("date", "d20", k=3).passages == 1
    assert shown.why_not("date", "d20", k=3).reason is Reason.NOT_IN_INDEX
    assert {place.rank for place in shown.why_not("date", "d21", k=3).legs} == {11}
