"""Vectors in an index that somebody else owns: attached, searched, detached; what its owner wrote stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson
import pytest
from loading import WordTokenizer

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection, connect_async
from hybrid_search.engine.bulk import bulk_request
from hybrid_search.engine.indices import count, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, QueryError
from hybrid_search.filters import parse
from hybrid_search.ingest.attach import PassOptions, attach, detach, plan_attachment
from hybrid_search.records import Fingerprint, SearchResult
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.search.facets import Terms
from hybrid_search.search.scored_text import TextScoring
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import EngineSettings, Settings

MAPPINGS = {
    "_meta": {"owner": "library"},
    "properties": {
        "title": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "body": {"type": "text", "analyzer": "english"},
        "author": {"properties": {"name": {"type": "keyword"}}},
        "year": {"type": "integer"},
        "printed": {"type": "date", "format": "yyyy/MM/dd"},
        "lent": {"type": "boolean"},
        "extra": {"type": "object", "enabled": False},
    },
}

BOOKS: Mapping[str, dict[str, Any]] = {
    "whale": {"title": "Whales", "body": "a whale swims", "author": {"name": "Ann"}, "year": 1990, "lent": True},
    "river": {"title": "Rivers", "body": "a river runs", "author": {"name": "Bob"}, "year": 2001, "lent": False},
    "stone": {"title": "Stones", "body": "a stone lies", "year": 2010, "printed": "2010/05/17", "big": 12345678901},
    "long#1": {"title": "Long", "body": "one two three four five six seven eight nine ten whale river stone"},
    "empty": {"year": 1999, "extra": {"list": [1.0, {"deep": None}]}},
}

WORDS = ("whale", "river", "stone")


class ThingEncoder:
    """A text points where the words whale, river and stone that it holds point together; ``texts`` records them."""

    max_tokens = 8
    tokenizer = WordTokenizer()

    def __init__(self, dimension: int = 4, weights: str = "0", *, sparse: bool = True) -> None:
        self.dense = Fingerprint("dense", "things", weights, dimension=dimension, normalized=True)
        self.sparse = Fingerprint("sparse", "things", weights) if sparse else None
        self.texts: list[str] = []

    def encode_documents(self, texts):
        self.texts += texts
        counts = [[float(text.lower().count(word)) for word in WORDS] for text in texts]
        dense = np.zeros((len(texts), self.dense.dimension), np.float32)
        dense[:, :3], dense[:, 3] = counts, 0.1
        sparse = [{str(n): 1.0 + held for n, held in enumerate(some) if held} | {"9": 0.5} for some in counts]
        return EncodedTexts(dense, sparse if self.sparse else None)

    encode_queries = encode_documents


@pytest.fixture
def books(connection: Connection, index_name: Callable[[], str]) -> str:
    """An index of :data:`BOOKS` that its owner has made."""
    name = index_name()
    made(connection, name)
    return name


def made(connection: Connection, name: str, *, knn: bool = True, shards: int = 2, **settings: Any) -> None:
    more = {"index.knn": True} if knn and connection.dialect.engine == "opensearch" else {}
    said = {"number_of_shards": shards, "number_of_replicas": 0, **more, **settings}
    connection.send(Request.json("PUT", f"/{name}", {"settings": said, "mappings": MAPPINGS}))
    write(connection, name, BOOKS)


def write(connection: Connection, name: str, documents: Mapping[str, Mapping[str, Any]], **target: Any) -> None:
    lines = b""
    for id_, source in documents.items():
        lines += orjson.dumps({"index": {"_index": name, "_id": id_, **target}}) + b"\n" + orjson.dumps(source) + b"\n"
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, name)


def sources(connection: Connection, name: str) -> dict[str, Any]:
    """Every document as the engine has it, without our part."""
    refresh(connection, name)
    answer = connection.send(Request.json("POST", f"/{name}/_search", {"size": 1000, "query": {"match_all": {}}}))
    found = {hit["_id"]: dict(hit["_source"]) for hit in answer["hits"]["hits"]}
    for source in found.values():
        source.pop("hybrid_search", None)
    return found


def attached(connection: Connection, name: str, encoder: ThingEncoder, settings: Settings | None = None, **options):
    plan = plan_attachment(connection, name, encoder, settings or Settings(), **options)
    encoder.texts.clear()
    return attach(connection, plan, encoder, settings or Settings())


def test_attached_documents_are_found_by_all_legs(connection: Connection, books: str) -> None:
    """The owner's text fields are the BM25 leg, and a document is found by the passage nearest to the query."""
    encoder = ThingEncoder()
    report = attached(connection, books, encoder)
    assert (report.looked_at, report.encoded, report.without_text) == (5, 4, 1)
    client = SearchClient(books, connection=connection, encoder=encoder, settings=Settings())
    found = client.search("whale", k=5)
    assert found.hits[0].id == "whale"
    assert set(found.hits[0].legs) == {"bm25", "dense", "sparse"}
    assert found.hits[0].fields == BOOKS["whale"]
    assert found.hits[0].text == "Whales\na whale swims"
    by_vectors = client.search("stone", k=5, legs=["dense"])
    long = next(hit for hit in by_vectors if hit.id == "long#1")
    assert "stone" in long.text
    assert long.passage_id != "long#1#0"


