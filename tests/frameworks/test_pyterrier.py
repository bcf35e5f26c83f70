"""PyTerrier: its own checks of transformers, pipelines with every operator, and the figures of our own evaluation."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterator, Sequence

import ir_measures
import numpy as np
import pandas as pd
import pyterrier as pt
import pytest
from loading import GeneratedEncoder

from hybrid_search import Document, DocumentClient, SearchClient
from hybrid_search.engine import Connection
from hybrid_search.engine.indices import delete_index
from hybrid_search.errors import IndexMissingError, ModelError, QueryError
from hybrid_search.evaluate.measures import measure
from hybrid_search.frameworks.pyterrier import HybridReranker, HybridRetriever, judgements, topics

# PyTerrier uses pandas as pandas 3.1 begins to advise against.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

WORDS = ("tea", "green", "black", "cup", "pot", "leaf")
QUERIES = {"1": "green tea", "2": "black pot", "3": "cup leaf tea"}


def text_of(number: int) -> str:
    return " ".join(word for place, word in enumerate(WORDS) if number >> place & 1) or "nothing"


QRELS = {
    id_: {f"d{n}": n % 3 for n in range(64) if set(words.split()) & set(text_of(n).split())}
    for id_, words in QUERIES.items()
}


class Longest:
    """A reranker for which the longest passage is the best, and even ones are even."""

    name = "longest"

    def score(self, query: str, passages: Sequence[str]) -> np.ndarray:
        del query
        return np.array([len(passage.split()) for passage in passages], np.float32)


@pytest.fixture(scope="module")
def client(connection: Connection) -> Iterator[SearchClient]:
    """Sixty-four documents of six words, with vectors of their hash."""
    name = f"pyterrier-{id(connection):x}"
    with DocumentClient(name, encoder=GeneratedEncoder(), connection=connection) as documents:
        documents.put(Document(f"d{n}", text_of(n), {"number": n}) for n in range(64))
    with SearchClient(name, encoder=GeneratedEncoder(), connection=connection) as opened:
        yield opened
    delete_index(connection, name)


@pytest.mark.parametrize("make", [HybridRetriever, lambda _: HybridReranker(Longest())], ids=["search", "rerank"])
def test_pyterriers_own_checks(
    client: SearchClient, make: Callable[[SearchClient], pt.Transformer], monkeypatch
) -> None:
    """``TransformerTestCase``, whole: what goes in, what comes out, and how it is drawn."""
    monkeypatch.setenv("PT_TEST_TRANSFORMER_REPORTS", "0")
    case = pt.testing.transformer_test_class(lambda: make(client))
    assert issubclass(case, pt.testing.TransformerTestCase)
    outcome = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(outcome)
    assert (outcome.testsRun, outcome.failures, outcome.errors) == (2, [], [])


def test_an_experiment_gives_the_figures_of_our_own_evaluation(client: SearchClient) -> None:
    """Each measure of each system, to the last digit that PyTerrier shows: of the legs alone, fused, and reranked."""
    names = ["nDCG@10", "RR@10", "R@100", "P@5"]
    ways = [{"legs": ["bm25"]}, {"fusion": "rrf"}, {"fusion": "min-max"}, {"fusion": "rrf", "k": 5}]
    systems = [HybridRetriever(client, **way) for way in ways]
    measures = [ir_measures.parse_measure(name) for name in names]
    found = pt.Experiment(systems, topics(QUERIES), judgements(QRELS), measures, names=[str(way) for way in ways])
    for way, row in zip(ways, found.to_dict("records"), strict=True):
        options = {"k": 100, **way}
        results = client.search_many(list(QUERIES.values()), **options)
        pairs = zip(QUERIES, results, strict=True)
        rankings = {id_: [(hit.id, hit.score) for hit in result.hits] for id_, result in pairs}
        ours = measure(QRELS, rankings, names).mean
        assert {name: row[name] for name in names} == pytest.approx({name: ours[name] for name in names}, abs=1e-12)


def test_a_cutoff_asks_for_less_of_the_same_ranking(client: SearchClient) -> None:
    """``% 3`` of the retriever is the beginning of what it gives without; compiled, it is a retriever of three."""
    retriever = HybridRetriever(client, k=50, fusion="min-max")
    whole, cut = retriever(topics(QUERIES)), (retriever % 3)(topics(QUERIES))
    fused = (retriever % 3).compile()
    assert isinstance(fused, HybridRetriever)
    assert (fused.k, retriever.fuse_rank_cutoff(90) is retriever) == (3, True)
    beginning = whole[whole["rank"] < 3].reset_index(drop=True)
    pd.testing.assert_frame_equal(cut, beginning)
    pd.testing.assert_frame_equal(fused(topics(QUERIES)), beginning)


def test_transformers_are_composed(client: SearchClient) -> None:
    """Reranked with ``>>``, scores added with ``+``; columns of the queries and fields of the documents stay."""
    bm25, hybrid = HybridRetriever(client, legs=["bm25"], k=20), HybridRetriever(client, k=20, fields=["number"])
    asked = topics(QUERIES).assign(query_topic="tea")
    reranked = (hybrid % 10 >> HybridReranker(Longest()))(asked)
    assert list(reranked.columns) == ["qid", "query", "query_topic", "docno", "text", "number", "score", "rank"]
    first = reranked[reranked["qid"] == "1"]
    lengths = [len(text.split()) for text in first["text"]]
    assert lengths == sorted(lengths, reverse=True)
    assert list(first["rank"]) == list(range(10))
    assert all(int(number) == int(docno[1:]) for number, docno in zip(first["number"], first["docno"], strict=True))
    summed = (bm25 + hybrid)(topics({"1": "green tea"}))
    alone = bm25(topics({"1": "green tea"})).set_index("docno")["score"]
    both = hybrid(topics({"1": "green tea"})).set_index("docno")["score"]
    best = summed.sort_values("score", ascending=False).iloc[0]
    assert best["score"] == pytest.approx(alone.get(best["docno"], 0) + both.get(best["docno"], 0))


def test_queries_may_bring_vectors(client: SearchClient) -> None:
    """A column ``query_vec`` is searched as it is."""
    vector = GeneratedEncoder().encode_queries([text_of(5)]).dense[0]
    asked = topics({"1": "whatever"}).assign(query_vec=[vector])
    assert HybridRetriever(client, legs=["dense"], k=1)(asked)["docno"].tolist() == ["d5"]


def test_a_pipeline_takes_one_query(client: SearchClient) -> None:
    """``search`` and no query at all: one answer, and none."""
    assert set(HybridRetriever(client, legs=["bm25"], k=2).search("green tea")["qid"]) == {"1"}
    empty = HybridRetriever(client)(topics({}))
    assert (len(empty), list(empty.columns)) == (0, ["qid", "query", "docno", "score", "rank", "text"])


def test_mistakes_are_named(client: SearchClient, connection: Connection) -> None:
    """An option, a missing column, an index, a model."""
    with pytest.raises(QueryError, match="Did you mean window"):
        HybridRetriever(client, windwo=5)
    with pytest.raises(pt.validate.InputValidationError, match="query"):
        HybridRetriever(client)(pd.DataFrame([["1"]], columns=["qid"]))
    with pytest.raises(IndexMissingError):
        HybridRetriever("no-such-index-here", connection=connection, encoder=GeneratedEncoder())
    with pytest.raises(ModelError, match="no reranker"):
        HybridReranker.of("none")


def test_no_java_is_started() -> None:
    """PyTerrier starts it for its own transformers only."""
    assert not pt.java.started()
