"""The HTTP API over a real index: the client's own answers, errors that say what to do, and nothing of a query kept."""

from __future__ import annotations

import json
import logging

import pytest
from served import HashedEncoder, LongestFirst

from hybrid_search.errors import EngineTimeoutError, EngineUnreachableError, OverloadedError
from hybrid_search.search import SearchClient
from hybrid_search.search.as_json import result_json

QUERY = "tea coffee rice"


@pytest.fixture
def client(served, opensearch):
    with SearchClient(served.index, encoder=HashedEncoder(), reranker=LongestFirst(), connection=opensearch) as opened:
        yield opened


def plain(answer):
    """As it comes out of JSON."""
    return json.loads(json.dumps(answer))


def without_times(answer):
    return {name: value for name, value in answer.items() if name not in {"took_ms", "legs", "explanation", "cursor"}}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rerank": False, "k": 3, "offset": 2},
        {"rerank": False, "legs": ["bm25"], "filter": "colour=green and minutes<3"},
        {"rerank": False, "fusion": "rrf", "rank_constant": 10, "weights": {"bm25": 2, "dense": 1, "sparse": 0}},
        {"rerank": False, "highlight": True, "k": 4},
        {"rerank": False, "collapse": False, "max_per": ["colour"], "diversity": 0.3},
        {"rerank": False, "syntax": "simple", "window": 20, "exact": True, "timeout": 30},
    ],
    ids=["as-is", "page", "filter", "fusion", "highlight", "spread", "more"],
)
def test_a_search_is_the_clients(served, client, options) -> None:
    """The same hits with the same reasons, by every option."""
    answer = served.post("/search", query=QUERY, **options)
    given = {name: value for name, value in options.items() if name not in {"weights", "rank_constant", "k"}}
    if "weights" in options:
        from hybrid_search.search import Fusion

        given["fusion"] = Fusion(options["fusion"], options["weights"], options["rank_constant"])
    expected = result_json(client.search(QUERY, options.get("k"), **given))
    assert without_times(answer) == without_times(plain(expected))


def test_an_address_asks_the_same(served) -> None:
    """By GET, weights as text."""
    address = "/search?query=tea+coffee+rice&k=4&rerank=false&fusion=z-score&weights=bm25=.3,dense=.7,sparse=1"
    status, answer, _ = served.ask("GET", address)
    weights = {"bm25": 0.3, "dense": 0.7, "sparse": 1}
    assert status == 200
    expected = served.post("/search", query=QUERY, k=4, rerank=False, fusion="z-score", weights=weights)
    assert without_times(answer) == without_times(expected)


def test_pages_go_on_by_a_cursor(served) -> None:
    """The answer has the cursor of the page behind it, for the same search."""
    first = served.post("/search", query=QUERY, k=4, rerank=False)
    second = served.post("/search", query=QUERY, k=4, rerank=False, cursor=first["cursor"])
    assert [hit["rank"] for hit in second["hits"]] == [5, 6, 7, 8]
    eight = served.post("/search", query=QUERY, k=8, rerank=False)
    assert [hit["id"] for hit in [*first["hits"], *second["hits"]]] == [hit["id"] for hit in eight["hits"]]


def test_explanations_are_lines(served) -> None:
    """What --explain prints, for every hit."""
    answer = served.post("/explain", query=QUERY, k=2)
    lines = answer["hits"][0]["explanation"]
    assert lines[0].startswith(f"passage {answer['hits'][0]['passage_id']}, characters 0 to ")
    assert any(line.startswith("fused by min-max: ") for line in lines)
    assert lines[-1].startswith("reranked by longest: ")


