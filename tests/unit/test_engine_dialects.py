"""What each engine is told: whole bodies, by version."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest

from hybrid_search.engine import templates
from hybrid_search.engine.elasticsearch import ElasticsearchDialect
from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.errors import UnsupportedError
from hybrid_search.records import Fingerprint, IndexSchema, Leg

VECTOR = np.array([1.0, -0.5], np.float32)
FILTER = {"term": {"fields.brand": {"value": "Sony"}}}
DENSE = Fingerprint("dense", "m", "0" * 16, dimension=384)
SPARSE = Fingerprint("sparse", "s", "1" * 16)
SCHEMA = IndexSchema(DENSE, SPARSE, keyword_fields=("brand",), number_fields=("size.eu",), date_fields=("published",))
HNSW = {"m": 16, "ef_construction": 128}
LEGS = {
    Leg.BM25: {"query": {"match": {"text": "a"}}},
    Leg.DENSE: {"query": {"knn": {"dense": {"vector": [1.0]}}}},
}


def opensearch(*version):
    return OpenSearchDialect(version)


def elasticsearch(*version, **more):
    return ElasticsearchDialect(version, **more)


def test_opensearch_searches_neighbours_with_the_filter_inside():
    """k per shard, and the width of the graph search from 2.16 on; before, Lucene searched as wide as k."""
    assert opensearch(3, 6, 0).dense_search(VECTOR, size=10, candidates=100, filter=FILTER) == {
        "query": {
            "knn": {
                "dense": {
                    "vector": [1.0, -0.5],
                    "k": 10,
                    "method_parameters": {"ef_search": 100},
                    "filter": FILTER,
                }
            }
        }
    }
    older = opensearch(2, 15, 0).dense_search(VECTOR, size=10, candidates=100, filter=None)
    assert older == {"query": {"knn": {"dense": {"vector": [1.0, -0.5], "k": 100}}}}


def test_elasticsearch_searches_neighbours_at_the_top_level():
    """A knn query inside bool would take k per shard and let sibling filters apply afterwards."""
    assert elasticsearch(9, 5, 3).dense_search(VECTOR, size=10, candidates=20_000, filter=FILTER) == {
        "knn": {
            "field": "dense",
            "query_vector": [1.0, -0.5],
            "k": 10,
            "num_candidates": 10_000,
            "filter": FILTER,
        }
    }


def test_exact_searches_compare_with_every_vector():
    """A script on both engines; the widest graph search where Elasticsearch has no scripts."""
    candidates = {"bool": {"filter": [{"exists": {"field": "dense"}}, FILTER]}}
    assert opensearch(3, 6, 0).exact_dense_search(VECTOR, filter=FILTER) == {
        "query": {
            "script_score": {
                "query": candidates,
                "script": {
                    "lang": "knn",
                    "source": "knn_score",
                    "params": {"field": "dense", "query_value": [1.0, -0.5], "space_type": "cosinesimil"},
                },
            }
        }
    }
    assert elasticsearch(9, 5, 3).exact_dense_search(VECTOR, filter=FILTER) == {
        "query": {
            "script_score": {
                "query": candidates,
                "script": {
                    "lang": "painless",
                    "source": "(1.0 + cosineSimilarity(params.vector, 'dense')) / 2.0",
                    "params": {"vector": [1.0, -0.5]},
                },
            }
        }
    }
    wide = elasticsearch(9, 5, 3, painless=False).exact_dense_search(VECTOR, filter=None)["knn"]
    assert (wide["k"], wide["num_candidates"]) == (10_000, 10_000)


@pytest.mark.parametrize(
    ("dialect", "settings", "dense"),
    [
        (
            opensearch(2, 11, 0),
            {"index.knn": True},
            {"method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil", "parameters": HNSW}},
        ),
        (
            opensearch(3, 6, 0),
            {"index.knn": True, "index.knn.derived_source.enabled": True},
            {
                "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil", "parameters": HNSW},
                "mode": "in_memory",
                "compression_level": "1x",
            },
        ),
        (elasticsearch(8, 11, 0), {}, {"index_options": {"type": "hnsw", **HNSW}}),
        (elasticsearch(9, 1, 0), {}, {"index_options": {"type": "hnsw", **HNSW}}),
        (
            elasticsearch(9, 5, 3),
            {"index.mapping.exclude_source_vectors": True},
            {"index_options": {"type": "hnsw", **HNSW}},
        ),
    ],
    ids=str,
)
def test_an_index_is_explicit_for_its_version(dialect, settings, dense):
    """Settings and the dense field; what only some versions know is given to those alone."""
    body = dialect.index_body(SCHEMA)
    gated = {"index.knn", "index.knn.derived_source.enabled", "index.mapping.exclude_source_vectors"}
    assert {name: value for name, value in body["settings"].items() if name in gated} == settings
    assert body["settings"]["index.similarity.default.k1"] == 0.9
    properties = body["mappings"]["properties"]
    assert dense.items() <= properties["dense"].items()
    assert properties["dense"].get("dims", properties["dense"].get("dimension")) == 384
    assert properties["sparse"] == {"type": "rank_features"}
    assert set(properties["filter"]["properties"]) == {"brand", "size%2Eeu", "published"}
    assert "${" not in orjson.dumps(body).decode()


@pytest.mark.parametrize(
    ("dialect", "has", "lacks"),
    [
        (elasticsearch(8, 11, 0), {"hnsw"}, {"int8_hnsw", "flat", "bbq_hnsw"}),
        (elasticsearch(8, 16, 0), {"int8_hnsw", "int4_hnsw", "bbq_hnsw", "flat"}, {"bbq_disk"}),
        (elasticsearch(9, 1, 0), {"bbq_hnsw"}, {"bbq_disk"}),
        (elasticsearch(10, 0, 0), {"hnsw", "bbq_disk"}, {"faiss_hnsw"}),
        (opensearch(2, 11, 0), {"hnsw"}, {"int8_hnsw", "faiss_hnsw"}),
        (opensearch(3, 6, 0), {"hnsw", "int8_hnsw", "faiss_hnsw", "faiss_on_disk"}, {"bbq_hnsw", "flat"}),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else str(value),
)
def test_ways_to_index_vectors_come_with_versions(dialect, has, lacks):
    """What a version lacks is refused, with what it has."""
    assert has <= dialect.capabilities.dense_index_types
    assert not lacks & dialect.capabilities.dense_index_types
    for kind in lacks:
        with pytest.raises(UnsupportedError, match="hnsw"):
            dialect.index_body(replace(SCHEMA, dense_index=kind))


def test_quantised_vectors_are_rescored_from_9_1_on():
    """bbq by three times as many candidates; before 9.1 the option did not exist."""
    schema = replace(SCHEMA, dense_index="bbq_hnsw")
    options = elasticsearch(9, 1, 0).index_body(schema)["mappings"]["properties"]["dense"]["index_options"]
    assert options["rescore_vector"] == {"oversample": 3.0}
    older = elasticsearch(9, 0, 0).index_body(schema)["mappings"]["properties"]["dense"]["index_options"]
    assert "rescore_vector" not in older


def test_sparse_vector_fields_come_with_8_15():
    """Before, Elasticsearch had no query for them that does not prune; OpenSearch has no such field."""
    schema = replace(SCHEMA, sparse_index="sparse_vector")
    for dialect in (elasticsearch(8, 15, 0), elasticsearch(9, 5, 0)):
        assert dialect.index_body(schema)["mappings"]["properties"]["sparse"] == {"type": "sparse_vector"}
    for dialect in (elasticsearch(8, 14, 3), opensearch(3, 6, 0)):
        with pytest.raises(UnsupportedError, match="rank_features"):
            dialect.index_body(schema)


def test_base64_vectors_come_with_9_3():
    """OpenSearch's are little-endian; it gets the numbers."""
    assert orjson.dumps(elasticsearch(9, 3, 0).dense_value(VECTOR)) == b'"P4AAAL8AAAA="'
    for dialect in (elasticsearch(9, 2, 9), opensearch(3, 9, 0)):
        assert dialect.dense_value(VECTOR).tolist() == [1.0, -0.5]


