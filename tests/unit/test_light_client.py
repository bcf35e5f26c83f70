"""The query client without the models' libraries: BM25 answers, anything else says what to install."""

from __future__ import annotations

import sys

import pytest

from hybrid_search.encode import load_encoder
from hybrid_search.errors import MissingExtraError
from hybrid_search.search.searcher import needs_encoder
from hybrid_search.settings import DenseSettings, RerankSettings, SearchSettings, Settings, SparseSettings

INSTALL = r"needs the extra \[models\]\. Run: pip install 'hybrid-search\[models\]'"


@pytest.fixture
def without_models(monkeypatch):
    """An interpreter in which nothing of the extra [models] is installed."""
    for name in list(sys.modules):
        if name.startswith(("hybrid_search.encode.starter", "hybrid_search.encode.late", "hybrid_search.encode.bert")):
            monkeypatch.delitem(sys.modules, name)
    for library in ("torch", "transformers", "sentence_transformers", "tokenizers", "safetensors"):
        monkeypatch.setitem(sys.modules, library, None)


@pytest.mark.usefixtures("without_models")
@pytest.mark.parametrize("sparse", ["starter", "idf", "none"])
def test_a_model_without_its_libraries_names_the_extra(sparse) -> None:
    """One line with the pip command, not a traceback of an import."""
    with pytest.raises(MissingExtraError, match=INSTALL):
        load_encoder(Settings(dense=DenseSettings(), sparse=SparseSettings(model=sparse)))


def test_bm25_alone_needs_no_encoder() -> None:
    """A model is loaded for its leg or for reranking with its token states, and for nothing else."""
    bm25 = SearchSettings(legs=("bm25",))
    assert not needs_encoder(Settings(search=bm25))
    assert needs_encoder(Settings())
    assert not needs_encoder(Settings(search=SearchSettings(weights={"dense": 0, "sparse": 0})))
    assert needs_encoder(Settings(search=bm25, rerank=RerankSettings(model="late")))