def test_runs_have_every_leg_in_full(served, client) -> None:
    """Also those that weigh nothing, each hit with a passage and a document to show."""
    answer = served.post("/runs", query=QUERY, weights={"bm25": 1, "dense": 0, "sparse": 0})
    retrieved = client.retrieve([QUERY])[0]
    found = {leg: [(id_, score) for id_, _, score in run["hits"]] for leg, run in answer["runs"].items()}
    assert found == retrieved.scores()
    assert {
        leg: run["missing"] for leg, run in answer["runs"].items() if run["missing"] is not None
    } == retrieved.missing
    for run in answer["runs"].values():
        for id_, passage, _ in run["hits"]:
            assert answer["documents"][id_]["fields"]["kind"]
            assert answer["passages"][passage]["parts"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/search", {}, "query: Field required"),
        ("/search", {"query": ""}, "at least 1 character"),
        ("/search", {"query": "  "}, "the query is empty"),
        ("/search", {"query": "x" * 10_001}, "at most 10000 characters"),
        ("/search", {"query": "x", "k": 1001}, "less than or equal to 1000"),
        ("/search", {"query": "x", "kk": 1}, "kk: Extra inputs are not permitted"),
        ("/search", {"query": "x", "fusion": "min-mix"}, "Did you mean 'min-max'?"),
        ("/search", {"query": "x", "weights": {"bm25": -1}}, "the weight -1"),
        ("/search", {"query": "x", "legs": ["bm26"]}, "Did you mean bm25?"),
        ("/search", {"query": "x", "filter": "nowhere=1"}, "nowhere"),
        ("/judgements", {"query": "x", "id": "y", "grade": 4}, "less than or equal to 3"),
        ("/judgements", {"query": "x", "id": "a\tb", "grade": 1}, "without tabs"),
        ("/judged", {"fusion": "best"}, "unknown fusion 'best'"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(served, path, body, said) -> None:
    """Status 400 and one error, as the package words it."""
    status, answer, _ = served.ask("POST", path, body)
    assert status == 400
    assert said in answer["error"]["message"]


def test_a_body_that_is_no_json(served) -> None:
    """Is an error of the caller, not a failure of the server."""
    status, answer, _ = served.ask("POST", "/search", b"{not json")
    assert (status, answer["error"]["type"]) == (400, "QueryError")


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (EngineUnreachableError("nothing answers", where="http://engine:9200"), 503),
        (OverloadedError("too many requests", where="http://engine:9200"), 503),
        (EngineTimeoutError("no answer in 10 s", where="http://engine:9200"), 504),
    ],
    ids=["unreachable", "overloaded", "late"],
)
def test_a_failing_engine_is_named(served, failure, status) -> None:
    """By a status for programs and words for people; a probe sees it too, and all is well when it is back."""
    served.engine.failure = failure
    try:
        found, answer, _ = served.ask("POST", "/search", {"query": QUERY})
        probed, health, _ = served.ask("GET", "/healthz")
    finally:
        served.engine.failure = None
    assert (found, answer["error"]["what"], answer["error"]["where"]) == (status, failure.what, "http://engine:9200")
    assert (probed, health) == (503, {"status": "failing", "error": type(failure).__name__})
    assert served.ask("GET", "/healthz")[:2] == (200, {"status": "ok"})


def test_an_unforeseen_failure_keeps_the_query_to_itself(served, caplog) -> None:
    """The answer and the log have the kind of the fault and its place; what was searched for is in neither."""
    secret = "my secret illness"  # noqa: S105  # what nobody may read
    served.engine.failure = ZeroDivisionError(secret)
    caplog.set_level(logging.DEBUG)
    try:
        status, answer, _ = served.ask("POST", "/search", {"query": secret})
        served.ask("GET", f"/search?query={secret.replace(' ', '+')}")
    finally:
        served.engine.failure = None
    assert status >= 500
    assert "illness" not in caplog.text
    assert "Traceback" not in str(answer)


def test_nothing_is_traced_by_the_framework(served) -> None:
    """FastAPI would put the addresses of requests, with their queries, into spans."""
    from fastapi import FastAPI

    from hybrid_search.serve.app import without_telemetry

    options = without_telemetry()
    made = FastAPI(**options)
    native = getattr(made, "_native_telemetry", None)
    assert native is None or not native.enabled()
    assert set(options.get("telemetry", {}).values()) <= {False}
    assert served.post("/search", query=QUERY)["hits"]


