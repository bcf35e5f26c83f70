"""Boosts, pinned and buried documents on real engines, and decay as the engines define it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from loading import GeneratedEncoder

from hybrid_search.boosts import Fresh, Log1p, Saturation
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest.pipeline import index_documents
from hybrid_search.records import Document, Placed
from hybrid_search.search import AsyncSearchClient, Reranking, SearchClient
from hybrid_search.search.explain import explain_text
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import ChunkingSettings, DocumentSettings, Settings

SETTINGS = Settings(
    documents=DocumentSettings(keyword=("brand",), number=("sold",), date=("published",)),
    chunking=ChunkingSettings(32, 0),
)
DOCUMENTS = [
    Document("a", "red lamp", {"brand": "Apex", "sold": 9, "published": "2024-05-31"}),
    Document("b", "blue lamp", {"brand": "Bolt", "sold": [1, 99], "published": "2024-05-01"}),
    Document("c", "tall lamp", {"brand": "Apex", "published": ["2020-01-01", "2024-04-01T12:00:00"]}),
    Document("d", "wide lamp", {"brand": "Bolt"}),
    Document("e", "cosy chair", {"brand": "Apex"}),
]
DAY = 86_400_000
ORIGIN = int(datetime(2024, 5, 31, tzinfo=UTC).timestamp() * 1000)


class Wide:
    """A reranker that likes wide lamps, then tall ones."""

    name = "wide"

    def score(self, query, passages):
        del query
        return [2.0 * ("wide" in text) + ("tall" in text) for text in passages]


@pytest.fixture
def name(connection, index_name):
    """Four lamps of equal BM25, and a chair."""
    made = index_name()
    index_documents(DOCUMENTS, made, connection, GeneratedEncoder(), SETTINGS)
    return made


@pytest.fixture
def client(connection, name):
    with SearchClient(name, connection=connection, encoder=GeneratedEncoder(), settings=SETTINGS) as opened:
        yield opened


@pytest.mark.parametrize("curve", ["exp", "gauss", "linear"])
def test_decay_is_that_of_the_engine(connection, name, client, curve) -> None:
    """The engine's own function_score over the same index gives every document the same worth."""
    boost = Fresh("published", "20d", offset="3d", decay=0.4, curve=curve, origin="2024-05-31")
    decay = {"filter.published": {"origin": ORIGIN, "scale": "20d", "offset": "3d", "decay": 0.4}}
    query = {"function_score": {"query": {"exists": {"field": "filter.published"}}, curve: decay}}
    query["function_score"]["boost_mode"] = "replace"
    answer = connection.send(Request.json("POST", f"/{name}/_search", {"query": query}))
    theirs = {hit["_id"].partition("#")[0]: hit["_score"] for hit in answer["hits"]["hits"]}
    ours = {hit.id: hit.boosts["fresh:published"] - 1 for hit in client.search("lamp", legs=["bm25"], boosts=[boost])}
    assert {id_: ours[id_] for id_ in theirs} == pytest.approx(theirs, abs=1e-6)
    assert ours["d"] == 0


def test_factors_on_equal_scores(client) -> None:
    """Each lamp's fused score is 1, so that its score is its factors.

    a: 1 + ln 10 / ln 100 = 1.5, b: 1 + ln 100 / ln 100 = 2 (the largest of 1 and 99), c and d have no number: 1.
    Freshness: a 1 + .5 x 1, b 1 + .5 x .5, c 1 + .5 x .25 (59.5 days), d 1.
    """
    rules = [Log1p("sold", 99), Fresh("published", "30d", origin="2024-05-31", weight=0.5)]
    found = client.search("lamp", legs=["bm25"], boosts=rules)
    expected = {"b": 2 * 1.25, "a": 1.5 * 1.5, "c": 1 + 0.5 * 0.5 ** (59.5 / 30), "d": 1}
    assert {hit.id: hit.score for hit in found} == pytest.approx(expected)
    assert [hit.id for hit in found] == ["b", "a", "c", "d"]
    assert {hit.fused for hit in found} == {1}
    assert found.hits[0].boosts == {"log1p:sold": 2, "fresh:published": 1.25}
    assert "boosted: 1.0000 x 2.0000 (log1p:sold) x 1.2500 (fresh:published) = 2.5000" in explain_text(found)


def test_pages_are_slices_of_one_boosted_ranking(client) -> None:
    """Page by page the same list."""
    options = {"boosts": "saturation:sold,9", "pin": ["e", "d"], "bury": ["b"], "legs": ["bm25"]}
    whole = [hit.id for hit in client.search("lamp", 5, **options)]
    assert whole == ["e", "d", "a", "c", "b"]
    assert [client.search("lamp", 1, offset=n, **options).hits[0].id for n in range(5)] == whole


