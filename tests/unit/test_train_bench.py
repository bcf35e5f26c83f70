"""A leg measured in memory: the scores of engines, documents by their best passage, fusion as in a search."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid_search.encode.finetune.records import Corpus
from hybrid_search.encode.finetune.scores import as_stored, dense_scores, sparse_scores
from hybrid_search.records import Query
from hybrid_search.search import Fusion
from hybrid_search.search.collapse import Best
from hybrid_search.search.outcomes import Found
from hybrid_search.search.retrieved import LegRun, Retrieved
from hybrid_search.train.bench import Bench, changes, is_better
from hybrid_search.train.records import Judged

CORPUS = Corpus(
    ids=["a#0", "a#1", "b#0", "c#0"],
    documents=["a", "a", "b", "c"],
    texts=["", "", "", ""],
    titles=["", "", "", ""],
    total=4,
)


def bench(bm25, relevant, *, leg="dense", window=10, identical=False):
    query = Query("q", id="q")
    run = LegRun({id_: Best(id_, f"{id_}#0", score) for id_, score in bm25})
    judged = Judged([query], {"q": {relevant: 1}}, identical=identical)
    retrieved = [Retrieved(query, {"bm25": Found(run), leg: Found(LegRun())})]
    return Bench(judged, retrieved, CORPUS, Fusion("rrf"), ("bm25", leg), leg, window)


def test_dense_scores_are_those_of_the_engines():
    """(1 + cosine) / 2, whatever the length of the vectors."""
    scores = dense_scores(
        np.array([[2.0, 0.0]], np.float32), np.array([[3.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], np.float32)
    )
    assert scores.tolist() == [[1.0, 0.5, 0.0]]


def test_sparse_scores_are_dot_products():
    """Terms that only one of the two has add nothing."""
    scores = sparse_scores([{"1": 2.0, "7": 9.0}, {}], [{"1": 0.5, "2": 1.0}, {"2": 4.0}])
    assert scores.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_sparse_weights_are_those_that_an_index_keeps():
    """Eight bits behind the first: 1 + 2 ** -8 is kept, 1 + 2 ** -9 is cut to 1."""
    weights = np.array([1 + 2**-8, 1 + 2**-9, 0.5], np.float32)
    assert as_stored(weights).tolist() == [1 + 2**-8, 1.0, 0.5]


def test_a_document_stands_where_its_best_passage_does():
    """The second passage of a is best, so that a is found at the first rank."""
    one = bench([], "a")
    found = one.measured(np.array([[0.1, 0.9, 0.5, 0.2]], np.float32))
    assert found["dense"].mean["nDCG@10"] == 1.0


def test_fusion_is_the_one_of_searches():
    """bm25 ranks b, c; dense a, b: by reciprocal ranks b is first, a second, so nDCG of a is 1 / log2(3)."""
    one = bench([("b", 2.0), ("c", 1.0)], "a", window=2)
    found = one.measured(np.array([[0.9, 0.1, 0.5, 0.2]], np.float32))
    assert found["fused"].mean["nDCG@10"] == pytest.approx(1 / np.log2(3))


def test_a_sparse_leg_finds_nothing_without_a_common_term():
    """As the engine does: a score of 0 is no hit."""
    one = bench([], "c", leg="sparse")
    found = one.measured(np.array([[1.0, 0.0, 0.0, 0.0]], np.float32))
    assert found["sparse"].mean["nDCG@10"] == 0.0


def test_the_query_itself_is_no_answer():
    """Where the document with its id is to be left out."""
    query = Query("q", id="a")
    judged = Judged([query], {"a": {"b": 1}}, identical=True)
    retrieved = [Retrieved(query, {"dense": Found(LegRun())})]
    one = Bench(judged, retrieved, CORPUS, Fusion("rrf"), ("dense",), "dense", 10)
    assert one.measured(np.array([[0.9, 0.9, 0.5, 0.2]], np.float32))["dense"].mean["nDCG@10"] == 1.0


def test_what_the_index_found_is_measured_in_the_same_way():
    """A leg of the index takes the place of the one that is trained."""
    one = bench([("b", 2.0)], "c")
    found = [Retrieved(Query("q", id="q"), {"dense": Found(LegRun({"c": Best("c", "c#0", 0.9)}))})]
    assert one.found(found)["dense"].mean["nDCG@10"] == 1.0


def scores_of(values):
    from hybrid_search.evaluate.measures import Scores

    by_query = {str(number): value for number, value in enumerate(values)}
    return Scores({"nDCG@10": sum(values) / len(values)}, {"nDCG@10": by_query})


def test_it_is_better_only_beyond_chance():
    """Twenty queries that all gain are no chance; ten that gain and ten that lose are."""
    before = {"dense": scores_of([0.5] * 20), "fused": scores_of([0.5] * 20)}
    gained = {name: scores_of([0.6] * 20) for name in before}
    mixed = {name: scores_of([0.6] * 11 + [0.4] * 9) for name in before}
    bm25 = {"bm25": scores_of([0.3] * 20)}
    told = changes(bm25, before, gained)
    assert [one.system for one in told] == ["bm25", "dense", "fused"]
    assert told[0].comparison is None
    assert told[2].comparison.difference == pytest.approx(0.1)
    assert is_better(told)
    assert not is_better(changes(bm25, before, mixed))
    assert not is_better(changes(bm25, gained, before))