def test_detached_index_is_as_it_was(connection: Connection, books: str) -> None:
    """Documents, and what the owner keeps in ``_meta``, are those of before; fields that stay are named."""
    before = sources(connection, books)
    attached(connection, books, ThingEncoder())
    assert sources(connection, books) == before == dict(BOOKS)
    report = detach(connection, books)
    assert report.cleared == 5
    assert "hybrid_search.passages" in report.left
    assert sources(connection, books) == before
    content = connection.send(Request.json("GET", f"/{books}/_mapping"))[books]["mappings"]
    assert content["_meta"] == {"owner": "library"}
    assert count(connection, books, {"exists": {"field": "hybrid_search.models"}}) == 0


@pytest.fixture
def encoder() -> ThingEncoder:
    return ThingEncoder()


@pytest.fixture
def client(connection: Connection, books: str, encoder: ThingEncoder) -> SearchClient:
    """A client of :func:`books` with vectors attached."""
    attached(connection, books, encoder)
    return SearchClient(books, connection=connection, encoder=encoder, settings=Settings())


def ids(result: SearchResult) -> list[str]:
    return [hit.id for hit in result]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("year>1995", {"river", "stone"}),
        ("author.name=Ann", {"whale"}),
        ("title=Rivers", {"river"}),
        ("lent=true", {"whale"}),
        ("printed=2010-05-17", {"stone"}),
        ("printed<2011", {"stone"}),
        ("not year=*", {"long#1"}),
    ],
)
def test_the_owners_fields_are_filtered_on(client: SearchClient, condition: str, found: set[str]) -> None:
    """In every leg, also inside the graph search, by the names of the mapping and a keyword form of a text."""
    for legs in (None, ["dense"], ["sparse"], ["bm25"]):
        result = client.search("whale river stone", k=10, legs=legs, filter=parse(condition))
        assert set(ids(result)) == found, legs
        assert not result.degraded


def test_facets_count_the_owners_fields(client: SearchClient) -> None:
    """A document is one document, whatever lies in it."""
    result = client.search("whale river stone", facets=[Terms("author.name", counts="filter")])
    assert {value.value: value.count for value in result.facets["author.name"].values} == {"Ann": 1, "Bob": 1}
    assert result.facets["author.name"].documents == 5
    assert result.facets["author.name"].exact


def test_words_are_marked_in_the_owners_fields(client: SearchClient) -> None:
    """A highlight names the field that it is from."""
    result = client.search("swims", k=1, highlight=True, legs=["bm25"])
    [marked] = [one for one in result.hits[0].highlights if one.field == "body"]
    assert marked.text == "a whale swims"


