"""What pinned documents and further passages cost a search when the engine fails on them: themselves, and no more."""

from __future__ import annotations

import orjson
import pytest
from search_fakes import engine, found, stored
from test_search_procedure import RUNS, Asked, Lengths

from hybrid_search.boosts import Fresh
from hybrid_search.engine.protocols import Answer
from hybrid_search.errors import EngineTimeoutError, QueryError
from hybrid_search.records import IndexSchema, Leg, Placed
from hybrid_search.search import Reranking
from hybrid_search.search.boosts import plan_boosts
from hybrid_search.search.request import SearchRequest
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import SearchSettings

DAY = 86_400_000
DATED = IndexSchema(None, None, date_fields=("d",))
PINNED = {"pin": ["z", "d"]}


def asks_for_pins(request) -> bool:
    """Whether a request looks for the first passages of pinned documents."""
    return b'{"bool":{"filter":[{"ids":' in (request.body or b"")


def answering(pins=None, fetches=None):
    """An engine of functions that answers the search for pins, and fetches after the first, otherwise."""
    usual, asked = engine(RUNS), []

    def respond(request):
        if pins is not None and asks_for_pins(request):
            return pins(request)
        is_fetch = b'"ids"' in request.body
        asked.append(is_fetch)
        if fetches is not None and is_fetch and sum(asked) > 1:
            return fetches(request)
        return usual(request)

    return respond


def late(request):
    raise EngineTimeoutError("no answer", where=request.path)


def refusing(_request):
    return Answer(400, {"error": {"type": "parsing_exception", "reason": "no"}, "status": 400})


@pytest.mark.parametrize("fault", [late, refusing], ids=["late", "refused"])
def test_pins_that_could_not_be_looked_for_are_left_out(fault) -> None:
    """d, which a leg found, still stands first; the rest is whole, and the result says what it lacks."""
    result = Asked(answering(pins=fault)).search(**PINNED)
    assert (result.hits[0].id, result.hits[0].placed) == ("d", Placed.PINNED)
    assert sorted(hit.id for hit in result) == ["a", "b", "c", "d"]
    assert result.degraded == {"pins": WarningCode.PINS_LEFT_OUT}


def test_pins_are_looked_for_once_for_a_batch() -> None:
    """One request with a search for each query, and none where the legs found all."""
    asked = Asked(answering(pins=lambda _: Answer(200, {"responses": [found([stored("z#0")]), found([])]})))
    first, second = asked.search_many(["q", "r"], **PINNED)
    assert [hit.id for hit in first][:2] == ["z", "d"]
    assert (first.hits[0].placed, first.hits[0].legs) == (Placed.ADDED, {})
    assert [warning.code for warning in second.warnings] == [WarningCode.PINNED_NOT_FOUND]
    assert sum(map(asks_for_pins, asked.connection.transport.requests)) == 1
    asked = Asked(answering(pins=lambda _: pytest.fail("nothing is lacking")))
    assert [hit.id for hit in asked.search(pin=["d", "c"])][:2] == ["d", "c"]


@pytest.mark.parametrize("fault", [late, refusing], ids=["late", "refused"])
def test_hits_stand_without_further_passages_that_could_not_be_read(fault) -> None:
    """The page is that without them."""
    plain = Asked(engine(RUNS)).search()
    result = Asked(answering(fetches=fault)).search(passages=2)
    assert [hit.id for hit in result] == [hit.id for hit in plain]
    assert all(not hit.passages for hit in result)
    assert result.degraded == {"fetch": WarningCode.PASSAGES_NOT_REPLACED}


def test_further_passages_come_in_one_request_more() -> None:
    """a has #0 and #2, b #0 and #1: the one that is not shown."""
    asked = Asked(engine(RUNS))
    result = asked.search(passages=2)
    assert {hit.id: [one.id for one in hit.passages] for hit in result} == {
        "a": ["a#2"],
        "b": ["b#1"],
        "c": [],
        "d": [],
    }
    assert len(asked.sent) == 3
    hit = next(hit for hit in result if hit.id == "b")
    assert (hit.passages[0].text, hit.passages[0].start) == ("text of b#1", 10)
    assert list(hit.passages[0].legs) == [Leg.BM25, Leg.SPARSE]


def test_pinned_hits_take_nothing_from_the_window_of_the_reranker() -> None:
    """Two are pinned, two are reranked: as many as the window says."""
    result = Asked(engine(RUNS), reranker=Lengths()).search(pin=["b", "a"], rerank=Reranking(2, 1.0))
    assert [(hit.id, hit.rerank and hit.rerank.rank_before) for hit in result] == [
        ("b", None),
        ("a", None),
        ("d", 3),
        ("c", 4),
    ]
    assert [hit.rerank.score for hit in result.hits[2:]] == [ord("d"), ord("c")]


@pytest.mark.parametrize(
    ("origin", "milliseconds"),
    [
        ("1970", 0),
        ("1970-02", 31 * DAY),
        ("1970-01-02", DAY),
        ("1970-01-02T03:00:00+03:00", DAY),
        ("1970-01-02T00:00:00Z", DAY),
        (20_000 * DAY, 20_000 * DAY),
        (str(20_000 * DAY), 20_000 * DAY),
    ],
    ids=str,
)
def test_an_origin_is_a_date_in_any_usual_form(origin, milliseconds) -> None:
    """Without a zone it is of UTC, without a time its midnight."""
    request = SearchRequest.of(boosts=Fresh("d", origin=origin))
    [(_, read)] = plan_boosts(request, SearchSettings(), DATED).rules
    assert read == milliseconds


@pytest.mark.parametrize("origin", ["soon", "2024-13", "", None, 1.5, True], ids=str)
def test_what_is_no_date_is_no_origin(origin) -> None:
    """It is refused by its name, before anything is sent."""
    request = SearchRequest.of(boosts=Fresh("d", origin=origin))
    with pytest.raises(QueryError, match="is no date"):
        plan_boosts(request, SearchSettings(), DATED)


def test_the_search_for_pins_holds_the_filter() -> None:
    """Its ids and the filter are conditions that both must hold."""
    asked = Asked(answering(pins=lambda _: Answer(200, {"responses": [found([])]})))
    asked.search(pin=["z"], filter="kind=x")
    [request] = filter(asks_for_pins, asked.connection.transport.requests)
    body = orjson.loads(request.body.splitlines()[1])
    [held] = body["query"]["bool"]["filter"]
    assert held == {"bool": {"filter": [{"ids": {"values": ["z#0"]}}, {"term": {"filter.kind": {"value": "x"}}}]}}
