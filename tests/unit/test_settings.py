"""Ranges and contradictions of settings, and what they show of themselves."""

import io

import msgspec
import pytest
from rich.console import Console

from hybrid_search.errors import SettingsError
from hybrid_search.settings import (
    ChunkingSettings,
    DenseSettings,
    DocumentSettings,
    EngineSettings,
    RerankSettings,
    SearchSettings,
    Settings,
    SparseSettings,
)

REFUSED = [
    (DocumentSettings, {"id": ""}, "documents.id: is empty. Name the field that holds the document's id"),
    (DocumentSettings, {"text": ()}, "documents.text: names no field. Name at least one field that holds text"),
    (DocumentSettings, {"keyword": ("a",), "date": ("a",)}, "documents.date: 'a' is also in documents.keyword"),
    (DocumentSettings, {"dense": "text"}, "documents.dense: 'text' is also documents.text"),
    (DocumentSettings, {"dense": "v", "sparse": "v"}, "documents.sparse: 'v' is also documents.dense"),
    (DocumentSettings, {"number": ("",)}, "documents.number: holds an empty name"),
    (ChunkingSettings, {"max_tokens": 0}, "chunking.max_tokens: must be at least 1, got 0"),
    (ChunkingSettings, {"overlap": -1}, "chunking.overlap: must be at least 0, got -1"),
    (
        ChunkingSettings,
        {"max_tokens": 32},
        "chunking.overlap: must be less than chunking.max_tokens (32), got 32",
    ),
    (DenseSettings, {"model": " "}, 'dense.model: is empty. Give a name or a path, or "none"'),
    (DenseSettings, {"batch_size": 0}, "dense.batch_size: must be at least 1, got 0"),
    (DenseSettings, {"dimension": 16_001}, "dense.dimension: must be between 1 and 16000, got 16001"),
    (
        DenseSettings,
        {"model": "precomputed"},
        (
            "dense.dimension: is needed for precomputed vectors. "
            "Give the number of components of the vectors that the documents carry"
        ),
    ),
    (SparseSettings, {"max_terms": 0}, "sparse.max_terms: must be at least 1, got 0"),
    (RerankSettings, {"weight": 1.5}, "rerank.weight: must be between 0 and 1, got 1.5"),
    (RerankSettings, {"window": 0}, "rerank.window: must be at least 1, got 0"),
    (SearchSettings, {"legs": ()}, "search.legs: names no leg. Name at least one of bm25, dense, sparse"),
    (SearchSettings, {"legs": ("knn",)}, "search.legs: must be one of bm25, dense, sparse, got 'knn'"),
    (SearchSettings, {"legs": ("bm25", "bm25")}, "search.legs: names a leg twice"),
    (SearchSettings, {"k": 0}, "search.k: must be between 1 and 10000, got 0"),
    (SearchSettings, {"window": 10_001}, "search.window: must be between 1 and 10000, got 10001"),
    (
        SearchSettings,
        {"k": 200},
        "search.k: asks for 200 hits, more than each leg fetches (search.window is 100). Raise search.window",
    ),
    (
        SearchSettings,
        {"candidates": 99},
        "search.candidates: must be between search.window (100) and 10000, got 99",
    ),
    (
        SearchSettings,
        {"fusion": "max"},
        "search.fusion: must be one of rrf, min-max, z-score, theoretical-min, server, got 'max'",
    ),
    (SearchSettings, {"weights": {"knn": 1.0}}, "search.weights: must be one of bm25, dense, sparse, got 'knn'"),
    (SearchSettings, {"weights": {"bm25": -1.0}}, "search.weights.bm25: must be at least 0, got -1.0"),
    (SearchSettings, {"weights": {"bm25": float("nan")}}, "search.weights.bm25: must be at least 0, got nan"),
    (
        SearchSettings,
        {"legs": ("bm25",), "weights": {"bm25": 0.0}},
        "search.weights: gives every leg of search.legs (bm25) the weight 0",
    ),
    (SearchSettings, {"timeout": 0.0}, "search.timeout: must be more than 0 and at most 86,400 seconds, got 0.0"),
    (EngineSettings, {"kind": "solr"}, "engine.kind: must be one of opensearch, elasticsearch, got 'solr'"),
    (
        EngineSettings,
        {"url": "https://a:1,b:2"},
        "engine.url: must begin with http:// or https://, got 'b:2'. Write it as https://host:port",
    ),
    (
        EngineSettings,
        {"url": "https://a:1", "cloud_id": "c"},
        "engine.cloud_id: and engine.url are both given. Give one",
    ),
    (
        EngineSettings,
        {"api_key": "k", "bearer": "b"},
        "engine.bearer: only one way to log in can be used, but api_key and bearer are given. Keep one",
    ),
    (EngineSettings, {"password": "p"}, "engine.password: is given without engine.user"),
    (EngineSettings, {"client_key": "k"}, "engine.client_key: is given without engine.client_cert"),
    (EngineSettings, {"bm25_b": 1.1}, "engine.bm25_b: must be between 0 and 1, got 1.1"),
    (EngineSettings, {"hnsw_ef_construction": 8}, "engine.hnsw_ef_construction: must be at least 16, got 8"),
    (EngineSettings, {"shards": 0}, "engine.shards: must be at least 1, got 0"),
]


@pytest.mark.parametrize(("section", "values", "message"), REFUSED)
def test_values_out_of_range_or_in_contradiction_are_refused_by_name(section, values, message):
    """Every refusal names the key, what it must be and what it was."""
    with pytest.raises(SettingsError) as caught:
        section(**values)
    assert str(caught.value) == message


def test_replacing_a_value_checks_it_again():
    """A flag that is put into a section later meets the same rules."""
    with pytest.raises(SettingsError, match=r"search\.k"):
        msgspec.structs.replace(SearchSettings(), k=0)


def test_only_legs_that_are_indexed_can_be_searched():
    """Searching nothing but a leg without a model is a contradiction between two sections."""
    with pytest.raises(SettingsError, match=r"search\.legs: names only legs that are switched off \(dense\)"):
        Settings(search=SearchSettings(legs=("dense",)), dense=DenseSettings(model="none"))
    Settings(search=SearchSettings(legs=("dense", "bm25")), dense=DenseSettings(model="none"))


def test_late_interaction_needs_the_dense_model():
    """MaxSim reads the token states of a model that must not be switched off."""
    with pytest.raises(SettingsError, match=r"rerank\.model"):
        Settings(rerank=RerankSettings(model="late"), dense=DenseSettings(model="none"))


def test_secrets_are_masked_in_every_representation():
    """Neither repr nor rich nor an f-string shows a password, a key, or credentials inside an address."""
    engine = EngineSettings(url="https://me:geheim@a:1,http://b:2", user="me", password="geheim")  # noqa: S106
    settings = Settings(engine=engine)
    console = Console(file=io.StringIO(), width=200)
    console.print(settings)
    for shown in (repr(settings), str(settings), f"{engine}", console.file.getvalue()):
        assert "geheim" not in shown
        assert "https://***@a:1,http://b:2" in shown
        assert "password='***'" in shown
        assert "api_key=None" in shown