def test_a_document_that_is_not_found_has_reasons(client: SearchClient) -> None:
    """Its ranks in all legs, or the filter that leaves it out."""
    found = client.why_not("whale", "river", k=1)
    assert found.rank is not None
    assert found.rank > 1
    assert {one.leg: one.rank is not None for one in found.legs} == {"bm25": False, "dense": True, "sparse": True}
    left_out = client.why_not("whale", "river", filter=parse("year<2000"))
    assert left_out.reason == "filtered"
    assert client.why_not("whale", "nobody").reason == "not-in-index"


def test_documents_like_one_are_found(client: SearchClient) -> None:
    """By the vectors of all of its passages and by its words; it is not among them."""
    result = client.more_like("whale", k=3)
    assert result.hits[0].id == "long#1"
    assert "whale" not in ids(result)


def test_text_fields_weigh_what_is_asked(client: SearchClient) -> None:
    """The owner's fields are the text fields of a search."""
    assert ids(client.search("Whales", legs=["bm25"], text=TextScoring({"body": 0}))) == ["whale"]
    with pytest.raises(QueryError, match="no text field 'text'"):
        client.search("whale", text=TextScoring({"text": 2}))


def test_both_clients_answer_alike(engine_url: str, client: SearchClient, books: str, encoder: ThingEncoder) -> None:
    """The asynchronous one too."""

    async def asked() -> SearchResult:
        async with await connect_async(EngineSettings(url=engine_url)) as connection:
            other = AsyncSearchClient(books, connection=connection, encoder=encoder, settings=Settings())
            async with other:
                return await other.search("whale stone", k=5)

    found = asyncio.run(asked())
    assert [(hit.passage_id, hit.score) for hit in found] == [
        (hit.passage_id, hit.score) for hit in client.search("whale stone", k=5)
    ]


def test_an_evaluation_goes_by_the_owners_ids(client: SearchClient) -> None:
    """Runs name documents as judgements of the owner do."""
    [found] = client.retrieve(["stone"])
    assert next(iter(found.runs["dense"])) == "stone"
    assert set(found.runs["bm25"]) == {"stone", "long#1"}


@pytest.mark.parametrize("options", [{"collapse": "first"}, {"collapse": "sum:2"}, {"passages": 1}])
def test_what_takes_passages_of_our_own_is_refused(client: SearchClient, options: dict[str, Any]) -> None:
    """With what to do instead, not with an empty page."""
    with pytest.raises(QueryError, match="documents are ranked by their best passage"):
        client.search("whale", **options)


def test_only_what_has_changed_is_encoded(connection: Connection, books: str, encoder: ThingEncoder) -> None:
    """A new text is encoded, a new year is not, and a document that lost our part gets it again."""
    attached(connection, books, encoder)
    change(connection, books, "whale", {"year": 1991})
    change(connection, books, "river", {"body": "no water at all"})
    write(connection, books, {"stone": BOOKS["stone"]})
    report = attached(connection, books, encoder)
    assert (report.encoded, report.up_to_date) == (2, 3)
    assert sorted(encoder.texts) == ["Rivers\nno water at all", "Stones\na stone lies"]


def test_a_document_that_changes_meanwhile_is_read_again(
    connection: Connection, books: str, encoder: ThingEncoder
) -> None:
    """Nothing is written over what its owner writes between reading and writing; one that is deleted is gone."""

    class Meanwhile(ThingEncoder):
        def encode_documents(self, texts):
            if any("swims" in text for text in texts):
                change(connection, books, "whale", {"body": "a whale dives"})
                connection.send(Request.json("DELETE", f"/{books}/_doc/river"))
            return super().encode_documents(texts)

    plan = plan_attachment(connection, books, encoder, Settings())
    changing = Meanwhile()
    report = attach(connection, plan, changing, Settings())
    assert report.read_again >= 1
    assert report.gone == 1
    assert changing.texts[-1] == "Whales\na whale dives"
    assert sources(connection, books) == {
        **{id_: source for id_, source in BOOKS.items() if id_ != "river"},
        "whale": {**BOOKS["whale"], "body": "a whale dives"},
    }
    client = SearchClient(books, connection=connection, encoder=encoder, settings=Settings())
    assert client.search("dives", k=1, legs=["bm25"]).hits[0].text == "Whales\na whale dives"


