"""Elasticsearch and OpenSearch rank the same documents the same: each leg, every fusion, filters and pages.

SciFact is searched with its own texts and queries; its term weights are counted here and its vectors are random
projections of them, so that the suite needs no model. Scores agree to what the engines' own encodings keep; those of
BM25 differ by the constant k1 + 1, which OpenSearch dropped in 3.0.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import orjson
import pytest
from generated import DENSE, SCHEMA, SPARSE, filled, passages, terms, unit, write

from hybrid_search.encode import PRECOMPUTED
from hybrid_search.engine import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.records import Document, EncodedPassage, Leg, Passage, Query, SearchResult
from hybrid_search.search import SearchClient

DIMENSION = 64
FUSIONS = ("rrf", "min-max", "z-score", "theoretical-min")
PRECOMPUTED_SCHEMA = replace(
    SCHEMA,
    dense=replace(DENSE, kind=PRECOMPUTED, name=PRECOMPUTED),
    sparse=replace(SPARSE, kind=PRECOMPUTED, name=PRECOMPUTED),
)


Ranking = list[tuple[str, float]]


@dataclass(frozen=True)
class Pair:
    """The same index on both engines."""

    opensearch: SearchClient
    elasticsearch: SearchClient

    def __iter__(self) -> Iterator[SearchClient]:
        return iter((self.opensearch, self.elasticsearch))

    def search(self, queries: Sequence[Query], **options) -> Iterator[tuple[SearchResult, SearchResult]]:
        """Both engines' results for each query, neighbours compared exactly: two graphs never miss the same ones."""
        yield from zip(*(client.search_many(queries, exact=True, **options) for client in self), strict=True)

    def ranks(self, queries: Sequence[Query], leg: Leg, **options) -> Iterator[tuple[Ranking, Ranking]]:
        """Both engines' rankings by one leg, for each query."""
        runs = (client.retrieve(queries, legs=[leg], **options) for client in self)
        for ours, theirs in zip(*runs, strict=True):
            yield ours.scores()[leg], theirs.scores()[leg]


def open_pair(connections: Sequence[Connection], name: str, batch: Sequence[EncodedPassage], schema) -> Pair:
    for connection in connections:
        filled(connection, name, batch[:1000], schema)
        for begin in range(1000, len(batch), 1000):
            write(connection, name, batch[begin : begin + 1000])
    return Pair(*(SearchClient(name, connection=connection) for connection in connections))


@pytest.fixture(scope="module")
def generated(opensearch, elasticsearch) -> Iterator[Pair]:
    """500 generated documents and their index on both engines."""
    name = f"test-parity-generated-{uuid4().hex[:8]}"
    yield open_pair((opensearch, elasticsearch), name, passages(500), PRECOMPUTED_SCHEMA)
    for connection in (opensearch, elasticsearch):
        connection.transport.send(Request.json("DELETE", f"/{name}"))


@pytest.fixture(scope="module")
def scifact(opensearch, elasticsearch, data_folder) -> Iterator[tuple[Pair, list[Query]]]:
    """All of SciFact on both engines, and its test queries."""
    weigh = Weigher(data_folder / "scifact")
    schema = replace(PRECOMPUTED_SCHEMA, dense=replace(PRECOMPUTED_SCHEMA.dense, dimension=DIMENSION))
    name = f"test-parity-scifact-{uuid4().hex[:8]}"
    yield open_pair((opensearch, elasticsearch), name, weigh.passages(), schema), weigh.queries()
    for connection in (opensearch, elasticsearch):
        connection.transport.send(Request.json("DELETE", f"/{name}"))


