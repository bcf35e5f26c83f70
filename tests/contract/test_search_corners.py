"""Queries and batches at their edges, on real engines."""

from __future__ import annotations

import pytest
from test_search import SCHEMA, CircleEncoder, load

from hybrid_search.engine.indices import create_index
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import QueryError, RequestRefusedError
from hybrid_search.records import SearchResult
from hybrid_search.search import SearchClient
from hybrid_search.settings import Settings


@pytest.fixture
def client(connection, index_name) -> SearchClient:
    """A client of the five passages of test_search."""
    name = index_name()
    create_index(connection, name, SCHEMA)
    load(connection, name)
    return SearchClient(name, connection=connection, encoder=CircleEncoder(), settings=Settings())


def test_nothing_found_has_a_reason(client) -> None:
    """Punctuation and stop words leave the english analyzer nothing; other words are in no passage."""
    words = "nothing found: the query holds no word to search for: punctuation and stop words alone find nothing"
    for text in ("?!", "the of and"):
        assert client.search(text, legs=["bm25"]).warnings == [words]
    assert client.search("zebra", legs=["bm25"]).warnings == ["nothing found: no passage holds a word of the query"]
    filtered = client.search("date", legs=["bm25"], filter="kind=none").warnings
    assert filtered == ["nothing found: no passage that passes the filter holds a word of the query"]
    assert client.search("0: date", filter="kind=none").warnings == ["nothing found: no passage passes the filter"]


def test_a_bad_query_leaves_the_others_of_its_batch(client) -> None:
    """Half a surrogate pair and no word at all are refused in their places."""
    outcomes = client.search_many(["0: date", "0: caf\udce9", " ", "0: date"], return_errors=True)
    assert [type(outcome) for outcome in outcomes] == [SearchResult, QueryError, QueryError, SearchResult]
    assert [hit.id for hit in outcomes[0]] == [hit.id for hit in outcomes[3]]


def test_an_answer_that_is_cut_short_is_an_engine_error(connection, client, monkeypatch) -> None:
    """A real answer with its last response missing: refused by name."""
    send = type(connection).send

    def shortened(self, request: Request):
        answer = send(self, request)
        return {**answer, "responses": answer["responses"][:-1]} if "responses" in answer else answer

    monkeypatch.setattr(type(connection), "send", shortened)
    with pytest.raises(RequestRefusedError, match="2 answers to 3 searches"):
        client.search("0: date")