def test_documents_with_a_routing_keep_it(connection: Connection, index_name: Callable[[], str]) -> None:
    """The vectors go to the shard that the document is on."""
    name = index_name()
    made(connection, name)
    write(connection, name, {"apart": {"title": "Whale", "body": "elsewhere"}}, routing="x")
    attached(connection, name, ThingEncoder())
    assert count(connection, name, {"exists": {"field": "hybrid_search.models"}}) == 6
    assert count(connection, name, {"match_all": {}}) == 6
    detach(connection, name)
    assert sources(connection, name)["apart"] == {"title": "Whale", "body": "elsewhere"}


@pytest.mark.parametrize("dimension", [4, 6])
def test_another_model_takes_the_place_of_the_first(
    connection: Connection, books: str, encoder: ThingEncoder, dimension: int
) -> None:
    """Also one of another dimension; the plan says so, and until all is encoded the rest is not searched by it."""
    attached(connection, books, encoder)
    other = ThingEncoder(dimension, "1")
    plan = plan_attachment(connection, books, other, Settings())
    assert plan.lacking == 5
    assert "things" in " ".join(plan.notes)
    attach(connection, plan, other, Settings(), options=PassOptions(first="year"))
    client = SearchClient(books, connection=connection, encoder=other, settings=Settings())
    result = client.search("stone", k=5, legs=["dense"])
    assert result.hits[0].id == "stone"
    assert not result.warnings
    with pytest.raises(IndexMismatchError, match="other models"):
        SearchClient(books, connection=connection, encoder=encoder, settings=Settings())


def test_documents_written_later_are_found_by_words(connection: Connection, books: str, encoder: ThingEncoder) -> None:
    """A search says how much has vectors, and ranks what has none by the leg that sees it."""
    attached(connection, books, encoder)
    write(connection, books, {"new": {"title": "Whale whale", "body": "whale whale"}})
    client = SearchClient(books, connection=connection, encoder=encoder, settings=Settings())
    result = client.search("whale", k=5, legs=["bm25", "dense"], fusion="rrf")
    said = [warning for warning in result.warnings if warning.code is WarningCode.VECTORS_INCOMPLETE]
    assert [warning.part for warning in said] == ["dense"]
    assert "83.3 % of documents have vectors" in said[0]
    new = next(hit for hit in result if hit.id == "new")
    assert new.legs.keys() == {"bm25"}
    # both legs as the one that sees it: 2 / (60 + rank)
    assert new.score == pytest.approx(2 / (60 + new.legs["bm25"].rank))


def test_an_opensearch_index_without_knn_is_compared_exactly(
    opensearch: Connection, new_names: Callable[[Connection], str], encoder: ThingEncoder
) -> None:
    """The setting is final: the plan says what that means, and the dense leg compares with every vector."""
    name = new_names(opensearch)
    made(opensearch, name, knn=False)
    plan = plan_attachment(opensearch, name, encoder, Settings())
    assert any("index.knn" in note for note in plan.notes)
    attach(opensearch, plan, encoder, Settings())
    client = SearchClient(name, connection=opensearch, encoder=encoder, settings=Settings())
    result = client.search("stone", k=5, legs=["dense"], filter=parse("year>2000"))
    assert ids(result) == ["stone", "river"]
    assert result.hits[0].legs["dense"].score == pytest.approx(1.0, abs=0.01)


def test_long_documents_have_so_many_passages(connection: Connection, books: str, encoder: ThingEncoder) -> None:
    """The report says how many are longer than what has vectors."""
    report = attached(connection, books, encoder, most=1)
    assert report.cut == 1
    assert len(encoder.texts) == 4


def change(connection: Connection, name: str, id_: str, fields: Mapping[str, Any]) -> None:
    """The owner changes fields of a document."""
    connection.send(Request.json("POST", f"/{name}/_update/{id_}", {"doc": fields}))
