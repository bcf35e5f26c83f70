"""One part of a search fails: what it does is named, and the others answer."""

from __future__ import annotations

import time

import numpy as np
import pytest
from search_fakes import PlaneEncoder, bodies, engine, found, leg_of
from test_search_procedure import REFUSED, RUNS, Asked

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.protocols import Answer
from hybrid_search.errors import (
    EngineError,
    EngineTimeoutError,
    HybridSearchError,
    ModelError,
    QueryError,
    RequestRefusedError,
)
from hybrid_search.filters import Eq
from hybrid_search.records import Leg, Query, SearchResult
from hybrid_search.settings import SearchSettings, Settings


class Failing(PlaneEncoder):
    """An encoder that raises, or answers, what it is given."""

    def __init__(self, outcome) -> None:
        super().__init__()
        self.outcome = outcome

    def encode_queries(self, texts):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome(super().encode_queries(texts))


ILL_FORMED = [
    (RuntimeError("CUDA out of memory"), "the encoder failed: RuntimeError: CUDA out of memory"),
    (lambda found: EncodedTexts(found.dense[:0], found.sparse), "the encoder gave 0 vectors for 1 texts"),
    (lambda found: EncodedTexts(found.dense * np.nan, found.sparse), "a vector that is zero or not finite"),
    (lambda found: EncodedTexts(found.dense * 0, found.sparse), "a vector that is zero or not finite"),
    (lambda found: EncodedTexts(found.dense[:, None], found.sparse), "a vector of shape (1, 2)"),
    (lambda found: EncodedTexts(None, found.sparse), "the encoder gave 0 vectors for 1 texts"),
    (lambda found: EncodedTexts([["x"]], found.sparse), "what is no vector"),
    (lambda _: None, "the encoder gave NoneType instead of EncodedTexts"),
]


@pytest.mark.parametrize(("outcome", "failure"), ILL_FORMED)
def test_whatever_an_encoder_does_leaves_bm25(outcome, failure) -> None:
    """Any exception and any ill-formed vector: the leg has failed, by name, and the others answer."""
    result = Asked(engine(RUNS), encoder=Failing(outcome)).search()
    assert {hit.id for hit in result} >= {"a", "b", "c"}
    assert failure in result.legs[Leg.DENSE].failure
    assert failure in result.warnings[0]


def test_one_ill_formed_vector_is_that_of_its_query() -> None:
    """The second of three texts gets a vector of NaN: the dense leg of the others searches."""

    def second(found):
        found.dense[1] = np.nan
        return found

    results = Asked(engine(RUNS), encoder=Failing(second)).search_many(["p", "q", "r"])
    assert [result.legs[Leg.DENSE].failure is None for result in results] == [True, False, True]


def test_a_text_that_an_encoder_cannot_take_is_that_of_its_query() -> None:
    """All texts together fail, then each goes alone: only the bad one's legs are missing."""

    class Picky(PlaneEncoder):
        def encode_queries(self, texts):
            encoded = super().encode_queries(texts)
            if "bad" in texts:
                raise ValueError("bad text")
            return encoded

    asked = Asked(engine(RUNS), encoder=Picky())
    results = asked.search_many(["p", "bad", "q"])
    assert [result.legs[Leg.DENSE].failure is None for result in results] == [True, False, True]
    assert asked.encoder.texts == [["p", "bad", "q"], ["p"], ["bad"], ["q"]]


def test_an_encoder_that_takes_nothing_is_not_asked_for_ever() -> None:
    """Of 32 texts the first batch and three more are tried; every query is answered by BM25."""
    encoder = Failing(RuntimeError("gone"))
    calls = []
    encoder.encode_queries = lambda texts: calls.append(len(texts)) or Failing.encode_queries(encoder, texts)
    results = Asked(engine(RUNS), encoder=encoder).search_many(["q"] * 32)
    assert calls == [32, 1, 1, 1]
    assert all("gone" in result.legs[Leg.DENSE].failure and len(result) == 3 for result in results)


def test_weights_that_no_engine_takes_fail_the_sparse_leg() -> None:
    """NaN is no JSON; the other legs answer."""
    result = Asked(engine(RUNS), encoder=Failing(lambda f: EncodedTexts(f.dense, [{"q": float("nan")}]))).search()
    assert "a weight that is not positive and finite" in result.legs[Leg.SPARSE].failure


class Reranks:
    """A reranker that gives, or raises, what it is told to."""

    name = "broken"

    def __init__(self, outcome) -> None:
        self.outcome = outcome

    def score(self, _, passages):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome(len(passages))


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (RuntimeError("CUDA out of memory"), "the reranker failed: RuntimeError: CUDA out of memory"),
        (ModelError("the model server is away"), "the model server is away"),
        (lambda n: [float("nan")] + [1.0] * (n - 1), "the reranker gave 1 of 4 scores that are not finite"),
        (lambda n: [1.0] * (n - 1), "the reranker gave scores of shape (3,) for 4 passages"),
        (lambda n: np.ones((n, 1), np.float32), "the reranker gave scores of shape (4, 1) for 4 passages"),
        (lambda n: ["high"] * n, "the reranker gave no numbers"),
        (lambda _: None, "for 4 passages"),
    ],
)
def test_whatever_a_reranker_does_leaves_the_fused_order(outcome, why) -> None:
    """The fused ranking is complete without it: it is the answer, with a warning that names what was wrong."""
    result = Asked(engine(RUNS), reranker=Reranks(outcome)).search()
    assert [hit.id for hit in result] == ["b", "a", "d", "c"]
    assert all(hit.rerank is None for hit in result)
    assert result.reranker is None
    (warning,) = result.warnings
    assert warning.startswith("not reranked: ")
    assert why in warning


