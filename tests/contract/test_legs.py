"""Each leg's query on every engine: what it finds, with and without a filter, and from page to page."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest
from generated import SCHEMA, filled, hits, passages, terms, unit

from hybrid_search import filters
from hybrid_search.engine.indices import create_index
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import UnsupportedError
from hybrid_search.search import legs

COUNT = 300
FILTER = filters.clause(filters.Eq("brand", "Canon"), SCHEMA)
BATCH = passages(COUNT)
CANON = {one.passage.id for one in BATCH if one.passage.document.fields["brand"] == "Canon"}


@pytest.fixture(scope="module")
def index(connection):
    """One index of generated passages for the whole file."""
    name = f"test-legs-shared-{uuid4().hex[:8]}"
    yield filled(connection, name, BATCH)
    connection.transport.send(Request.json("DELETE", f"/{name}"))


def nine_bits(weight):
    """A weight as ``rank_features`` keeps it: the 16 upper bits of its float32 but one, cut off."""
    return float((np.float32(weight).view(np.uint32) & np.uint32(0xFFFF8000)).view(np.float32))


def test_bm25_finds_every_passage_with_a_word(connection, index):
    """Words are stemmed by the english analyzer, and any of them will do."""
    found = {passage for passage, _ in hits(connection, index, legs.bm25("cities, rivers"), size=COUNT)}
    assert found == {one.passage.id for one in BATCH if {"city", "river"} & set(one.passage.text.split())}


def test_bm25_ranks_by_frequency_in_texts_of_one_length(connection, index):
    """All texts have 12 words, so that one word's score grows with its count alone."""
    scored = hits(connection, index, legs.bm25("coffee"), size=COUNT)
    counts = Counter({one.passage.id: one.passage.text.split().count("coffee") for one in BATCH})
    assert [counts[passage] for passage, _ in scored] == sorted((n for n in counts.values() if n), reverse=True)


def test_sparse_is_the_dot_product(connection, index):
    """Exactly that of the weights cut to 9 bits, and within 0.4 % of the real one."""
    query = terms(np.random.default_rng(11), 12)
    scored = dict(hits(connection, index, legs.sparse(query), size=COUNT))
    for one in BATCH:
        shared = query.keys() & one.sparse.keys()
        if not shared:
            assert one.passage.id not in scored
            continue
        kept = sum(query[term] * nine_bits(one.sparse[term]) for term in shared)
        real = sum(query[term] * one.sparse[term] for term in shared)
        assert scored[one.passage.id] == pytest.approx(kept, rel=1e-5)
        assert scored[one.passage.id] == pytest.approx(real, rel=0.004)


@pytest.fixture
def sparse_vectors(connection, index_name):
    """The same passages in a ``sparse_vector`` field, which OpenSearch refuses by name."""
    schema = replace(SCHEMA, sparse_index="sparse_vector")
    if "sparse_vector" not in connection.dialect.capabilities.sparse_index_types:
        with pytest.raises(UnsupportedError, match="has no sparse_index 'sparse_vector'"):
            create_index(connection, index_name(), schema)
        pytest.skip(f"{connection.dialect.engine} has no sparse_vector, and says so")
    return filled(connection, index_name(), BATCH, schema)


def test_a_sparse_vector_field_keeps_the_same_weights(connection, sparse_vectors):
    """One term's score is its weight cut to nine bits, as in ``rank_features``; every passage with it is found."""
    term = next(iter(BATCH[0].sparse))
    found = hits(connection, sparse_vectors, {"query": {"term": {"sparse": term}}}, size=COUNT)
    kept = {one.passage.id: nine_bits(one.sparse[term]) for one in BATCH if term in one.sparse}
    assert dict(found) == pytest.approx(kept, rel=1e-6)


def test_a_sparse_vector_query_is_the_same_dot_product(connection, index, sparse_vectors):
    """Unpruned, it ranks and scores as the ``rank_feature`` clauses do, with a filter too."""
    query = terms(np.random.default_rng(11), 12)
    for matching in (None, FILTER):
        body = legs.sparse(query, filter=matching, field_type="sparse_vector")
        try:
            found = hits(connection, sparse_vectors, body, size=COUNT)
        except UnsupportedError as error:
            pytest.skip(f"this server is without the plugin: {error.what}")
        expected = hits(connection, index, legs.sparse(query, filter=matching), size=COUNT)
        assert dict(found) == pytest.approx(dict(expected), rel=1e-5)


