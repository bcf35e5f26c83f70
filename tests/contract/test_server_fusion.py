"""Fusion by the server: the same ranking as the client's reciprocal rank fusion, or an error that says why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest
from generated import SCHEMA, filled, hits, passages, terms, unit

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.indices import delete_index
from hybrid_search.errors import UnsupportedError
from hybrid_search.records import Leg
from hybrid_search.search import Fusion, SearchClient, legs
from hybrid_search.search.collapse import by_document
from hybrid_search.settings import Settings

WINDOW = 50
CONSTANT = 60


def leg_bodies(connection, seed):
    random = np.random.default_rng(seed)
    dense = legs.dense(unit(random), connection.dialect, size=WINDOW, candidates=200)
    return {Leg.BM25: legs.bm25("coffee river stone"), Leg.DENSE: dense, Leg.SPARSE: legs.sparse(terms(random, 12))}


def written(batch):
    """The place of each passage in the order of writing, which is the server's among a leg's equal scores."""
    return {one.passage.id: place for place, one in enumerate(batch)}


def by_hand(runs, order, weights):
    """sum of weight / (constant + rank), over legs ranked by score and order of writing; and how many are ties."""
    scores, ties = {}, 0
    for leg, run in runs.items():
        ranked = sorted(run, key=lambda hit: (-np.float32(hit[1]), order[hit[0]]))[:WINDOW]
        ties += len(ranked) - len({np.float32(score) for _, score in ranked})
        for rank, (passage, _) in enumerate(ranked, start=1):
            scores[passage] = scores.get(passage, 0.0) + weights[leg] / (CONSTANT + rank)
    return scores, ties


@pytest.mark.parametrize("weights", [(1, 1, 1), (2, 1, 1)])
def test_the_server_ranks_as_the_client_does(connection, index_name, weights):
    """Every passage's score is the hand-made sum, ties in the order of writing; OpenSearch divides by the weights."""
    batch = passages(200)
    name = filled(connection, index_name(), batch)
    by_leg = dict(zip(Leg, weights, strict=True))
    bodies = leg_bodies(connection, 21)
    body = connection.dialect.server_fusion(bodies, window=WINDOW, rank_constant=CONSTANT, weights=by_leg)
    try:
        answered = hits(connection, name, body, size=WINDOW)
    except UnsupportedError as error:
        if connection.dialect.engine == "opensearch" or "rrf" not in str(error).lower():
            raise
        pytest.skip(f"this Elasticsearch, its licence or its version cannot, and says so: {error.what}")
    runs = {leg: hits(connection, name, body, size=200) for leg, body in bodies.items()}
    expected, ties = by_hand(runs, written(batch), by_leg)
    scale = sum(weights) if connection.dialect.engine == "opensearch" else 1
    best = sorted(expected.values(), reverse=True)[:WINDOW]
    assert ties > 10
    assert [score * scale for _, score in answered] == pytest.approx(best, rel=1e-5)
    for passage, score in answered:
        assert score * scale == pytest.approx(expected[passage], rel=1e-5)


class VectorsOfText:
    """A text's vectors are drawn with its number as the seed."""

    dense = SCHEMA.dense
    sparse = SCHEMA.sparse
    max_tokens = 100
    tokenizer = None

    def encode_queries(self, texts):
        drawn = [np.random.default_rng(int(text.split()[0])) for text in texts]
        return EncodedTexts(np.stack([unit(random) for random in drawn]), [terms(random, 12) for random in drawn])


def second(number, one):
    """Another passage of the same document, with the same terms."""
    vector = unit(np.random.default_rng(number))
    return replace(one, passage=replace(one.passage, number=1), dense=vector)


PAIRS = passages(190)[180:]
BATCH = [*passages(180), *PAIRS, *(second(number, one) for number, one in enumerate(PAIRS))]
"""200 passages, each a document of its own but the last twenty, which are two each of ten; in the order of writing."""


@pytest.fixture(scope="module")
def client(connection) -> Iterator[SearchClient]:
    """A client of :data:`BATCH`, whose ids do not sort as they were written."""
    name = filled(connection, f"test-server-fusion-{uuid4().hex[:12]}", BATCH)
    yield SearchClient(name, connection=connection, encoder=VectorsOfText(), settings=Settings())
    delete_index(connection, name)


def fused_by_server(client, text, **options):
    """The hits of a search that the server fuses; skips where this one says that it cannot."""
    try:
        return client.search(text, 30, window=WINDOW, fusion="server", **options)
    except UnsupportedError as error:
        if client.searcher.target.dialect.engine == "opensearch":
            raise
        pytest.skip(f"this Elasticsearch, its licence or its version cannot, and says so: {error.what}")


