"""Fusion by the server: the same ranking as the client's reciprocal rank fusion, or an error that says why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from generated import filled, hits, passages, terms, unit

from hybrid_search.errors import UnsupportedError
from hybrid_search.records import Leg
from hybrid_search.search import legs

WINDOW = 50
CONSTANT = 60


def leg_bodies(connection, seed):
    random = np.random.default_rng(seed)
    dense = legs.dense(unit(random), connection.dialect, size=WINDOW, candidates=200)
    return {Leg.BM25: legs.bm25("coffee river stone"), Leg.DENSE: dense, Leg.SPARSE: legs.sparse(terms(random, 12))}


def fused_by_hand(connection, name, bodies, weights):
    """sum of weight / (constant + rank), over the legs' own answers."""
    scores = {}
    for leg, body in bodies.items():
        for rank, (passage, _) in enumerate(hits(connection, name, body, size=WINDOW), start=1):
            scores[passage] = scores.get(passage, 0.0) + weights[leg] / (CONSTANT + rank)
    return scores


def in_order(one):
    """Ids that sort as they were written: the server breaks a leg's ties by the order of writing, the client by id."""
    document = one.passage.document
    renamed = replace(document, id=f"doc-{int(document.id.removeprefix('doc-')):03}")
    return replace(one, passage=replace(one.passage, document=renamed))


@pytest.mark.parametrize("weights", [(1, 1, 1), (2, 1, 1)])
def test_the_server_ranks_as_the_client_does(connection, index_name, weights):
    """Every passage's fused score is the hand-made sum, which OpenSearch divides by the sum of the weights."""
    name = filled(connection, index_name(), [in_order(one) for one in passages(200)])
    by_leg = dict(zip(Leg, weights, strict=True))
    bodies = leg_bodies(connection, 21)
    body = connection.dialect.server_fusion(bodies, window=WINDOW, rank_constant=CONSTANT, weights=by_leg)
    try:
        answered = hits(connection, name, body, size=WINDOW)
    except UnsupportedError as error:
        if connection.dialect.engine == "opensearch" or "rrf" not in str(error).lower():
            raise
        pytest.skip(f"this Elasticsearch, its licence or its version cannot, and says so: {error.what}")
    expected = fused_by_hand(connection, name, bodies, by_leg)
    scale = sum(weights) if connection.dialect.engine == "opensearch" else 1
    best = sorted(expected.values(), reverse=True)[:WINDOW]
    assert [score * scale for _, score in answered] == pytest.approx(best, rel=1e-5)
    for passage, score in answered:
        assert score * scale == pytest.approx(expected[passage], rel=1e-5)
