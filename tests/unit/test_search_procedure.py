"""The whole search over an engine made of functions: what is sent, what is answered, what goes wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from search_fakes import DIALECT, PlaneEncoder, bodies, connection, engine, found, leg_of
from search_fakes import SCHEMA as PLAIN

from hybrid_search.errors import EngineTimeoutError, ModelError, QueryError, RequestRefusedError
from hybrid_search.records import Leg, LegReport, LegScore, Query, RerankScore
from hybrid_search.search import Fusion, Reranking
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.retrieve import Target
from hybrid_search.search.searcher import Searcher
from hybrid_search.search.steps import Send, run
from hybrid_search.settings import RerankSettings, SearchSettings, Settings

SCHEMA = replace(PLAIN, keyword_fields=("kind",))

RUNS = {
    Leg.BM25: [("a#0", 12.0), ("b#1", 8.0), ("c#0", 4.0)],
    Leg.DENSE: [("b#0", 0.9), ("d#0", 0.8), ("a#2", 0.5)],
    Leg.SPARSE: [("b#1", 6.0), ("a#0", 3.0)],
}


class Lengths:
    """A reranker that likes late letters."""

    name = "late letters"

    def score(self, query, passages):
        assert query == "q"
        return np.array([ord(passage.removeprefix("text of ")[0]) for passage in passages], dtype=np.float32)


class Asked:
    """A searcher over functions, and what it sent."""

    def __init__(self, respond, *, schema=SCHEMA, settings=None, encoder=None, reranker=None) -> None:
        self.connection = connection(respond)
        self.encoder = PlaneEncoder() if encoder is None else encoder
        self.searcher = Searcher(Target("docs", DIALECT, schema), settings or Settings(), self.encoder, reranker)

    def search(self, query="q", k=None, **options):
        return self.search_many([query], k, **options)[0]

    def search_many(self, queries, k=None, *, return_errors=False, **options):
        steps = self.searcher.search(queries, SearchRequest.of(k, **options), return_errors=return_errors)
        return run(steps, self.carry_out)

    def carry_out(self, step):
        return self.connection.send(step.request) if isinstance(step, Send) else self.searcher.ask_model(step)

    @property
    def sent(self):
        return [bodies(request) for request in self.connection.transport.requests]


def test_three_legs_go_in_one_request_and_shown_passages_in_a_second() -> None:
    """Two round trips: ids and scores of all legs, then what is shown."""
    asked = Asked(engine(RUNS))
    asked.search(k=2)
    legs, fetch = asked.sent
    assert [leg_of(body) for body in legs] == [Leg.BM25, Leg.DENSE, Leg.SPARSE]
    assert [body["size"] for body in legs] == [200, 200, 200]
    assert fetch[0]["query"] == {"ids": {"values": ["b#0", "a#0"]}}


def test_a_hit_carries_its_reasons() -> None:
    """Rank, score and contribution per leg; the shown passage is that of the leg which contributed most."""
    result = Asked(engine(RUNS)).search(fusion="rrf", k=1)
    hit = result.hits[0]
    assert (hit.rank, hit.id, hit.passage_id, hit.start, hit.end) == (1, "b", "b#0", 0, 5)
    assert (hit.text, hit.fields) == ("text of b#0", {"n": 1})
    assert hit.legs == {
        Leg.BM25: LegScore(2, 8.0, 1 / 62),
        Leg.DENSE: LegScore(1, 0.9, 1 / 61),
        Leg.SPARSE: LegScore(1, 6.0, 1 / 61),
    }
    assert hit.score == hit.fused == pytest.approx(1 / 62 + 1 / 61 + 1 / 61)
    assert result.legs[Leg.BM25] == LegReport(hits=3, took_ms=3.0)
    assert result.fusion == "rrf"
    assert set(result.took_ms) == {"encode", "retrieve", "fuse", "fetch", "rerank", "total"}


def test_a_leg_that_ran_out_of_matches_is_scaled_from_zero() -> None:
    """Three matches in a window of a hundred: what BM25 did not find scored 0, and its last match more than that."""
    hits = {hit.id: hit for hit in Asked(engine(RUNS)).search(legs=["bm25"])}
    assert hits["c"].score == pytest.approx(4 / 12)


def test_a_leg_that_was_late_is_scaled_from_its_last_hit() -> None:
    """Nobody knows what it would have found."""
    late = found([{"_id": id_, "_score": score} for id_, score in RUNS[Leg.BM25]], timed_out=True)
    hits = {hit.id: hit for hit in Asked(engine(RUNS, {Leg.BM25: late})).search(legs=["bm25"])}
    assert hits["c"].score == 0


def test_ranks_are_ranks_of_documents() -> None:
    """Passages of one document take one rank, where its best passage stands."""
    runs = {Leg.BM25: [("a#0", 9.0), ("a#1", 8.0), ("a#2", 7.0), ("b#0", 6.0)]}
    result = Asked(engine(runs)).search(legs=["bm25"])
    assert [(hit.id, hit.legs[Leg.BM25].rank) for hit in result] == [("a", 1), ("b", 2)]


def test_passages_can_be_ranked_themselves() -> None:
    """Without collapsing, every passage is a hit of its document."""
    runs = {Leg.BM25: [("a#0", 9.0), ("a#1", 8.0)]}
    result = Asked(engine(runs)).search(legs=["bm25"], collapse=False)
    assert [(hit.id, hit.passage_id) for hit in result] == [("a", "a#0"), ("a", "a#1")]


def test_a_window_that_one_document_fills_is_asked_for_again() -> None:
    """Documents count, not passages: four times more passages are fetched until the window is full."""
    runs = {Leg.BM25: [*((f"long#{n}", 100.0 - n) for n in range(30)), ("short#0", 1.0), ("other#0", 0.5)]}
    asked = Asked(engine(runs))
    result = asked.search(k=3, legs=["bm25"], window=3, candidates=5)
    assert [hit.id for hit in result] == ["long", "short", "other"]
    assert [body["size"] for request in asked.sent[:-1] for body in request] == [5, 20, 80]


def test_only_unfilled_legs_are_asked_again() -> None:
    """A leg that has its window, or has no more to give, is left alone."""
    runs = {
        Leg.BM25: [("a#0", 3.0), ("a#1", 2.0), ("b#0", 1.0)],
        Leg.SPARSE: [("a#0", 3.0), ("b#0", 2.0), ("c#0", 1.0)],
    }
    asked = Asked(engine(runs))
    asked.search(k=1, legs=["bm25", "sparse"], window=2, candidates=2)
    assert [[leg_of(body) for body in request] for request in asked.sent[:-1]] == [
        [Leg.BM25, Leg.SPARSE],
        [Leg.BM25],
    ]


def test_the_page_starts_at_the_offset() -> None:
    """Ranks go on where the page before ended."""
    asked = Asked(engine(RUNS))
    whole, page = asked.search(k=4), asked.search(k=2, offset=2)
    assert [(hit.rank, hit.id) for hit in page] == [(hit.rank, hit.id) for hit in whole.hits[2:]]


def test_many_queries_share_encoding_and_requests() -> None:
    """Two queries take one encoding and two requests, and are answered in order."""
    asked = Asked(engine(RUNS))
    results = asked.search_many(["q", Query("r", id="second")])
    assert asked.encoder.texts == [["q", "r"]]
    assert [len(request) for request in asked.sent] == [6, 2]
    assert [result.query.text for result in results] == ["q", "r"]
    assert results[1].query.id == "second"


def test_given_vectors_are_not_encoded_again() -> None:
    """A query that brings its vectors never reaches the encoder."""
    asked = Asked(engine(RUNS))
    asked.search(Query("q", dense=np.array([0.0, 2.0], dtype=np.float32), sparse={"z": 2.0}))
    legs = asked.sent[0]
    assert asked.encoder.texts == []
    assert legs[1]["query"]["knn"]["dense"]["vector"] == [0.0, 2.0]
    assert legs[2]["query"]["bool"]["should"] == [{"rank_feature": {"field": "sparse.z", "linear": {}, "boost": 2.0}}]


def test_one_missing_vector_is_encoded_and_the_given_one_kept() -> None:
    """The dense vector is made, the sparse one is the caller's."""
    asked = Asked(engine(RUNS))
    asked.search(Query("q", sparse={"z": 2.0}))
    assert asked.sent[0][1]["query"]["knn"]["dense"]["vector"] == [1.0, 0.0]
    assert asked.sent[0][2]["query"]["bool"]["should"][0]["rank_feature"]["field"] == "sparse.z"


