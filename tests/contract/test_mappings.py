"""Mappings on every engine: each way to index vectors that its version has, and what an answer's ``_source`` holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest
from generated import DENSE, SCHEMA, filled, hits, passages, unit

from hybrid_search.engine import layout
from hybrid_search.engine.indices import create_index, opening
from hybrid_search.engine.protocols import Request
from hybrid_search.engine.templates import META, index_types

DIMENSION = 128
COUNT = 400
QUERIES = 10

RECALL = {"int8_hnsw": 0.9, "int8_flat": 0.9, "int4_hnsw": 0.9, "int4_flat": 0.9, "bbq_hnsw": 0.7, "bbq_flat": 0.7}
"""Least recall@10 of random vectors, the hardest there are; graphs of raw vectors must find all."""

ALL_TYPES = sorted(
    index_types("elasticsearch", (9, 99, 0), "dense_index") | index_types("opensearch", (3, 99, 0), "dense_index")
)


def cosines(batch, query):
    """Exact cosine of each passage, by id, of the vectors as float64."""
    return {one.passage.id: float(one.dense.astype(float) @ query.astype(float)) for one in batch}


def with_type(kind, dimension=DIMENSION):
    return replace(SCHEMA, dense=replace(DENSE, dimension=dimension), dense_index=kind)


@pytest.mark.parametrize("kind", [kind for kind in ALL_TYPES if "faiss" not in kind and kind != "bbq_disk"])
def test_each_dense_index_finds_the_nearest(connection, index_name, kind):
    """Recall@10 against exact cosines; a type that this version lacks is refused by the dialect."""
    if kind not in connection.dialect.capabilities.dense_index_types:
        pytest.skip(f"{connection.dialect.engine} {connection.dialect.version} has no {kind}")
    batch = passages(COUNT, DIMENSION)
    name = filled(connection, index_name(), batch, with_type(kind))
    random = np.random.default_rng(1)
    found = 0
    for query in (unit(random, DIMENSION) for _ in range(QUERIES)):
        exact = cosines(batch, query)
        best = set(sorted(exact, key=exact.get, reverse=True)[:10])
        body = connection.dialect.dense_search(query, size=10, candidates=100, filter=None)
        found += len(best & {passage for passage, _ in hits(connection, name, body)})
    assert found / (10 * QUERIES) >= RECALL.get(kind, 1.0)


def test_scores_are_half_of_one_plus_cosine(connection, index_name):
    """Both engines map cosine to (1 + cosine) / 2, which the theoretical-minimum fusion relies on."""
    batch = passages(50)
    name = filled(connection, index_name(), batch)
    query = unit(np.random.default_rng(2))
    exact = cosines(batch, query)
    for body in (
        connection.dialect.dense_search(query, size=50, candidates=50, filter=None),
        connection.dialect.exact_dense_search(query, filter=None),
    ):
        answered = hits(connection, name, body, size=50)
        assert len(answered) == 50
        for passage, score in answered:
            assert score == pytest.approx((1 + exact[passage]) / 2, abs=1e-6)


def test_vectors_need_not_have_length_one(connection, index_name):
    """Cosine is taken of the directions: a vector scaled by 100 scores the same."""
    batch = passages(20)
    scaled = [replace(one, dense=one.dense * 100) for one in batch]
    query = unit(np.random.default_rng(3))
    body = connection.dialect.dense_search(query, size=20, candidates=20, filter=None)
    plain = hits(connection, filled(connection, index_name(), batch), body, size=20)
    large = hits(connection, filled(connection, index_name(), scaled), body, size=20)
    assert [passage for passage, _ in plain] == [passage for passage, _ in large]
    assert [score for _, score in plain] == pytest.approx([score for _, score in large], abs=1e-5)


def test_a_written_vector_is_what_was_meant(connection, index_name):
    """Base64 in the wrong byte order would be taken without a word; the axes must come back as themselves."""
    size = 16
    batch = [replace(one, dense=np.eye(size, dtype=np.float32)[axis]) for axis, one in enumerate(passages(size))]
    name = filled(connection, index_name(), batch)
    for axis in (0, 7, 15):
        query = np.eye(size, dtype=np.float32)[axis]
        body = connection.dialect.dense_search(query, size=1, candidates=size, filter=None)
        assert hits(connection, name, body, size=1) == [(f"doc-{axis}#0", pytest.approx(1.0))]


def test_an_answer_holds_no_vectors(connection, index_name):
    """``_source`` is asked for by name; the user's fields come back under the user's names, nested ones too."""
    name = filled(connection, index_name(), passages(1))
    body = {"query": {"match_all": {}}, "_source": {"includes": list(layout.STORED)}}
    (hit,) = connection.send(Request.json("POST", f"/{name}/_search", body))["hits"]["hits"]
    assert set(hit["_source"]) == set(layout.STORED)
    assert layout.user_fields(hit["_source"]) == {
        "brand": "Sony",
        "size.eu": "0",
        "price": 0.0,
        "published": "2024-01-01",
        "note": {"anything": [0]},
    }


def test_options_are_stored_as_the_template_gives_them(connection, index_name):
    """Nothing that a version might change is left to its default: the mapping reads back as it was sent."""
    name = index_name()
    create_index(connection, name, replace(SCHEMA, hnsw_m=24, hnsw_ef_construction=200))
    sent = orjson.loads(
        orjson.dumps(connection.dialect.index_body(replace(SCHEMA, hnsw_m=24, hnsw_ef_construction=200)))
    )
    got = connection.send(opening(name))[name]["mappings"]
    dense = got["properties"]["dense"]
    parameters = dense.get("index_options") or dense["method"]["parameters"]
    assert (parameters["m"], parameters["ef_construction"]) == (24, 200)
    options = dense.get("index_options") or dense["method"]
    wanted = sent["mappings"]["properties"]["dense"]
    assert options == (wanted.get("index_options") or wanted["method"])
    written = got["_meta"][META]
    assert {**written, "cursor_key": None} == {**sent["mappings"]["_meta"][META], "cursor_key": None}
    assert len(bytes.fromhex(written["cursor_key"])) == 16  # drawn when the index is made
    assert got["dynamic"] == "strict"


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75)])
def test_bm25_parameters_are_those_of_the_schema(connection, index_name, k1, b):
    """Scores follow Lucene's formula with the schema's k1 and b, up to the engine's constant factor k1 + 1."""
    texts = ["stone river", "stone " * 3 + "city forest ocean garden coffee", "forest ocean"]
    batch = [replace_text(one, text) for one, text in zip(passages(3), texts, strict=True)]
    name = filled(connection, index_name(), batch, replace(SCHEMA, bm25_k1=k1, bm25_b=b))
    scored = dict(hits(connection, name, {"query": {"match": {"text": "stone"}}}))
    lengths, mean = [2, 8, 2], (2 + 8 + 2) / 3

    def weight(frequency, length):
        """tf / (tf + k1 (1 - b + b length / mean)), the part that k1 and b shape."""
        return frequency / (frequency + k1 * (1 - b + b * length / mean))

    expected = weight(1, lengths[0]) / weight(3, lengths[1])
    assert scored["doc-0#0"] / scored["doc-1#0"] == pytest.approx(expected, rel=1e-5)


def replace_text(one, text):
    document = replace(one.passage.document, text=text.strip())
    return replace(one, passage=replace(one.passage, document=document, end=len(document.text)))
