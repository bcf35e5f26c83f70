"""The settings of one index, as typed, frozen sections with named defaults.

One TOML file holds them (``hybrid-search init`` writes a commented one); environment variables and flags override
it, in that order. Reading and merging live in :mod:`hybrid_search.read.settings_file`.
"""

from __future__ import annotations

import msgspec

DENSE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: an unknown key is an error."""


class DocumentSettings(Section):
    """Which fields of a source make a document."""

    id: str = "_id"
    text: tuple[str, ...] = ("title", "text")
    keyword: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    dense: str | None = None
    sparse: str | None = None


class ChunkingSettings(Section):
    """Passages: at most ``max_tokens`` (None: the encoder's limit), ``overlap`` tokens shared by neighbours."""

    max_tokens: int | None = None
    overlap: int = 32


class DenseSettings(Section):
    """The bi-encoder. Prompts, pooling and length come from the model's own files unless given here.

    ``model`` is a name, a path, or ``"none"`` to leave the leg out; ``precomputed`` vectors need ``dimension``.
    """

    model: str = DENSE_MODEL
    query_prompt: str | None = None
    document_prompt: str | None = None
    max_tokens: int | None = None
    dimension: int | None = None
    device: str | None = None
    batch_size: int = 32
    trust_remote_code: bool = False
    allow_pickle: bool = False


class SparseSettings(Section):
    """The sparse model: ``"starter"``, ``"idf"`` (lexical, without inference), a SPLADE model's name or path, ``"none"``."""

    model: str = "idf"
    inference_free_queries: bool = False
    max_terms: int | None = None
    batch_size: int = 32
    device: str | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False


class RerankSettings(Section):
    """Reranking of the first ``window`` hits: ``"none"``, ``"late"`` (MaxSim of the bi-encoder) or a cross-encoder.

    ``weight`` is the reranker's share of the combined score, min-max within the window; 1.0 replaces.
    """

    model: str = "none"
    window: int = 50
    weight: float = 0.5
    batch_size: int = 32
    device: str | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False


class SearchSettings(Section):
    """How legs are fused. ``fusion`` is ``rrf``, ``min-max``, ``z-score`` or ``theoretical-min``."""

    legs: tuple[str, ...] = ("bm25", "dense", "sparse")
    k: int = 10
    window: int = 100
    candidates: int | None = None
    fusion: str = "min-max"
    rank_constant: int = 60
    weights: dict[str, float] = {}
    timeout: float = 10.0


class EngineSettings(Section):
    """The cluster and how the index is laid out. Secrets are better given by environment variables.

    ``url`` holds one address or several separated by commas; None means the local node.
    """

    url: str | None = None
    kind: str | None = None
    user: str | None = None
    password: str | None = None
    api_key: str | None = None
    bearer: str | None = None
    cloud_id: str | None = None
    ca_file: str | None = None
    ca_fingerprint: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    aws_region: str | None = None
    verify_tls: bool = True
    compress: bool = False
    connections: int = 10
    timeout: float = 30.0
    analyzer: str = "english"
    bm25_k1: float = 0.9
    bm25_b: float = 0.4
    dense_index: str = "hnsw"
    hnsw_m: int = 16
    hnsw_ef_construction: int = 128
    shards: int = 1
    replicas: int = 0


class Settings(Section):
    """All sections."""

    documents: DocumentSettings = DocumentSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    dense: DenseSettings = DenseSettings()
    sparse: SparseSettings = SparseSettings()
    rerank: RerankSettings = RerankSettings()
    search: SearchSettings = SearchSettings()
    engine: EngineSettings = EngineSettings()