def test_reranking_is_combined_and_shown() -> None:
    """The first two hits are reranked half and half with their fused score, and say so."""
    settings = Settings(rerank=RerankSettings(window=2, weight=0.75))
    result = Asked(engine(RUNS), settings=settings, reranker=Lengths()).search(k=3)
    plain = Asked(engine(RUNS)).search(k=3)
    assert [hit.id for hit in plain] == ["b", "a", "d"]
    assert [hit.id for hit in result] == ["b", "a", "d"]
    assert result.hits[0].rerank == RerankScore(rank_before=1, score=float(ord("b")), combined=1.0)
    assert result.hits[2].rerank is None
    assert result.reranker == "late letters"


def test_reranking_can_replace_or_be_left_out() -> None:
    """A weight of 1 leaves the order to the reranker; False to the fusion."""
    asked = Asked(engine(RUNS), reranker=Lengths())
    assert [hit.id for hit in asked.search(rerank=Reranking(window=4, weight=1.0))] == ["d", "c", "b", "a"]
    assert [hit.id for hit in asked.search(rerank=False)] == ["b", "a", "d", "c"]


def test_a_leg_of_weight_zero_is_neither_encoded_nor_sent() -> None:
    """BM25 alone has a say: no vector is made, one search goes out, and the label names no other leg."""
    asked = Asked(engine(RUNS))
    result = asked.search(fusion=Fusion("rrf", {Leg.BM25: 2, Leg.DENSE: 0, Leg.SPARSE: 0}))
    assert asked.encoder.texts == []
    assert [leg_of(body) for body in asked.sent[0]] == [Leg.BM25]
    assert [hit.id for hit in result] == ["a", "b", "c"]
    assert (result.fusion, set(result.legs)) == ("rrf bm25=2", {Leg.BM25})


