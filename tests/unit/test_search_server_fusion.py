"""A search that the server fuses: what is sent, what is kept of the answer, and what goes wrong."""

from __future__ import annotations

import pytest
from search_fakes import bodies, found, stored
from test_search_procedure import Asked

from hybrid_search.engine.protocols import Answer
from hybrid_search.errors import EngineTimeoutError, ModelError, UnsupportedError
from hybrid_search.records import Leg, Query
from hybrid_search.search import Fusion, Reranking

FUSED = [("a#1", 0.05), ("b#0", 0.04), ("a#0", 0.03)]


def server(fused=FUSED, **state):
    """Answers every search with ``fused``, and a fetch with passages."""

    def respond(request):
        return Answer(200, {"responses": [answer(body) for body in bodies(request)]})

    def answer(body):
        if "ids" in body["query"]:
            return found([stored(id_) for id_ in body["query"]["ids"]["values"]])
        return found([{"_id": id_, "_score": score} for id_, score in fused], **state)

    return respond


def test_one_search_per_query_goes_out() -> None:
    """The three legs are inside it, each as wide as the window; the plan's pipeline comes with it."""
    asked = Asked(server())
    asked.search_many(["q", "r"], fusion=Fusion("server", rank_constant=20), window=30)
    first, second = asked.sent[0]
    assert [len(body["query"]["hybrid"]["queries"]) for body in (first, second)] == [3, 3]
    assert first["query"]["hybrid"]["pagination_depth"] == first["size"] == 30
    assert first["query"]["hybrid"]["queries"][1]["knn"]["dense"]["k"] == 30
    assert "20" in str(first["search_pipeline"])


def test_the_first_passage_of_a_document_is_its_place() -> None:
    """a's second passage is first; its other one is left out, and no leg is named."""
    result = Asked(server()).search(fusion="server", k=2, window=2)
    assert [(hit.rank, hit.passage_id, hit.fused, dict(hit.legs)) for hit in result] == [
        (1, "a#1", 0.05, {}),
        (2, "b#0", 0.04, {}),
    ]
    assert (result.fusion, result.legs, result.warnings) == ("server", {}, [])
    passages = Asked(server()).search(fusion="server", collapse=False, k=3)
    assert [hit.passage_id for hit in passages] == ["a#1", "b#0", "a#0"]


def test_too_few_documents_are_said() -> None:
    """Three passages, as many as were asked for, are of two documents only."""
    result = Asked(server()).search(fusion="server", k=3, window=3)
    assert list(result.warnings) == ["the server's 3 passages are of 2 documents only: ask for a wider window"]


def test_a_leg_of_weight_zero_is_not_sent() -> None:
    """Of the three legs two have a say, with the weights that they were given, which OpenSearch wants to sum to 1."""
    asked = Asked(server())
    asked.search(fusion=Fusion("server", {Leg.BM25: 3, Leg.DENSE: 0, Leg.SPARSE: 1}))
    (body,) = asked.sent[0]
    assert [next(iter(query)) for query in body["query"]["hybrid"]["queries"]] == ["match", "bool"]
    assert "[0.75, 0.25]" in str(body["search_pipeline"])


def test_a_single_leg_is_searched_as_it_is() -> None:
    """There is nothing to fuse."""
    asked = Asked(server())
    result = asked.search(fusion="server", legs=["bm25"])
    assert "match" in asked.sent[0][0]["query"]
    assert [hit.id for hit in result] == ["a", "b"]


def test_a_query_of_no_known_term_finds_nothing() -> None:
    """No search is sent, for one without a clause would find everything."""
    asked = Asked(server())
    result = asked.search(Query("", sparse={}), fusion="server", legs=["sparse"])
    assert (len(result), asked.sent) == (0, [])
    assert list(result.warnings) == ["the sparse leg knows no term of the query"]


def test_a_model_that_fails_leaves_the_other_legs() -> None:
    """BM25 goes alone and the warning says why; where nothing is left, the model's error is raised."""

    class Broken:
        dense, sparse, max_tokens, tokenizer = Asked(server()).encoder.dense, Asked(server()).encoder.sparse, 9, None

        def encode_queries(self, _):
            raise ModelError("out of memory")

    asked = Asked(server(), encoder=Broken())
    assert "out of memory" in asked.search(fusion="server").warnings[0]
    assert "match" in asked.sent[0][0]["query"]
    with pytest.raises(ModelError, match="out of memory"):
        asked.search(fusion="server", legs=["dense", "sparse"])


def test_a_refusal_is_the_searchs() -> None:
    """Without legs there is nothing to go on with; a missing licence names the way that needs none."""
    licence = {"status": 403, "error": {"type": "security_exception", "reason": "current license is non-compliant"}}
    refused = Asked(lambda request: Answer(200, {"responses": [licence for _ in bodies(request)]}))
    with pytest.raises(UnsupportedError, match='fusion = "rrf"'):
        refused.search(fusion="server")

    def silent(_):
        raise EngineTimeoutError("no answer")

    with pytest.raises(EngineTimeoutError):
        Asked(silent).search(fusion="server")


def test_a_part_of_an_answer_is_said() -> None:
    """Shards that failed and a search that was stopped are warnings, as with legs."""
    warnings = Asked(server(timed_out=True, failed=1)).search(fusion="server").warnings
    assert list(warnings) == ["the search was stopped after 10 s with what it had", "searched without 1 of 2 shards"]


def test_what_the_server_fused_is_reranked() -> None:
    """The reranker gets the server's first hits."""

    class Last:
        name = "last"

        def score(self, _, passages):
            return [float(n) for n in range(len(passages))]

    result = Asked(server(), reranker=Last()).search(fusion="server", rerank=Reranking(2, 1.0), k=2)
    assert [hit.id for hit in result] == ["b", "a"]