def test_a_pinned_document_stands_first_also_unfound(client) -> None:
    """e has none of the words: it is added, with what says so; d is found."""
    found = client.search("lamp", legs=["bm25"], pin=["e", "d"], boosts="log1p:sold,99")
    assert [(hit.id, hit.placed, hit.rank) for hit in found][:3] == [
        ("e", Placed.ADDED, 1),
        ("d", Placed.PINNED, 2),
        ("b", None, 3),
    ]
    assert (found.hits[0].text, found.hits[0].legs, found.hits[0].score) == ("cosy chair", {}, 0)
    assert "pinned: stands first, though no leg found it" in explain_text(found)
    assert not found.warnings


def test_what_may_not_be_seen_is_not_pinned(client) -> None:
    """The filter of the query, and what its text leaves out, hold for pinned documents; what is missing is said."""
    found = client.search("lamp", legs=["bm25"], pin=["e", "b", "nowhere"], filter="brand=Bolt")
    assert [hit.id for hit in found] == ["b", "d"]
    assert [(warning.code, warning.part) for warning in found.warnings] == [(WarningCode.PINNED_NOT_FOUND, "pins")]
    assert "e, nowhere" in found.warnings[0]
    assert not found.degraded
    without = client.search("lamp -chair", legs=["bm25"], pin=["e"], syntax="simple")
    assert "e" not in [hit.id for hit in without]


def test_only_the_pinned_are_shown_where_nothing_is_found(client) -> None:
    """A query without a match still has them."""
    assert [hit.id for hit in client.search("sofa", legs=["bm25"], pin=["b"])] == ["b"]


def test_a_reranker_moves_only_what_is_not_placed(connection, name) -> None:
    """The middle is reranked; the combination is of the boosted score and the reranker's.

    a 2, c 1 (fused x factor; min-max over the two: 1 and 0), reranker 0 and 1 (tall): .4 x 1 + .6 x 0 = .4, .6.
    """
    with SearchClient(
        name, connection=connection, encoder=GeneratedEncoder(), settings=SETTINGS, reranker=Wide()
    ) as client:
        found = client.search(
            "lamp",
            legs=["bm25"],
            boosts=[Saturation("sold", 9)],
            pin="b",
            bury="d",
            rerank=Reranking(window=50, weight=0.6),
        )
    assert [hit.id for hit in found] == ["b", "c", "a", "d"]
    assert [hit.rerank and (hit.rerank.rank_before, round(hit.rerank.combined, 6)) for hit in found] == [
        None,
        (3, 0.6),
        (2, 0.4),
        None,
    ]


@pytest.mark.parametrize("fusion", ["rrf", "server"])
def test_other_fusions_are_boosted_too(connection, client, fusion) -> None:
    """The factor is the same, whatever the score that it is on."""
    if fusion == "server" and connection.dialect.engine == "elasticsearch":
        pytest.skip("needs a licence")
    found = client.search("lamp", fusion=fusion, boosts="log1p:sold,99", legs=["bm25", "dense"])
    assert {hit.id: hit.score / hit.fused for hit in found} == pytest.approx({"a": 1.5, "b": 2, "c": 1, "d": 1, "e": 1})


def test_passages_are_boosted_and_pinned_by_their_documents(client) -> None:
    """Without collapsing, a document's passages have its values and its place."""
    found = client.search("lamp", legs=["bm25"], collapse=False, boosts="log1p:sold,99", pin=["e"], bury=["b"])
    assert [hit.passage_id for hit in found] == ["e#0", "a#0", "c#0", "d#0", "b#0"]


def test_the_asynchronous_client_does_the_same(engine_url, name, client) -> None:
    """And a batch has each query's own pins added."""
    options = {"boosts": ["log1p:sold,99"], "pin": ["e"], "legs": ["bm25"], "k": 3}

    async def found():
        async with AsyncSearchClient(name, url=engine_url, encoder=GeneratedEncoder(), settings=SETTINGS) as opened:
            return await opened.search_many(["lamp", "chair"], **options)

    first, second = asyncio.run(found())
    assert [[hit.id for hit in one] for one in (first, second)] == [["e", "b", "a"], ["e"]]
    assert [one.hits[0].placed for one in (first, second)] == [Placed.ADDED, Placed.PINNED]
    assert [hit.id for hit in client.search("lamp", **options)] == ["e", "b", "a"]