def test_the_label_names_the_legs_that_searched() -> None:
    """The weight of a leg that did not search, or failed, is no part of how the hits were ranked."""
    settings = Settings(search=SearchSettings(weights={"sparse": 0.6}))
    assert Asked(engine(RUNS), settings=settings).search().fusion == "min-max sparse=0.6"
    assert Asked(engine(RUNS), settings=settings).search(legs=["bm25"]).fusion == "min-max"
    failing = Asked(engine(RUNS, {Leg.SPARSE: REFUSED}), settings=settings)
    assert failing.search().fusion == "min-max"


REFUSED = {"error": {"type": "parse_exception", "reason": "no such thing"}, "status": 400}


def test_a_leg_that_fails_leaves_the_others() -> None:
    """The answer is that of the other legs; the failure is in the report and the warnings."""
    result = Asked(engine(RUNS, {Leg.SPARSE: REFUSED})).search()
    assert [hit.id for hit in result] == ["b", "a", "d", "c"]
    assert "no such thing" in result.legs[Leg.SPARSE].failure
    assert result.warnings == [f"the sparse leg failed: {result.legs[Leg.SPARSE].failure}"]
    assert Leg.SPARSE not in result.hits[0].legs


def test_all_legs_failing_is_an_error() -> None:
    """Nothing was searched: the first leg's error is raised."""
    with pytest.raises(RequestRefusedError, match="no such thing"):
        Asked(engine(RUNS, dict.fromkeys(Leg, REFUSED))).search()


