"""What a search was fused from, and the passages behind it, for pages that rank anew without asking again."""

from __future__ import annotations

import copy
import pickle

import pytest
from search_fakes import SCHEMA, PlaneEncoder, async_connection, connection, engine

from hybrid_search.engine.protocols import Answer
from hybrid_search.engine.templates import index_body
from hybrid_search.errors import HybridSearchError
from hybrid_search.records import Leg, StoredPassage
from hybrid_search.search import AsyncSearchClient, Fusion, SearchClient
from hybrid_search.search.as_json import result_json

RUNS = {Leg.BM25: [("a#0", 2.0), ("b#1", 1.0)], Leg.DENSE: [("b#1", 0.9), ("c#0", 0.5)]}
B1 = StoredPassage("b#1", "text of b#1", 10, 15, {"n": 1})


def respond(request):
    """Searches of :data:`RUNS` in an index of the plane encoder."""
    if request.path == "/docs/_mapping":
        return Answer(200, {"docs": {"mappings": index_body("opensearch", (3, 6, 0), SCHEMA)["mappings"]}})
    return engine(RUNS)(request)


def test_a_result_keeps_what_it_was_fused_from() -> None:
    """Another fusion of the same retrieval ranks as a search by that fusion does."""
    with SearchClient("docs", encoder=PlaneEncoder(), connection=connection(respond)) as client:
        result = client.search("query", k=1)
        again = client.search("query", k=3, fusion=Fusion("rrf"))
    assert [hit.id for hit in result] == ["b"]
    assert [hit.id for hit in result.retrieved.fused(Fusion("rrf"))] == [hit.id for hit in again] == ["b", "a", "c"]


def test_passages_are_read_with_their_fields() -> None:
    """By their ids, each once, with the place in the document that a hit would show."""
    with SearchClient("docs", encoder=PlaneEncoder(), connection=connection(respond)) as client:
        assert client.stored(["b#1", "b#1"]) == {"b#1": B1}
        assert client.passages(["b#1"]) == {"b#1": "text of b#1"}


async def test_the_asynchronous_client_reads_the_same() -> None:
    """Once it is open; what was opened can be seen then, and not before."""
    client = AsyncSearchClient("docs", encoder=PlaneEncoder(), connection=async_connection(respond))
    with pytest.raises(HybridSearchError, match="the client is not open"):
        _ = client.searcher
    async with client:
        assert await client.stored(["b#1"]) == {"b#1": B1}
        assert await client.passages(["b#1"]) == {"b#1": "text of b#1"}
        assert client.searcher.target.index == "docs"


def test_a_result_is_plain() -> None:
    """It can be written as JSON, pickled and copied, boosted or not."""
    with SearchClient("docs", encoder=PlaneEncoder(), connection=connection(respond)) as client:
        result = client.search("query", k=2)
    assert [hit["id"] for hit in result_json(result)["hits"]] == ["b", "a"]
    assert pickle.loads(pickle.dumps(result.hits)) == copy.deepcopy(result.hits) == result.hits  # noqa: S301  # our own
