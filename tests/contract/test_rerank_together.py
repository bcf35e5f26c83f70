"""Many queries with a cross-encoder, on every engine: their pairs are scored together, and each is ranked as alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hybrid_search import SearchClient, load_encoder
from hybrid_search.encode.cross import CrossReranker
from hybrid_search.ingest import index_documents
from hybrid_search.records import Document
from hybrid_search.settings import DenseSettings, EngineSettings, RerankSettings, Settings, SparseSettings

sys.path.append(str(Path(__file__).parents[1] / "unit"))
import tiny_models as tiny

WORDS = tiny.WORDS.split()
DOCUMENTS = [Document(f"d{n}", " ".join(WORDS[(n * k) % len(WORDS)] for k in range(1, 4 + n % 7))) for n in range(30)]
QUERIES = ["so sunny today", "the weather", "he drove to the stadium"]


@pytest.fixture(scope="module")
def settings(engine_url, tmp_path_factory) -> Settings:
    folder = tmp_path_factory.mktemp("models")
    return Settings(
        dense=DenseSettings(model=str(tiny.save_bi_encoder(folder / "dense", num_hidden_layers=1)), device="cpu"),
        sparse=SparseSettings(model="none"),
        rerank=RerankSettings(model=str(tiny.save_cross_encoder(folder / "cross")), device="cpu"),
        engine=EngineSettings(url=engine_url),
    )


def test_queries_that_are_searched_together_are_ranked_as_each_is_alone(connection, index_name, settings, monkeypatch):
    """The same documents and scores; the pairs of all three queries came in two steps."""
    index = index_name()
    index_documents(DOCUMENTS, index, connection, load_encoder(settings), settings)
    with SearchClient(index, settings=settings) as client:
        alone = [client.search(query, 10, timeout=3600) for query in QUERIES]
        asked = []
        original = CrossReranker.score_pairs
        monkeypatch.setattr(CrossReranker, "score_pairs", lambda own, of: asked.append(of) or original(own, of))
        together = client.search_many(QUERIES, 10, timeout=3600)
    assert {query for query, _ in asked[0]} == {QUERIES[0]}
    assert {query for query, _ in asked[1]} == set(QUERIES)
    for one, other in zip(together, alone, strict=True):
        assert not one.degraded
        assert [hit.id for hit in one] == [hit.id for hit in other]
        assert [hit.rerank.score for hit in one] == pytest.approx([hit.rerank.score for hit in other], abs=1e-5)