def test_dense_is_the_cosine(connection, index):
    """All passages in the order of their exact cosines."""
    query = unit(np.random.default_rng(12))
    body = legs.dense(query, connection.dialect, size=COUNT, candidates=COUNT)
    exact = {one.passage.id: float(one.dense.astype(float) @ query.astype(float)) for one in BATCH}
    scored = hits(connection, index, body, size=COUNT)
    assert [passage for passage, _ in scored] == sorted(exact, key=exact.get, reverse=True)


def leg_bodies(connection, filter):
    random = np.random.default_rng(13)
    return {
        "bm25": legs.bm25("coffee stone river", filter=filter),
        "dense": legs.dense(unit(random), connection.dialect, size=50, candidates=100, filter=filter),
        "exact": connection.dialect.exact_dense_search(unit(random), filter=filter),
        "sparse": legs.sparse(terms(random, 20), filter=filter),
    }


def test_a_filter_is_inside_every_leg(connection, index):
    """A filter behind the neighbours would leave a third of the window; inside, the window stays full."""
    for leg, body in leg_bodies(connection, FILTER).items():
        found = hits(connection, index, body, size=50)
        assert len(found) == 50, leg
        assert {passage for passage, _ in found} <= CANON, leg


def test_a_filter_does_not_change_scores(connection, index):
    """What passes the filter scores as it did without."""
    plain, filtered = leg_bodies(connection, None), leg_bodies(connection, FILTER)
    for leg in ("bm25", "sparse", "exact"):
        everything = dict(hits(connection, index, plain[leg], size=COUNT))
        for passage, score in hits(connection, index, filtered[leg], size=50):
            assert score == pytest.approx(everything[passage], rel=1e-6), leg


def test_a_filter_alone_finds_nothing_in_the_sparse_leg(connection, index):
    """Without ``minimum_should_match`` every passage that passes the filter would come back at score 0."""
    assert hits(connection, index, legs.sparse({"no-such-term": 1.0}, filter=FILTER)) == []


def test_legs_in_one_msearch_answer_as_alone(connection, index):
    """The three searches of one request, in order; one that fails has a status of its own."""
    bodies = [legs.passage_search(body, size=20, timeout=10) for body in leg_bodies(connection, FILTER).values()]
    wrong_dimension = unit(np.random.default_rng(13), 8)
    broken = legs.dense(wrong_dimension, connection.dialect, size=5, candidates=5)
    answer = connection.send(legs.multi_search(index, [*bodies, broken], timeout=30))
    alone = [connection.send(Request.json("POST", f"/{index}/_search", body)) for body in bodies]
    for response, single in zip(answer["responses"], alone, strict=False):
        together = [legs.passage_id(hit) for hit in response["hits"]["hits"]]
        assert together == [legs.passage_id(hit) for hit in single["hits"]["hits"]]
    assert answer["responses"][-1]["status"] == 400


def test_pages_are_slices_of_one_ranking(connection, index):
    """from and size cut the same list; no passage is on two pages."""
    body = legs.sparse(terms(np.random.default_rng(14), 30))
    whole = connection.send(Request.json("POST", f"/{index}/_search", body | {"size": 60}))["hits"]["hits"]
    pages = [
        hit["_id"]
        for start in range(0, 60, 20)
        for hit in connection.send(Request.json("POST", f"/{index}/_search", body | {"from": start, "size": 20}))[
            "hits"
        ]["hits"]
    ]
    assert pages == [hit["_id"] for hit in whole]


def test_fetch_brings_the_stored_passages(connection, index):
    """By id, with fields under the user's names, and without vectors."""
    wanted = ["doc-3#0", "doc-250#0"]
    answer = connection.send(Request.json("POST", f"/{index}/_search", legs.passage_fetch(wanted, timeout=10)))
    assert {hit["_id"] for hit in answer["hits"]["hits"]} == set(wanted)
    for hit in answer["hits"]["hits"]:
        assert not {"dense", "sparse"} & set(hit["_source"])
        assert hit["_source"]["text"]
