"""Equal scores and many shards: the ranking does not depend on the order of writing or on where a document lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from generated import SCHEMA, filled, hits, passages, terms, unit

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import UnsupportedError
from hybrid_search.records import Leg
from hybrid_search.search import SearchClient, legs
from hybrid_search.settings import SearchSettings, Settings

WINDOW, CONSTANT = 50, 60
FIVE = replace(SCHEMA, shards=5)


class VectorsOfText:
    """A text's vectors are drawn with its number as the seed."""

    dense = SCHEMA.dense
    sparse = SCHEMA.sparse
    max_tokens = 100
    tokenizer = None

    def encode_queries(self, texts):
        drawn = [np.random.default_rng(int(text.split()[0])) for text in texts]
        return EncodedTexts(np.stack([unit(random) for random in drawn]), [terms(random, 12) for random in drawn])


def opened(connection, name, **search) -> SearchClient:
    settings = Settings(search=SearchSettings(**search))
    return SearchClient(name, connection=connection, encoder=VectorsOfText(), settings=settings)


def equal(count):
    """Documents that are alike in all but their ids, and are written in no order."""
    first = passages(1)[0]
    ids = np.random.default_rng(5).permutation(count)
    documents = [replace(first.passage.document, id=f"doc-{n}") for n in ids]
    return [replace(first, passage=replace(first.passage, document=document)) for document in documents]


@pytest.mark.parametrize("schema", [SCHEMA, FIVE], ids=["one shard", "five shards"])
@pytest.mark.parametrize("leg", ["bm25", "sparse"])
def test_ties_at_the_cut_are_those_of_the_first_ids(connection, index_name, schema, leg) -> None:
    """Of 60 equal documents a window of 20 holds the 20 first ids, whatever the order of writing."""
    batch = equal(60)
    client = opened(connection, filled(connection, index_name(), batch, schema))
    text = batch[0].passage.text
    query = client.search(f"0 {text}", legs=["bm25"], k=1).query
    asked = replace(query, text=text, sparse=batch[0].sparse)
    found = client.search(asked, 20, window=20, candidates=20, legs=[leg])
    assert [hit.id for hit in found] == sorted(f"doc-{n}" for n in range(60))[:20]
    assert len({hit.legs[Leg(leg)].score for hit in found}) == 1


def test_many_shards_rank_as_one_does(connection, index_name) -> None:
    """Terms are counted over all shards: BM25 scores of five shards are those of one, and so is the fused page."""
    one, five = (filled(connection, index_name(), passages(300), schema) for schema in (SCHEMA, FIVE))
    for text in ("1 coffee river", "2 silver vector stone"):
        alone, together = (opened(connection, name).search(text, 50, legs=["bm25"]) for name in (one, five))
        assert [(hit.id, hit.score) for hit in together] == [
            (hit.id, pytest.approx(hit.score, rel=1e-5)) for hit in alone
        ]
    counted_apart = opened(connection, five, dfs=False).search("1 coffee river", 50, legs=["bm25"])
    assert {hit.legs[Leg.BM25].score for hit in counted_apart} != {hit.legs[Leg.BM25].score for hit in together}


def test_a_client_goes_to_the_same_copies(connection, index_name, monkeypatch) -> None:
    """Every search of a client names it; another client has another name."""
    name, sent = filled(connection, index_name(), passages(5)), []
    send = type(connection).send

    def keeping(self, request: Request):
        sent.extend(request.body.splitlines()[::2] if request.path.endswith("_msearch") else [])
        return send(self, request)

    monkeypatch.setattr(type(connection), "send", keeping)
    for _ in range(2):
        client = opened(connection, name)
        client.search("1 coffee")
        client.search("2 coffee")
    preferences = [line.split(b'"preference":"')[1][:32] for line in sent]
    assert len(set(preferences)) == 2
    assert preferences == sorted(preferences, key=preferences.index)


def ranks(found: list[tuple[str, float]]) -> Mapping[str, tuple[int, int]]:
    """The first and the last rank that each passage may have, by its ties."""
    scores = [np.float32(score) for _, score in found]
    return {
        passage: (1 + sum(s > score for s in scores), sum(s >= score for s in scores))
        for (passage, _), score in zip(found, scores, strict=True)
    }


@pytest.mark.parametrize("schema", [SCHEMA, FIVE], ids=["one shard", "five shards"])
def test_the_server_ranks_as_the_client_does_but_for_ties(connection, index_name, schema) -> None:
    """A leg's equal passages are in the server's order: every fused score lies within what its ties allow.

    The server counts terms shard by shard, and so does the client that it is held against; its window is that of a
    shard, so that ranks beyond the window may count, up to as many windows as there are shards.
    """
    client = opened(connection, filled(connection, index_name(), passages(200), schema), dfs=False)
    for seed in range(4):
        text = f"{seed} coffee river stone"
        try:
            server = client.search(text, WINDOW, window=WINDOW, fusion="server", collapse=False)
        except UnsupportedError as error:
            pytest.skip(str(error))
        (one,) = client.retrieve([text], window=200, candidates=200, collapse=False)
        possible = [ranks([(best.id, best.score) for best in run.values()]) for run in one.runs.values()]
        for hit in server:
            spans = [leg[hit.passage_id] for leg in possible if hit.passage_id in leg]
            most = sum(1 / (CONSTANT + first) for first, _ in spans if first <= WINDOW * schema.shards)
            least = sum(1 / (CONSTANT + last) for _, last in spans if last <= WINDOW)
            assert least * (1 - 1e-5) <= hit.fused <= most * (1 + 1e-5)


def test_a_sorted_search_is_that_of_scores(connection, index_name) -> None:
    """Sorting ties changes no score and leaves nothing out, in any leg."""
    name = filled(connection, index_name(), passages(100), FIVE)
    random = np.random.default_rng(4)
    for body in (
        legs.bm25("coffee stone"),
        legs.sparse(terms(random, 12)),
        legs.dense(unit(random), connection.dialect, size=100, candidates=200),
        connection.dialect.exact_dense_search(unit(random), filter=None),
    ):
        plain = hits(connection, name, body, size=100)
        request = Request.json("POST", f"/{name}/_search", legs.passage_search(body, size=100, timeout=10))
        found = [(legs.passage_id(hit), hit["_score"]) for hit in connection.send(request)["hits"]["hits"]]
        assert [id_ for id_, _ in found] == [id_ for id_, _ in plain]
        assert [score for _, score in found] == pytest.approx([score for _, score in plain])
