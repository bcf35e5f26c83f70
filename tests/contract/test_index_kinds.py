"""Quantised kinds on every engine: whole vectors score again as many candidates as are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from generated import DENSE, SCHEMA, filled, passages, unit

from hybrid_search.engine.connection import Connection
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.settings import SearchSettings, Settings

COUNT, DIMENSION, QUERIES = 400, 128, 10
KINDS = {"opensearch": ["int8_hnsw", "lucene_on_disk"], "elasticsearch": ["int8_hnsw", "int4_hnsw", "bbq_hnsw"]}


class NoEncoder:
    """The queries of these tests bring their vectors."""

    max_tokens = 100
    tokenizer = None

    def __init__(self, schema) -> None:
        self.dense, self.sparse = schema.dense, schema.sparse

    def encode_queries(self, texts):
        raise AssertionError(texts)


def found(connection: Connection, index: str, schema, oversample, *, exact=False) -> list[list[tuple[str, float]]]:
    """The ten first hits of each query and their scores, by the dense leg alone."""
    search = SearchSettings(oversample=oversample, window=20, candidates=20)
    client = SearchClient(index, connection=connection, encoder=NoEncoder(schema), settings=Settings(search=search))
    random = np.random.default_rng(5)
    queries = [Query("", dense=unit(random, DIMENSION)) for _ in range(QUERIES)]
    results = client.search_many(queries, legs=["dense"], exact=exact)
    return [[(hit.id, hit.legs["dense"].score) for hit in result.hits] for result in results]


def share(some, exact) -> float:
    """Of the hits of exact search."""
    pairs = zip(some, exact, strict=True)
    return sum(len({id_ for id_, _ in one} & {id_ for id_, _ in all_}) for one, all_ in pairs) / (10 * QUERIES)


@pytest.mark.parametrize("number", range(3))
def test_whole_vectors_score_as_many_as_are_asked_for(connection, index_name, number) -> None:
    """With oversampling the scores are those of exact search, which is agreed with more than by rounded ones alone."""
    kinds = KINDS[connection.dialect.engine]
    if number >= len(kinds) or kinds[number] not in connection.dialect.capabilities.dense_index_types:
        pytest.skip("no such kind here")
    schema = replace(SCHEMA, dense=replace(DENSE, dimension=DIMENSION), dense_index=kinds[number])
    index = filled(connection, index_name(), passages(COUNT, DIMENSION), schema)
    exact = found(connection, index, schema, None, exact=True)
    rescored, rounded = (found(connection, index, schema, times) for times in (5, 0))
    assert share(rescored, exact) >= 0.99
    assert share(rescored, exact) >= share(rounded, exact)
    for one, all_ in zip(rescored, exact, strict=True):
        known = dict(all_)
        assert [score for id_, score in one if id_ in known] == pytest.approx(
            [known[id_] for id_, _ in one if id_ in known], abs=1e-5
        )