@pytest.mark.parametrize("path", ["/search", "/explain", "/runs", "/facets"])
def test_the_trace_of_the_caller_goes_on(served, path) -> None:
    """To the engine, by body and by address; one of another form is passed over, as its standard says."""
    trace, ours, traces = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-", served.engine.traces
    traces.clear()
    served.ask("POST", path, {"query": "tea", "rerank": False}, {"traceparent": trace})
    assert any(sent is not None and sent.startswith(ours) for sent in traces)
    traces.clear()
    served.ask("GET", f"{path}?query=tea&rerank=false", headers={"traceparent": trace})
    assert any(sent is not None and sent.startswith(ours) for sent in traces)
    traces.clear()
    assert served.ask("POST", path, {"query": "tea"}, {"traceparent": "nonsense"})[0] == 200
    assert set(traces) == {None}


def test_measures_count_and_name_no_query(served) -> None:
    """Requests by path and status, steps by name."""
    served.post("/search", query="unmistakable words")
    served.ask("GET", "/nowhere/at/all")
    _, text, headers = served.ask("GET", "/metrics")
    assert 'hybrid_search_requests_total{path="/search",status="200"}' in text
    assert 'hybrid_search_requests_total{path="other",status="404"}' in text
    assert 'hybrid_search_step_seconds_count{step="retrieve"}' in text
    assert "unmistakable" not in text
    assert "nowhere" not in text
    assert headers["content-type"].startswith("text/plain; version=0.0.4")


def test_the_api_describes_itself(served) -> None:
    """OpenAPI for programs and a page for people, which loads nothing from elsewhere."""
    _, schema, _ = served.ask("GET", "/openapi.json")
    assert schema["openapi"].startswith("3.")
    assert {"/search", "/explain", "/runs", "/healthz", "/metrics"} <= schema["paths"].keys()
    _, page, _ = served.ask("GET", "/docs")
    for path in schema["paths"]:
        assert f"<code>{path}</code>" in page
    assert "rank_constant" in page
    assert "://" not in page.replace("http://www.w3.org", "")


def test_judgements_come_back(served) -> None:
    """By the text of the query; white space does not matter. What is taken back is gone."""
    assert served.post("/judgements", query="burnt rice", id="doc-9", grade=2) == {"before": None, "grade": 2}
    assert served.post("/judgements/of", query=" burnt  rice")["grades"] == {"doc-9": 2}
    assert served.post("/judgements", query="burnt rice", id="doc-9", grade=None) == {"before": 2, "grade": None}
    assert served.post("/judgements/of", query="burnt rice")["grades"] == {}
    assert served.post("/judgements/of", query="morning tea")["grades"] == {"doc-1": 2}


def test_facets_are_the_clients(served, client) -> None:
    """Those that are asked for, with what narrows to each value; without any, those of the keyword fields."""
    asked = ["colour", "minutes:2,5"]
    answer = served.post("/facets", query=QUERY, facets=asked, filter="colour=green")
    expected = result_json(client.search(QUERY, 1, facets=asked, filter="colour=green", rerank=False))
    assert answer["facets"] == plain(expected["facets"])
    assert answer["facets"]["colour"]["without_own_filter"]
    assert "hits" not in answer
    assert served.post("/facets", query=QUERY)["facets"].keys() == {"kind", "colour"}
    assert (
        served.ask("GET", "/facets?query=tea&facets=kind&facet_counts=filter")[1]["facets"]["kind"]["documents"] == 340
    )


def test_why_not_is_the_clients(served, client) -> None:
    """By body and by address, for a document that is far below, filtered out, or not there."""
    last = client.search("bitter", 100, rerank=False).hits[-1].id
    answer = served.post("/why-not", query="bitter", id=last, k=5, rerank=False)
    assert answer == plain(client.why_not("bitter", last, 5, rerank=False).as_json())
    assert answer["reason"] == "below-page"
    status, found, _ = served.ask("GET", f"/why-not?query=bitter&id={last}&filter=minutes%3E90")
    assert (status, found["reason"]) == (200, "filtered")
    assert served.post("/why-not", query="bitter", id="doc-33x")["reason"] == "not-in-index"


def test_rules_may_be_asked_for(served, client) -> None:
    """Boosts, and documents that stand first and last."""
    rules = {"boosts": ["saturation:minutes,3"], "pin": ["doc-7"], "bury": ["doc-8"], "rerank": False}
    answer = served.post("/search", query=QUERY, k=5, **rules)
    assert answer["hits"][0]["id"] == "doc-7"
    assert without_times(answer) == without_times(plain(result_json(client.search(QUERY, 5, **rules))))
