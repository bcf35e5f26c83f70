"""Vectors in an index that somebody else owns: attached, searched, detached; what its owner wrote stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson
import pytest
from loading import WordTokenizer

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection
from hybrid_search.engine.bulk import bulk_request
from hybrid_search.engine.indices import count, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest.attach import attach, detach, plan_attachment
from hybrid_search.records import Fingerprint
from hybrid_search.search import SearchClient
from hybrid_search.settings import Settings

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
