"""An engine query of an expert's own for the BM25 leg, on every engine: found, filtered, fused, and what is wrong."""

from __future__ import annotations

from uuid import uuid4

import pytest
from generated import SCHEMA, filled, passages
from test_search_alias import VectorsOfText

from hybrid_search.engine.indices import delete_index
from hybrid_search.errors import EngineError, QueryError
from hybrid_search.records import Query
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import Settings

BATCH = passages(60)
RIVER = {one.passage.document.id for one in BATCH if "river" in one.passage.text.split()}
DEAREST = {
    "function_score": {
        "query": {"match": {"text": "river"}},
        "field_value_factor": {"field": "filter.price"},
        "boost_mode": "replace",
    }
}
WRONG = {"no_such_query": {"text": "river"}}


@pytest.fixture(scope="module")
def client(connection):
    """Sixty documents; the one of number n costs n / 2."""
    name = filled(connection, f"test-expert-{uuid4().hex[:12]}", BATCH, SCHEMA)
    with SearchClient(name, connection=connection, encoder=VectorsOfText(), settings=Settings()) as opened:
        yield opened
    delete_index(connection, name)


def price(hit):
    return int(hit.id.removeprefix("doc-")) / 2


@pytest.mark.parametrize("given", [DEAREST, {"query": DEAREST}], ids=["clause", "search"])
def test_its_scores_are_those_of_the_leg(client, given) -> None:
    """The dearest documents of the word, whatever the text says; with or without the ``query`` around it."""
    found = client.search(Query("unrelated", bm25=given), 60, legs=["bm25"], rerank=False)
    assert {hit.id for hit in found} == RIVER
    assert [hit.legs["bm25"].score for hit in found] == sorted(map(price, found), reverse=True)


def test_it_needs_no_text(client) -> None:
    """Where no other leg does."""
    assert len(client.search(Query("", bm25=DEAREST), 3, legs=["bm25"], rerank=False)) == 3
    with pytest.raises(QueryError, match="the query is empty"):
        client.search(Query("", bm25=DEAREST), rerank=False)


def test_it_is_filtered_and_fused_as_the_words_are(client) -> None:
    """By the filter of the search and by signs; one share of two legs each: 1/(60+1) is that of the first."""
    query = Query("7 river -stone", bm25=DEAREST)
    found = client.search(
        query, 60, legs=["bm25", "dense"], filter="price<20", syntax="simple", rerank=False, fusion="rrf"
    )
    texts = {one.passage.document.id: one.passage.text.split() for one in BATCH}
    assert found.hits
    assert all(price(hit) < 20 and "stone" not in texts[hit.id] for hit in found)
    first = max((hit for hit in found if "bm25" in hit.legs), key=price)
    assert (first.legs["bm25"].rank, first.legs["bm25"].contribution) == (1, pytest.approx(1 / 61))


def test_what_the_engine_refuses_costs_that_leg_alone(client) -> None:
    """The others answer, and the warning has the engine's reason; the other queries of the batch are whole."""
    wrong, right, plain = client.search_many(
        [Query("7 river", bm25=WRONG), Query("7 river", bm25=DEAREST), "7 river"], 5
    )
    assert wrong.degraded == {"bm25": WarningCode.LEG_FAILED}
    assert "no_such_query" in wrong.legs["bm25"].failure
    assert "dense" in wrong.hits[0].legs
    assert (right.degraded, plain.degraded) == ({}, {})


def test_without_another_leg_it_is_the_error_of_that_query_alone(client) -> None:
    """As any query that could not be searched."""
    queries = [Query("7 river", bm25=WRONG), Query("7 river", bm25=DEAREST)]
    wrong, right = client.search_many(queries, 5, legs=["bm25"], rerank=False, return_errors=True)
    assert isinstance(wrong, EngineError)
    assert "no_such_query" in str(wrong)
    assert len(right) == 5


def test_an_empty_page_says_why(client) -> None:
    """It matched nothing, and the text has nothing to do with that."""
    nothing = {"term": {"text": "unheardof"}}
    found = client.search(Query("river", bm25=nothing), legs=["bm25"], rerank=False)
    assert [str(warning) for warning in found.warnings] == ["nothing found: no passage matches the query of the leg"]


async def test_both_clients_answer_alike(client, engine_url) -> None:
    """The same hits with the same scores."""
    query = Query("7 river", bm25=DEAREST)
    settings = Settings()
    async with AsyncSearchClient(
        client.searcher.target.index, url=engine_url, encoder=VectorsOfText(), settings=settings
    ) as other:
        theirs = await other.search(query, 10, rerank=False)
    assert list(theirs) == list(client.search(query, 10, rerank=False))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([1], "is no clause. Give one clause"),
        ({}, "0 clauses side by side"),
        ({"match": {}, "term": {}}, "2 clauses side by side. Combine them with bool"),
        ({"query": {"match_all": {}}, "size": 3}, 'a whole search, with size. Give what stands under "query"'),
        ({"match": {"text": {1, 2}}}, "JSON cannot say"),
    ],
)
def test_what_is_no_clause_is_refused_before_anything_is_sent(client, given, why) -> None:
    """With what to give."""
    with pytest.raises(QueryError, match=why):
        client.search(Query("river", bm25=given), rerank=False)