def test_a_late_leg_is_flagged_and_used() -> None:
    """What a leg had when its time was up counts, and the result says so."""
    late = found([{"_id": "a#0", "_score": 1.0}], timed_out=True)
    result = Asked(engine(RUNS, {Leg.BM25: late})).search()
    assert result.legs[Leg.BM25].timed_out
    assert result.warnings == ["the bm25 leg was stopped after 10 s with what it had"]


def test_a_failed_shard_is_flagged() -> None:
    """Hits of the other shards count, and the result says so."""
    partial = found([{"_id": "a#0", "_score": 1.0}], failed=1)
    result = Asked(engine(RUNS, {Leg.BM25: partial})).search()
    assert result.warnings == ["the bm25 leg searched without 1 of 2 shards"]


def test_an_encoder_that_fails_leaves_bm25() -> None:
    """Legs that need vectors have failed; words still find."""

    class Broken(PlaneEncoder):
        def encode_queries(self, texts):
            del texts
            raise ModelError("the model server is away")

    result = Asked(engine(RUNS), encoder=Broken()).search()
    assert [hit.id for hit in result] == ["a", "b", "c"]
    assert result.legs[Leg.DENSE].failure == result.legs[Leg.SPARSE].failure == "the model server is away"


def test_no_answer_at_all_is_an_error() -> None:
    """When the request itself fails there is nothing to fuse."""

    def respond(request):
        del request
        raise EngineTimeoutError("no answer in 12 s")

    with pytest.raises(EngineTimeoutError):
        Asked(respond).search()


def test_an_unfilled_window_is_better_than_none() -> None:
    """When asking for more fails, what was found is used and the result says so."""
    runs = {Leg.BM25: [(f"a#{n}", 9.0 - n) for n in range(9)]}
    first = engine(runs)

    def respond(request):
        searches = bodies(request)
        if leg_of(searches[0]) and searches[0]["size"] > 4:
            raise EngineTimeoutError("no answer in 12 s")
        return first(request)

    result = Asked(respond).search(k=1, legs=["bm25"], window=2, candidates=4)
    assert [hit.id for hit in result] == ["a"]
    assert result.warnings == ["the window of the bm25 leg was not filled: no answer in 12 s"]


def test_a_query_of_unknown_terms_searches_no_sparse_leg() -> None:
    """No clause at all would match everything."""
    asked = Asked(engine(RUNS))
    result = asked.search("42")
    assert [leg_of(body) for body in asked.sent[0]] == [Leg.BM25, Leg.DENSE]
    assert result.legs[Leg.SPARSE] == LegReport(hits=0, took_ms=0.0)
    assert result.warnings == ["the sparse leg knows no term of the query"]


def test_queries_beyond_the_clause_limit_are_cut_and_say_so() -> None:
    """The first thousand words and the heaviest thousand terms search."""
    asked = Asked(engine(RUNS))
    terms = {str(n): 1.0 + n for n in range(1001)}
    result = asked.search(Query("word " * 1001, sparse=terms))
    bm25, _, sparse = asked.sent[0]
    assert len(bm25["query"]["match"]["text"]["query"].split()) == 1000
    assert len(sparse["query"]["bool"]["should"]) == 1000
    assert "sparse.0" not in str(sparse)
    assert result.warnings == [
        "the dense leg read the first 100 of the query's 1,001 tokens",
        "the bm25 leg searched for the first 1,000 words of the query",
        "the sparse leg searched for the 1,000 heaviest of 1,001 terms",
    ]


def test_nothing_found_is_an_empty_result() -> None:
    """No fetch, no rerank, no hits, and the reason: every passage has a vector, so there is none."""
    asked = Asked(engine({}), reranker=Lengths())
    result = asked.search()
    assert list(result) == []
    assert len(asked.sent) == 1
    assert result.warnings == ["nothing found: the index is empty"]


def test_exact_search_compares_with_every_vector() -> None:
    """The dense leg is the dialect's exact one."""
    asked = Asked(engine(RUNS))
    asked.search(legs=["bm25", "dense"], exact=True)
    vector = np.array([1.0, 0.0], dtype=np.float32)
    assert asked.sent[0][1]["query"] == DIALECT.exact_dense_search(vector, filter=None)["query"]


