"""Rules for weights on real engines: both clients weigh each query by them, and hits say so."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from generated import SCHEMA, filled, passages, terms

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.encode.tokens import WordSpans
from hybrid_search.evaluate import run_experiment
from hybrid_search.records import Query
from hybrid_search.search import AsyncSearchClient, Fusion, SearchClient
from hybrid_search.search.explain import explanation
from hybrid_search.settings import SearchSettings, Settings

RULES = ("words <= 2: bm25=0.7 dense=0.2 sparse=0.1", "unknown > 0.5: bm25=0 sparse=0", "gap.bm25 > 0.9: dense=0")


class PieceSpans:
    """A vocabulary of pieces of four letters at most: longer words are strange to it."""

    def spans(self, texts):
        return [
            [(at, min(at + 4, end)) for start, end in words for at in range(start, end, 4)]
            for words in WordSpans().spans(texts)
        ]


class Seeded:
    """Vectors drawn from the text's length."""

    dense = SCHEMA.dense
    sparse = SCHEMA.sparse
    max_tokens = 100
    tokenizer = PieceSpans()

    def encode_queries(self, texts):
        drawn = [np.random.default_rng(len(text)) for text in texts]
        dense = np.stack([random.normal(size=SCHEMA.dense.dimension) for random in drawn]).astype(np.float32)
        return EncodedTexts(dense, [terms(random) for random in drawn])


@pytest.fixture
def index(connection, index_name) -> str:
    return filled(connection, index_name(), passages(60))


def settings(rules=RULES, **search) -> Settings:
    return Settings(search=SearchSettings(rules=rules, **search))


def opened(connection, index, given=None) -> SearchClient:
    return SearchClient(index, connection=connection, encoder=Seeded(), settings=given or settings())


@pytest.mark.parametrize(
    ("query", "weights", "rule"),
    [
        ("river", {"bm25": 0.7, "dense": 0.2, "sparse": 0.1}, "words <= 2"),
        ("mountain machine coffee", {"bm25": 0.0, "dense": 1.0, "sparse": 0.0}, "unknown > 0.5"),
        ("city of zzz zz", None, None),
    ],
)
def test_each_query_is_weighed_by_the_first_rule_that_holds(connection, index, query, weights, rule) -> None:
    """The ranking is that of a fusion with the rule's weights; without a rule that of the settings without rules."""
    client, plain = opened(connection, index), opened(connection, index, settings(()))
    found = client.search(query)
    same = plain.search(query, fusion=None if weights is None else Fusion("min-max", weights))
    assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in same]
    assert found.fusion == same.fusion if rule is None else found.fusion.endswith(f" ({rule})")
    assert rule is None or any(f"({rule})" in line for line in explanation(found.hits[0], found))


def test_the_async_client_does_the_same(engine_url, connection, index) -> None:
    """One after the other and in a batch: the same hits, the same words about them."""
    queries = ["river", "mountain machine coffee", "city of zzz zz"]
    expected = [opened(connection, index).search(query) for query in queries]

    async def search():
        async with AsyncSearchClient(index, url=engine_url, encoder=Seeded(), settings=settings()) as client:
            return await client.search_many(queries)

    for mine, its in zip(asyncio.run(search()), expected, strict=True):
        assert [(hit.id, hit.score) for hit in mine] == [(hit.id, hit.score) for hit in its]
        assert mine.fusion == its.fusion


def test_weights_that_a_call_gives_are_those_of_every_query(connection, index) -> None:
    """A whole fusion has no rules; a method's name keeps those of the settings, but for the engine's own fusion."""
    client = opened(connection, index)
    assert client.search("river", fusion=Fusion("rrf")).fusion == "rrf"
    assert client.search("river", fusion="rrf").fusion == "rrf bm25=0.7 dense=0.2 sparse=0.1 (words <= 2)"


def test_an_evaluation_measures_the_rules_that_are_in_use(connection, index) -> None:
    """Its rankings by min-max are those of searches with the rules, query by query."""
    client = opened(connection, index)
    queries = [Query(text, id=f"q{n}") for n, text in enumerate(["river", "mountain machine coffee", "city of a zz"])]
    found = run_experiment(client, queries, {str(one.id): {"doc-1": 1} for one in queries}, fusions=["min-max"])
    row = next(row for row in found.rows if len(row.system.legs) == 3)
    assert "rule: words <= 2" in row.system.name
    for query in queries:
        ranking = [id_ for id_, _ in row.rankings[query.id]][:10]
        assert ranking == [hit.id for hit in client.search(query)]


def test_why_not_explains_by_the_weights_of_the_query(connection, index) -> None:
    """It names the rule, and its contributions are those of the hit."""
    client = opened(connection, index)
    hit = client.search("river", 5).hits[-1]
    answer = client.why_not("river", hit.id, 1)
    assert "(words <= 2)" in answer.fusion
    said = {place.leg: place.contribution for place in answer.legs if place.contribution}
    assert said == pytest.approx({leg: score.contribution for leg, score in hit.legs.items() if score.contribution})