class Weigher:
    """Term weights (1 + ln tf) idf of a collection's words, and random projections of them as vectors."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with gzip.open(folder / "corpus.jsonl.gz") as lines:
            rows = [orjson.loads(line) for line in lines]
        self._texts = {row["_id"]: f"{row['title']} {row['text']}" for row in rows}
        self._words = {doc_id: Counter(words(text)) for doc_id, text in self._texts.items()}
        documents = Counter(word for counts in self._words.values() for word in counts)
        self._idf = {word: math.log(len(rows) / count) + 0.1 for word, count in documents.items()}
        self._axes = np.random.default_rng(3).standard_normal((4096, DIMENSION)).astype(np.float32)

    def passages(self) -> list[EncodedPassage]:
        return [
            EncodedPassage(
                Passage(Document(doc_id, text, {"brand": doc_id[-1], "price": len(text)}), 0, 0, len(text)),
                *self._vectors(self._words[doc_id]),
            )
            for doc_id, text in self._texts.items()
        ]

    def queries(self, count: int = 15) -> list[Query]:
        lines = (self._folder / "queries.jsonl").read_bytes().splitlines()
        rows = [orjson.loads(line) for line in lines][:count]
        return [Query(row["text"], *self._vectors(Counter(words(row["text"]))), id=row["_id"]) for row in rows]

    def _vectors(self, counts: Counter[str]):
        sparse = {word: (1 + math.log(n)) * self._idf.get(word, 1.0) for word, n in counts.items()}
        dense = sum(weight * self._axes[zlib.crc32(word.encode()) % 4096] for word, weight in sparse.items())
        return dense / np.linalg.norm(dense), sparse


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9.]+", text.lower())


def generated_queries(count: int = 12) -> list[Query]:
    random = np.random.default_rng(31)
    texts = ("coffee stone river", "winter garden", "token vector search", "ocean")
    return [Query(texts[number % 4], unit(random), terms(random, 15)) for number in range(count)]


def assert_same(one: SearchResult, other: SearchResult, *, rel: float) -> None:
    """The same documents in the same order with the same scores, up to documents whose scores are as good as equal."""
    assert not one.warnings, one.warnings
    assert not other.warnings, other.warnings
    assert [hit.fused for hit in one] == pytest.approx([hit.fused for hit in other], rel=rel, abs=rel)
    ours, theirs = ({hit.id: hit.fused for hit in result} for result in (one, other))
    lowest = min(ours.values(), default=0.0)
    for doc_id in ours.keys() ^ theirs.keys():
        assert (ours | theirs)[doc_id] == pytest.approx(lowest, rel=rel, abs=rel)
    for doc_id in ours.keys() & theirs.keys():
        assert ours[doc_id] == pytest.approx(theirs[doc_id], rel=rel, abs=rel)


@pytest.mark.parametrize("leg", [Leg.DENSE, Leg.SPARSE])
@pytest.mark.parametrize("collection", ["generated", "scifact"])
def test_a_vector_leg_answers_the_same(request, collection, leg):
    """Ids in order, and scores to 6 digits."""
    pair, queries = pair_and_queries(request, collection)
    for one, other in pair.ranks(queries, leg, exact=True):
        assert len(one) == 100
        assert [score for _, score in one] == pytest.approx([score for _, score in other], rel=1e-6)
        assert same_order(one, other)


@pytest.mark.parametrize("collection", ["generated", "scifact"])
def test_bm25_scores_differ_by_a_constant_factor(request, collection):
    """k1 + 1 = 1.9 everywhere, so that the order is the same."""
    pair, queries = pair_and_queries(request, collection)
    for one, other in pair.ranks(queries, Leg.BM25):
        ratios = [theirs / ours for (_, ours), (_, theirs) in zip(one, other, strict=True)]
        assert ratios == pytest.approx([1.9] * len(ratios), rel=1e-5)
        assert same_order(one, [(doc_id, score / 1.9) for doc_id, score in other])


def test_wide_graph_searches_find_the_same(scifact):
    """Two graphs of the same vectors: of 100 neighbours at most one in a hundred differs."""
    pair, queries = scifact
    shared = [
        len(dict(one).keys() & dict(other).keys()) for one, other in pair.ranks(queries, Leg.DENSE, candidates=1000)
    ]
    assert sum(shared) / len(shared) >= 99


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("collection", ["generated", "scifact"])
def test_every_fusion_ranks_the_same(request, collection, fusion):
    """Three legs, top 50."""
    pair, queries = pair_and_queries(request, collection)
    for one, other in pair.search(queries, k=50, fusion=fusion):
        assert len(one) == 50
        assert_same(one, other, rel=1e-4)


def test_filters_select_the_same(scifact):
    """A keyword and a range, inside every leg."""
    pair, queries = scifact
    for one, other in pair.search(queries[:8], k=20, filter="brand=7"):
        assert {hit.fields["brand"] for hit in one} == {"7"}
        assert_same(one, other, rel=1e-4)
    for one, other in pair.search(queries[:8], k=20, filter="price<1200"):
        assert all(hit.fields["price"] < 1200 for hit in one)
        assert_same(one, other, rel=1e-4)


def test_pages_are_the_same(scifact):
    """The third page of ten on one engine is that on the other, and hits 21 to 30 of the whole."""
    pair, queries = scifact
    whole = [result for result, _ in pair.search(queries[:5], k=30)]
    for (one, other), full in zip(pair.search(queries[:5], k=10, offset=20), whole, strict=True):
        assert [hit.id for hit in one] == [hit.id for hit in full][20:]
        assert_same(one, other, rel=1e-4)


def pair_and_queries(request, collection) -> tuple[Pair, list[Query]]:
    if collection == "generated":
        return request.getfixturevalue("generated"), generated_queries()
    return request.getfixturevalue("scifact")


def same_order(one: Ranking, other: Ranking, rel: float = 1e-5) -> bool:
    """Whether the rankings are equal, documents of equal scores in any order."""
    theirs = dict(other)
    lowest = min(score for _, score in one)
    return all(math.isclose(score, theirs.get(doc_id, lowest), rel_tol=rel) for doc_id, score in one)