def test_the_graph_is_searched_as_wide_as_asked() -> None:
    """``candidates`` is the number of passages and the width of the graph search."""
    asked = Asked(engine(RUNS))
    asked.search(candidates=400)
    knn = asked.sent[0][1]["query"]["knn"]["dense"]
    assert (knn["k"], knn["method_parameters"]) == (400, {"ef_search": 400})


def test_a_leg_that_the_index_lacks_is_not_searched_by_default() -> None:
    """The settings name three legs; the index has one."""
    asked = Asked(engine(RUNS), schema=replace(SCHEMA, dense=None, sparse=None))
    assert set(asked.search().legs) == {Leg.BM25}


BAD = [
    ("", {}, "the query is empty"),
    (" \n", {}, "the query is empty"),
    ("q", {"k": 0}, "k is 0"),
    ("q", {"k": 101, "window": 100}, "101 hits from 0 reach beyond the window of 100"),
    ("q", {"k": 10, "offset": 95, "window": 100}, "10 hits from 95 reach beyond the window"),
    ("q", {"k": 10_001}, "10001 hits from 0 reach beyond the window of 10000"),
    ("q", {"offset": -1}, "the offset is -1"),
    ("q", {"windw": 10}, "unknown option 'windw'. Did you mean window?"),
    ("q", {"window": 10_001}, "a window of 10001 hits"),
    ("q", {"window": 0}, "a window of 0 hits"),
    ("q", {"candidates": 99}, "99 candidates for a window of 100"),
    ("q", {"legs": []}, "no leg is named"),
    ("q", {"legs": [Query]}, "is no leg"),
    ("q", {"legs": ["bm52"]}, "unknown leg 'bm52'. Did you mean bm25?"),
    ("q", {"fusion": "borda"}, "unknown fusion 'borda'"),
    ("q", {"fusion": Fusion("rrf", {Leg.BM25: 1.0})}, "the weights name no dense and no sparse leg"),
    ("q", {"rerank": True}, "no reranker is loaded"),
    (Query("q", dense=np.zeros(2, np.float32)), {}, "a dense vector that is zero"),
    (Query("q", dense=np.array([1, np.nan], np.float32)), {}, "zero or not finite"),
    (Query("q", dense=np.ones(3, np.float32), id="7"), {}, "query 7: a dense vector of shape (3,)"),
    (Query("q", sparse={"a": 0.0}), {}, "the term 'a' with the weight 0.0"),
    (Query("", dense=np.ones(2, np.float32)), {}, "the query is empty"),
]


@pytest.mark.parametrize(("query", "options", "message"), BAD)
def test_a_bad_query_is_refused_before_anything_is_sent(query, options, message) -> None:
    """What, and what to do instead; exit status 2; no request."""
    asked = Asked(engine(RUNS))
    with pytest.raises(QueryError) as raised:
        asked.search(query, **options)
    assert message in str(raised.value)
    assert raised.value.remedy
    assert raised.value.exit_status == 2
    assert asked.sent == []


def test_a_leg_without_vectors_in_the_index_is_refused_when_named() -> None:
    """Asking for it by name is an error, with the legs that there are."""
    asked = Asked(engine(RUNS), schema=replace(SCHEMA, sparse=None))
    with pytest.raises(QueryError, match=r"no vectors for the sparse leg\. It has: bm25, dense\."):
        asked.search(legs=["sparse"])


def test_a_leg_without_an_encoder_needs_the_vector() -> None:
    """Without a dense model the query must carry its vector."""
    no_models = Settings(search=SearchSettings(legs=("dense",)))
    asked = Asked(engine(RUNS), settings=no_models)
    asked.searcher = replace(asked.searcher, encoder=None)
    with pytest.raises(QueryError, match="the dense leg has no encoder"):
        asked.search()
    assert [hit.id for hit in asked.search(Query("", dense=np.ones(2, np.float32)))] == ["b", "d", "a"]