def expected_of_the_server(client, text, weights=None, **options):
    """What the server must make of what each leg finds: the client's legs, their ties in the order of writing."""
    (one,) = client.retrieve([text], window=200, candidates=200, collapse=False, **options)
    runs = {leg: [(best.id, best.score) for best in run.values()] for leg, run in one.runs.items()}
    return by_hand(runs, written(BATCH), weights or dict.fromkeys(runs, 1))


def in_promised_order(result):
    """By fused score, equal ones by document and passage."""
    keys = [(-hit.fused, by_document(hit.passage_id)) for hit in result]
    return keys == sorted(keys)


@pytest.mark.parametrize("legs_", [None, ["bm25", "dense"], ["bm25", "sparse"]], ids=["all", "dense", "sparse"])
def test_a_search_fused_by_the_server_has_the_scores_of_its_promise(client, legs_):
    """Passage by passage the sum of 1 / (60 + rank), where a leg's equal scores are ranked in the order of writing."""
    for seed in range(5):
        text = f"{seed} coffee river stone"
        server = fused_by_server(client, text, legs=legs_, collapse=False)
        expected, ties = expected_of_the_server(client, text, legs=legs_)
        assert ties > 10
        assert [hit.fused for hit in server] == pytest.approx(sorted(expected.values(), reverse=True)[:30], rel=1e-5)
        assert [hit.fused for hit in server] == pytest.approx([expected[hit.passage_id] for hit in server], rel=1e-5)
        assert in_promised_order(server)
        assert not server.warnings


def test_legs_without_ties_are_fused_as_by_the_client(client):
    """Among documents of one passage, dense and sparse scores differ: the page is that of the client's rrf."""
    asked = {"legs": ["dense", "sparse"], "collapse": False, "filter": "price<90"}
    for seed in range(3):
        text = f"{seed} coffee"
        server = fused_by_server(client, text, **asked)
        assert expected_of_the_server(client, text, legs=asked["legs"], filter=asked["filter"])[1] == 0
        own = client.search(text, 30, window=WINDOW, fusion="rrf", **asked)
        assert [hit.fused for hit in server] == pytest.approx([hit.fused for hit in own], rel=1e-5)
        assert [hit.passage_id for hit in server] == [hit.passage_id for hit in own]


def test_weights_and_filter_go_to_the_server(client):
    """Both rankings keep to the filter; the weighted scores differ by the factor that OpenSearch takes out."""
    weights = {Leg.BM25: 2.0, Leg.DENSE: 1.0, Leg.SPARSE: 1.0}
    scale = sum(weights.values()) if client.searcher.target.dialect.engine == "opensearch" else 1.0
    asked = {"filter": "price<50", "collapse": False}
    try:
        server = client.search("7 coffee stone", 20, window=WINDOW, fusion=Fusion("server", weights), **asked)
    except UnsupportedError as error:
        pytest.skip(str(error))
    expected, _ = expected_of_the_server(client, "7 coffee stone", weights, filter="price<50")
    assert [hit.fused * scale for hit in server] == pytest.approx(
        sorted(expected.values(), reverse=True)[:20], rel=1e-5
    )
    assert all(hit.fields["price"] < 50 for hit in server)


def test_a_server_that_cannot_fuse_says_what_can(client):
    """The licence or the plugin is missing: one error for the search, with the way that works everywhere."""
    if client.searcher.target.dialect.engine == "opensearch":
        pytest.skip("OpenSearch can")
    with pytest.raises(UnsupportedError, match='With fusion = "rrf" the client does the same on any licence'):
        licensed_or_refused(client)


def licensed_or_refused(client):
    """A search that this server refuses, else a skip."""
    client.search("5 coffee", fusion="server")
    pytest.skip("this Elasticsearch has the licence")


def test_a_document_stands_where_its_best_passage_does(client):
    """What the server ranks are passages; the client keeps the first of each document."""
    text = "3 coffee river stone"
    ranked = fused_by_server(client, text, collapse=False)
    first = list(dict.fromkeys(hit.id for hit in ranked))
    collapsed = fused_by_server(client, text)
    assert [hit.id for hit in collapsed][: len(first)] == first


def test_one_leg_alone_needs_no_fusion(client):
    """Where a single leg searches, its own ranking is the answer, with its own scores, on any licence."""
    server = client.search("4 coffee", 20, fusion="server", legs=["dense"], collapse=False)
    own = client.search("4 coffee", 20, fusion="rrf", legs=["dense"], collapse=False)
    assert [hit.passage_id for hit in server] == [hit.passage_id for hit in own]


def test_a_batch_is_fused_query_by_query(client):
    """Many queries take one request, each with its own answer."""
    texts = [f"{seed} river stone" for seed in range(4)]
    alone = [[hit.passage_id for hit in fused_by_server(client, text)] for text in texts]
    together = client.search_many(texts, 30, window=WINDOW, fusion="server")
    assert [[hit.passage_id for hit in result] for result in together] == alone