LOGIN = "<html><body>Please log in"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (LOGIN, "the answer is not that of a search engine: '<html><body>Please log in'"),
        (None, "the answer is not that of a search engine: 'None'"),
        ({"took": 3}, "the answer is not that of a search engine"),
        ({"responses": []}, "0 answers to 3 searches"),
        ({"responses": [{"hits": {}}] * 3}, "the answer is not that of a search engine"),
        ({"responses": [found([{"_id": "a#0", "_score": None}])] * 3}, "the answer is not that of a search engine"),
        ({"responses": [found([{"_score": 1.0}])] * 3}, "the answer is not that of a search engine"),
        ({"responses": [LOGIN] * 3}, "the answer is not that of a search engine"),
        ({"responses": [{"error": "broken", "status": "odd"}] * 3}, "the answer is not that of a search engine"),
    ],
)
@pytest.mark.parametrize("fusion", ["rrf", "server"])
def test_an_answer_that_is_none_is_an_engine_error(body, message, fusion) -> None:
    """A proxy's page with status 200, or fewer answers than searches: refused by name, never a TypeError."""
    if fusion == "server" and body is not None and "responses" in body:
        body = {"responses": body["responses"][:1]}
        message = message.replace("0 answers to 3 searches", "0 answers to 1 searches")
    with pytest.raises(RequestRefusedError) as raised:
        Asked(lambda _: Answer(200, body)).search(fusion=fusion)
    assert message in str(raised.value)


def test_nothing_but_our_errors_leaves(monkeypatch) -> None:
    """A transport, or a part of ours, with a fault of its own: its error is the cause of ours."""

    def respond(_):
        raise ZeroDivisionError("a fault")

    with pytest.raises(EngineError, match="the request failed: ZeroDivisionError: a fault") as raised:
        Asked(respond).search()
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    monkeypatch.setattr("hybrid_search.search.searcher.plan_search", respond)
    with pytest.raises(HybridSearchError, match=r"the search failed: TypeError: .*unexpected keyword"):
        Asked(engine(RUNS)).search()


def test_no_request_waits_longer_than_the_caller_allows() -> None:
    """Ten seconds are for all of a batch: the engine gets half a second less, the next request what is left."""
    asked = Asked(engine(RUNS))
    asked.search_many(["q"] * 32)
    legs, fetch = asked.connection.transport.requests
    assert 9 < fetch.timeout < legs.timeout <= 10
    (within,) = {int(body["timeout"].removesuffix("ms")) / 1000 for body in bodies(legs)}
    assert legs.timeout - 0.501 < within <= 9.5
    assert within < legs.timeout


def test_a_search_that_has_no_time_left_says_so() -> None:
    """The second request would be beyond the time: what the first found cannot be shown."""

    def slow(request):
        time.sleep(0.06)
        return engine(RUNS)(request)

    settings = Settings(search=SearchSettings(timeout=0.05))
    asked = Asked(slow, settings=settings)
    with pytest.raises(EngineTimeoutError, match=r"the search took its 0\.05 s"):
        asked.search()
    assert len(asked.sent) == 1


def refusing(word):
    """An engine that refuses to search for ``word`` in any leg."""

    def respond(request):
        answer = engine(RUNS)(request).body
        for n, body in enumerate(bodies(request)):
            if word in str(body):
                answer["responses"][n] = REFUSED
        return Answer(200, answer)

    return respond


def test_a_bad_query_leaves_the_others_of_its_batch() -> None:
    """Wrong before it is sent, or refused by the engine: its error is in its place, the others are answered."""
    asked = Asked(refusing("poison"))
    vector = np.array([0.0, 1.0], dtype=np.float32)
    queries = ["q", "", Query("poison"), Query("q", dense=vector * 0), "q"]
    outcomes = asked.search_many(queries, legs=["bm25"], return_errors=True)
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [SearchResult, QueryError, RequestRefusedError, QueryError, SearchResult]
    assert [hit.id for hit in outcomes[0]] == [hit.id for hit in outcomes[4]] == ["a", "b", "c"]


def test_the_first_error_of_a_batch_is_raised_unless_errors_are_asked_for() -> None:
    """A query that is wrong is refused before anything is sent."""
    asked = Asked(refusing("poison"))
    with pytest.raises(QueryError, match="the query is empty"):
        asked.search_many(["q", ""], legs=["bm25"])
    assert asked.sent == []
    with pytest.raises(RequestRefusedError):
        asked.search_many(["q", "poison"], legs=["bm25"])


