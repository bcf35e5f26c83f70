"""BEIR measures the whole search: the figures are those of ``evaluate``."""

from __future__ import annotations

import pytest
from scifact import Part, WordEncoder, evaluated, part_of_scifact

from hybrid_search.errors import QueryError, SourceError
from hybrid_search.settings import Settings

pytest.importorskip("beir")
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.base import BaseSearch

from hybrid_search.frameworks.beir import HybridIndex


@pytest.fixture(scope="module")
def part(data_folder, tmp_path_factory) -> Part:
    return part_of_scifact(data_folder, tmp_path_factory.mktemp("beir") / "part", queries=15, documents=60)


@pytest.fixture
def index(connection, index_name):
    with HybridIndex(index_name(), settings=Settings(), encoder=WordEncoder(), connection=connection) as opened:
        yield opened


def as_beir(part: Part) -> tuple[dict, dict]:
    """Corpus and queries as BEIR's loader gives them."""
    corpus = {row["_id"]: {"title": row["title"], "text": row["text"]} for row in part.rows}
    return corpus, {query.id: query.text for query in part.queries}


def test_beir_measures_what_evaluate_measures(connection, index, index_name, part) -> None:
    """``retrieve`` and ``evaluate`` of BEIR, against our own evaluation of the same documents."""
    assert isinstance(index, BaseSearch)
    retriever = EvaluateRetrieval(index, k_values=[10, 100])
    ndcg, _, recall, _ = retriever.evaluate(part.qrels, retriever.retrieve(*as_beir(part)), retriever.k_values)
    row = next(
        row for row in evaluated(connection, index_name(), part).rows if row.system.name == "bm25+dense+sparse min-max"
    )
    assert ndcg["NDCG@10"] == pytest.approx(row.scores.mean["nDCG@10"], abs=0.0005)
    assert recall["Recall@100"] == pytest.approx(row.scores.mean["R@100"], abs=0.0005)
    assert 0.3 < ndcg["NDCG@10"] < 1


def test_encoding_and_retrieving_are_two_steps(index, part, tmp_path) -> None:
    """``encode_and_retrieve`` finds what ``retrieve`` finds: the vectors are in the index, the queries in a file."""
    retriever, (corpus, queries) = EvaluateRetrieval(index, k_values=[5]), as_beir(part)
    found = retriever.encode_and_retrieve(corpus, queries, encode_output_path=str(tmp_path / "vectors"))
    assert found == retriever.retrieve(corpus, queries)
    assert {len(hits) for hits in found.values()} == {5}


def test_a_file_of_other_queries_is_refused(index, tmp_path) -> None:
    """Vectors that another model pickled are no queries of ours."""
    (tmp_path / "queries.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(SourceError, match="holds no queries that encode"):
        index.search_from_files(str(tmp_path / "queries.pkl"), [], 10)


def test_files_alone_are_nothing_to_search(index, tmp_path) -> None:
    """The collection is loaded first."""
    (tmp_path / "queries.pkl").write_text('{"q": "words"}')
    with pytest.raises(QueryError, match="no collection is open"):
        index.search_from_files(str(tmp_path / "queries.pkl"), [], 10)


def test_queries_and_documents_without_text_find_and_are_nothing(index) -> None:
    """An empty query has no hits, and an empty document is no hit; both are common in collections."""
    corpus = {"d1": {"title": "", "text": ""}, "d2": {"title": "a title", "text": ""}}
    assert index.search(corpus, {"q1": " ", "q2": "a title"}, 10, "cos_sim").keys() == {"q1", "q2"}
    found = index.search(corpus, {"q1": " ", "q2": "a title"}, 10, "cos_sim")
    assert {query: list(hits) for query, hits in found.items()} == {"q1": [], "q2": ["d2"]}