def test_opensearch_fuses_by_a_pipeline_in_the_request():
    """Weights are sent as shares of one; versions that rank per shard are refused."""
    body = opensearch(3, 6, 0).server_fusion(LEGS, window=50, rank_constant=60, weights={Leg.BM25: 3, Leg.DENSE: 1})
    assert body["query"] == {"hybrid": {"queries": [leg["query"] for leg in LEGS.values()], "pagination_depth": 50}}
    assert body["search_pipeline"]["phase_results_processors"] == [
        {
            "score-ranker-processor": {
                "combination": {"technique": "rrf", "rank_constant": 60, "parameters": {"weights": [0.75, 0.25]}}
            }
        }
    ]
    with pytest.raises(UnsupportedError, match="per shard"):
        opensearch(3, 4, 0).server_fusion(LEGS, window=50, rank_constant=60)


def test_elasticsearch_fuses_by_a_retriever():
    """Weights from 9.2 on; equal ones are none."""
    legs = {Leg.BM25: {"query": {"match_all": {}}}, Leg.DENSE: {"knn": {"field": "dense"}}}
    plain = [{"standard": {"query": {"match_all": {}}}}, {"knn": {"field": "dense"}}]
    equal = {Leg.BM25: 1.0, Leg.DENSE: 1.0}
    body = elasticsearch(9, 1, 0).server_fusion(legs, window=50, rank_constant=60, weights=equal)
    assert body == {"retriever": {"rrf": {"retrievers": plain, "rank_window_size": 50, "rank_constant": 60}}}
    weights = {Leg.BM25: 2.0, Leg.DENSE: 1.0}
    weighed = elasticsearch(9, 2, 0).server_fusion(legs, window=50, rank_constant=60, weights=weights)
    assert weighed["retriever"]["rrf"]["retrievers"] == [
        {"retriever": plain[0], "weight": 2.0},
        {"retriever": plain[1], "weight": 1.0},
    ]
    for dialect in (elasticsearch(9, 1, 0), elasticsearch(8, 15, 0)):
        with pytest.raises(UnsupportedError):
            dialect.server_fusion(legs, window=50, rank_constant=60, weights=weights)


@pytest.mark.parametrize(
    ("text", "version"),
    [("9.5.3", (9, 5, 3)), ("3.6.0", (3, 6, 0)), ("8.19", (8, 19, 0)), ("10.0.0-SNAPSHOT", (10, 0, 0))],
)
def test_versions_are_read(text, version):
    """Three numbers, whatever hangs on them."""
    assert templates.parse_version(text) == version