def test_a_lone_surrogate_is_refused_by_its_place() -> None:
    """A bad byte of the command line arrives as one; in a filter and in a sparse term too."""
    asked = Asked(engine(RUNS))
    for query in ("caf\udce9", Query("q", filter=Eq("kind", "\udce9")), Query("q", sparse={"\udce9": 1.0})):
        with pytest.raises(QueryError) as raised:
            asked.search(query)
        assert "surrogate" in str(raised.value)
    assert asked.sent == []
    with pytest.raises(QueryError, match="character 4 of the query"):
        asked.search("caf\udce9")


def test_a_query_is_composed() -> None:
    """As file names on a Mac come: e and an accent of its own are the one letter that documents hold."""
    asked = Asked(engine(RUNS))
    asked.search("cafe\u0301", legs=["bm25"])
    assert asked.sent[0][0]["query"]["match"]["text"]["query"] == "caf\u00e9"


def without(gone, runs=RUNS):
    """The engine of ``runs``, in which passages are found but cannot be fetched any more."""

    def respond(request):
        answer = engine(runs)(request).body
        if leg_of(bodies(request)[0]) is None:
            for response in answer["responses"]:
                response["hits"]["hits"] = [hit for hit in response["hits"]["hits"] if hit["_id"] not in gone]
        return Answer(200, answer)

    return respond


def test_a_passage_that_was_deleted_meanwhile_is_left_out() -> None:
    """Found and then gone: the hit is missing, and the result says so."""
    result = Asked(without({"a#0"})).search()
    assert [hit.id for hit in result] == ["b", "d", "c"]
    assert result.warnings == ["passages found but not fetched: 1 (deleted meanwhile, or late)"]


def test_hits_that_are_gone_are_replaced_by_the_next() -> None:
    """Three of the first ten cannot be fetched: the page holds ten all the same, those of rank 11 to 13 last."""
    runs = {Leg.BM25: [(f"{n:02}#0", 100.0 - n) for n in range(100)]}
    asked = Asked(without({"01#0", "05#0", "09#0", "11#0"}, runs))
    result = asked.search(k=10, legs=["bm25"])
    assert [hit.id for hit in result] == ["00", "02", "03", "04", "06", "07", "08", "10", "12", "13"]
    assert [len(body["query"]["ids"]["values"]) for request in asked.sent[1:] for body in request] == [10, 6]
    assert result.warnings == ["passages found but not fetched: 4 (deleted meanwhile, or late)"]


def test_an_index_that_was_emptied_is_not_asked_for_ever() -> None:
    """After a few rounds the page is what could be fetched."""
    runs = {Leg.BM25: [(f"{n:02}#0", 100.0 - n) for n in range(100)]}
    asked = Asked(without({id_ for id_, _ in runs[Leg.BM25]}, runs))
    assert len(asked.search(k=3, legs=["bm25"])) == 0
    assert len(asked.sent) <= 1 + 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("?!", "the query holds no word to search for: punctuation and stop words alone find nothing"),
        ("the", "the query holds no word to search for: punctuation and stop words alone find nothing"),
        ("zebra", "no passage holds a word of the query"),
    ],
)
def test_bm25_says_why_it_found_nothing(text, reason) -> None:
    """The analyzer of the index knows whether there was a word to look for."""
    asked = Asked(engine({}))
    assert asked.search(text, legs=["bm25"]).warnings == [f"nothing found: {reason}"]
    filtered = asked.search(Query("q", filter=Eq("kind", "x")), legs=["bm25", "dense"])
    assert filtered.warnings == ["nothing found: no passage passes the filter"]


def test_a_query_longer_than_the_dense_model_reads_says_so() -> None:
    """Tokens are counted only where the text has more bytes than the model reads tokens."""
    texts = ["word " * 101, "word " * 100, "short"]
    first, second, third = Asked(engine(RUNS)).search_many(texts)
    assert first.warnings == ["the dense leg read the first 100 of the query's 101 tokens"]
    assert (second.warnings, third.warnings) == ([], [])


def test_a_query_of_too_many_clauses_is_asked_again_for_half() -> None:
    """An analyzer of n-grams, or a long filter: the engine refuses, and takes a quarter of the words."""

    def respond(request):
        answer = engine(RUNS)(request).body
        for n, body in enumerate(bodies(request)):
            if leg_of(body) is Leg.BM25 and len(str(body["query"]).split()) > 300:
                reason = "Query contains too many nested clauses; maxClauseCount is set to 1024"
                answer["responses"][n] = {"status": 400, "error": {"type": "too_many_nested_clauses", "reason": reason}}
        return Answer(200, answer)

    result = Asked(respond).search("w " * 1500)
    assert [hit.id for hit in result if Leg.BM25 in hit.legs] == ["b", "a", "c"]
    assert result.legs[Leg.BM25].failure is None
    assert "the bm25 leg searched for the first 250 words of the query" in result.warnings
    assert list(result.legs) == list(Leg)
