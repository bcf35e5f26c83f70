"""Queries and batches at their edges, on real engines."""

from __future__ import annotations

import pytest
from test_limits import TOO_MANY
from test_search import SCHEMA, CircleEncoder, at, load

from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import QueryError, RequestRefusedError, UnsupportedError
from hybrid_search.records import Document, EncodedPassage, Leg, Passage, Query, SearchResult
from hybrid_search.search import SearchClient, legs
from hybrid_search.search.words import first_words
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


SCRIPTS = {
    "han": "\u732b" * 3000,
    "kana": "\u306b\u3083\u3093" * 1000,
    "katakana": "\u30cd\u30b3" * 1000,
    "thai": "\u0e41\u0e21\u0e27" * 1000,
    "emoji": "\U0001f431\U0001f41f" * 1500,
    "flags": "\U0001f1e9\U0001f1ea" * 1500,
    "latin and han": "date " * 900 + "\u732b" * 200,
    "latin": "date " * 5000,
    "korean": "\uace0\uc591\uc774 " * 2000,
    "hindi": "\u092c\u093f\u0932\u094d\u0932\u0940 " * 2000,
    "arabic": "\u0642\u0637\u0629 " * 2000,
    "one word of a megabyte": "x" * 1_000_000,
    "punctuated": "a-b_c.d:e/f'g," * 500,
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_long_query_of_any_script_is_cut_and_says_so(client, script) -> None:
    """What a thousand clauses hold is searched for; no leg fails, and the page is answered."""
    result = client.search(Query(SCRIPTS[script], dense=at(0), sparse={"1": 1.0}), legs=["bm25", "dense"])
    assert result.legs[Leg.BM25].failure is None
    assert "the bm25 leg searched for the first 1,000 words of the query" in result.warnings
    assert len(result) == 4


@pytest.mark.parametrize("analyzer", ["standard", "english", "whitespace"])
def test_no_analyzer_makes_more_terms_than_are_counted(connection, client, analyzer) -> None:
    """Of every script, what is sent is at most a thousand terms of the analyzer."""
    for name, text in SCRIPTS.items():
        body = {"analyzer": analyzer, "text": first_words(text, legs.MAX_CLAUSES)}
        path = f"/{client.searcher.target.index}/_analyze"
        tokens = connection.send(Request.json("POST", path, body))["tokens"]
        assert len(tokens) <= legs.MAX_CLAUSES, name


def test_a_query_that_the_engine_finds_too_long_is_halved(connection, client, monkeypatch) -> None:
    """Where an analyzer makes more terms than were counted, the refusal is answered with half as many words."""
    too_many = TOO_MANY[connection.dialect.engine]
    monkeypatch.setattr(legs, "MAX_CLAUSES", too_many)
    result = client.search(" ".join(["date", *(f"w{n}" for n in range(too_many))]), legs=["bm25"])
    assert result.legs[Leg.BM25].failure is None
    (warning,) = result.warnings
    words = int(warning.removeprefix("the bm25 leg searched for the first ").split()[0].replace(",", ""))
    assert words in {too_many // 2**halved for halved in range(1, 10)}
    assert {hit.id for hit in result} == {"a", "b"}


def test_a_sparse_query_that_the_engine_finds_too_long_is_halved(connection, client, monkeypatch) -> None:
    """The heaviest half of its terms, and half of those, until the engine takes them."""
    too_many = TOO_MANY[connection.dialect.engine]
    monkeypatch.setattr(legs, "MAX_CLAUSES", too_many)
    terms = {str(n): 1.0 for n in range(10, too_many + 10)} | {"1": 2.0}
    result = client.search(Query("x", sparse=terms), legs=["sparse"], timeout=60)
    assert {hit.id for hit in result} == {"a", "b", "d"}
    assert result.legs[Leg.SPARSE].failure is None
    assert any(f"heaviest of {too_many + 1:,} terms" in warning for warning in result.warnings)


def test_a_long_query_is_fused_by_the_server_too(client) -> None:
    """There the clauses of all legs count together: each leg is halved until they fit."""
    terms = {str(n): 1.0 for n in range(10, 1500)} | {"1": 2.0}
    words = " ".join(["date", *(f"w{n}" for n in range(1500))])
    try:
        result = client.search(Query(words, dense=at(0), sparse=terms), fusion="server", timeout=60)
    except UnsupportedError as error:
        pytest.skip(str(error))
    assert {hit.id for hit in result} == {"a", "b", "c", "d"}
    assert any(warning.startswith("the bm25 leg searched for the first") for warning in result.warnings)


def test_a_composed_letter_and_its_parts_are_one(connection, client) -> None:
    """A query as file names on a Mac come finds what is written with one letter."""
    document = Document("cafe", "a caf\u00e9 by the river", {"kind": "place"})
    passage = EncodedPassage(Passage(document, 0, 0, len(document.text)), at(0), {"9": 1.0})
    index = client.searcher.target.index
    schema = client.searcher.target.schema
    lines = index_action(index, passage, connection.dialect, schema)
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, index)
    for text in ("caf\u00e9", "cafe\u0301"):
        assert [hit.id for hit in client.search(text, legs=["bm25"])] == ["cafe"]
