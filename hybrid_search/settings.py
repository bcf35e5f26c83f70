"""The settings of one index, as typed, frozen sections with named defaults.

One TOML file holds them (``hybrid-search init`` writes a commented one); environment variables and flags override
it, in that order. Reading and merging live in :mod:`hybrid_search.read.settings_file`; ranges and contradictions are
checked here, whenever a section is made, and raise SettingsError with the key as ``where``.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from hybrid_search.errors import SettingsError

OWN_NAMES = {"starter": ("sparse",), "idf": ("sparse",), "late": ("rerank",), "precomputed": ("dense", "sparse")}
"""Names of ``model`` that are no model's, and the sections that take them."""

DENSE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
NO_MODEL = "none"
"""The value of ``model`` that leaves a leg or the reranker out."""

LEGS = ("bm25", "dense", "sparse")
FUSIONS = ("rrf", "min-max", "z-score", "theoretical-min", "server")
ENGINES = ("opensearch", "elasticsearch")
MAX_WINDOW = 10_000
"""``index.max_result_window`` of both engines: no leg can return more."""
MAX_DIMENSION = 16_000
"""OpenSearch's limit; Elasticsearch's own, 4,096, is checked where the engine is known."""

SECRETS = frozenset({"password", "api_key", "bearer"})
MASK = "***"


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: an unknown key is an error, and secrets are masked wherever it is shown."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, _shown(name, getattr(self, name))) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def _shown(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in SECRETS:
        return MASK
    return without_credentials(value, MASK + "@") if name == "url" else value


def without_credentials(url: str, instead: str = "") -> str:
    """An address, or several, with ``user:password@`` taken out."""
    return re.sub(r"//[^/@]*@", f"//{instead}", url)


def _require(holds: bool, key: str, what: str, remedy: str | None = None) -> None:
    if not holds:
        raise SettingsError(what, where=key, remedy=remedy)


def _require_at_least(least: float, key: str, value: float | None, remedy: str | None = None) -> None:
    if value is not None:
        _require(math.isfinite(value) and value >= least, key, f"must be at least {least}, got {value}", remedy)


def _require_one_of(allowed: tuple[str, ...], key: str, value: str) -> None:
    _require(value in allowed, key, f"must be one of {', '.join(allowed)}, got {value!r}")


def _require_model(section: str, model: str, batch_size: int) -> None:
    _require(bool(model.strip()), f"{section}.model", "is empty", f'Give a name or a path, or "{NO_MODEL}"')
    takers = OWN_NAMES.get(model, (section,))
    _require(
        section in takers,
        f"{section}.model",
        f"does not take {model!r}",
        f"It is for {' and '.join(f'{taker}.model' for taker in takers)}",
    )
    _require_at_least(1, f"{section}.batch_size", batch_size)


class DocumentSettings(Section, frozen=True):
    """Which fields of a source make a document; a dot reaches into an object (``metadata.brand``).

    ``text`` fields are joined by a newline, in order. ``dense`` and ``sparse`` name fields that carry vectors.
    """

    id: str = "_id"
    text: tuple[str, ...] = ("title", "text")
    keyword: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    dense: str | None = None
    sparse: str | None = None

    def __post_init__(self) -> None:
        _require(bool(self.id), "documents.id", "is empty", "Name the field that holds the document's id")
        _require(bool(self.text), "documents.text", "names no field", "Name at least one field that holds text")
        self._require_one_role()

    def _require_one_role(self) -> None:
        """A field is filtered on in one way, and a vector is nothing but a vector."""
        roles: dict[str, str] = {}
        for role, names in {"keyword": self.keyword, "number": self.number, "date": self.date}.items():
            for name in names:
                _require(bool(name), f"documents.{role}", "holds an empty name")
                _require(name not in roles, f"documents.{role}", f"{name!r} is also in documents.{roles.get(name)}")
                roles[name] = role
        used = {**roles, **dict.fromkeys(self.text, "text"), self.id: "id"}
        for role, vector in {"dense": self.dense, "sparse": self.sparse}.items():
            if vector is not None:
                _require(vector not in used, f"documents.{role}", f"{vector!r} is also documents.{used.get(vector)}")
                used[vector] = role


class ChunkingSettings(Section, frozen=True):
    """Passages: at most ``max_tokens`` (None: the encoder's limit), ``overlap`` tokens shared by neighbours."""

    max_tokens: int | None = None
    overlap: int = 32

    def __post_init__(self) -> None:
        _require_at_least(1, "chunking.max_tokens", self.max_tokens)
        _require_at_least(0, "chunking.overlap", self.overlap)
        _require(
            self.max_tokens is None or self.overlap < self.max_tokens,
            "chunking.overlap",
            f"must be less than chunking.max_tokens ({self.max_tokens}), got {self.overlap}",
        )


class DenseSettings(Section, frozen=True):
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
    code_repositories: tuple[str, ...] = ()
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        _require_model("dense", self.model, self.batch_size)
        _require_at_least(1, "dense.max_tokens", self.max_tokens)
        _require(
            self.dimension is None or 1 <= self.dimension <= MAX_DIMENSION,
            "dense.dimension",
            f"must be between 1 and {MAX_DIMENSION}, got {self.dimension}",
        )
        _require(
            self.model != "precomputed" or self.dimension is not None,
            "dense.dimension",
            "is needed for precomputed vectors",
            "Give the number of components of the vectors that the documents carry",
        )


class SparseSettings(Section, frozen=True):
    """The sparse model: ``"starter"``, ``"idf"``, a SPLADE model's name or path, or ``"none"``.

    ``"starter"`` shares the forward pass of all-MiniLM-L6-v2 and needs it as the dense model; ``"idf"`` is lexical
    and needs no model at all. ``max_terms`` keeps the heaviest terms of a passage; of SPLADE models, ``min_share``
    keeps those that weigh at least this share of its heaviest, and ``max_query_terms`` the heaviest of a query.
    """

    model: str = "starter"
    inference_free_queries: bool = False
    max_terms: int | None = None
    max_query_terms: int | None = None
    min_share: float | None = None
    batch_size: int = 32
    device: str | None = None
    trust_remote_code: bool = False
    code_repositories: tuple[str, ...] = ()
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        _require_model("sparse", self.model, self.batch_size)
        _require_at_least(1, "sparse.max_terms", self.max_terms)
        _require_at_least(1, "sparse.max_query_terms", self.max_query_terms)
        _require(
            self.min_share is None or 0 < self.min_share < 1,
            "sparse.min_share",
            f"must be between 0 and 1, got {self.min_share}",
        )


class RerankSettings(Section, frozen=True):
    """Reranking of the first ``window`` hits: ``"none"``, ``"late"`` (MaxSim of the bi-encoder) or a cross-encoder.

    ``weight`` is the reranker's share of the combined score, min-max within the window; 1.0 replaces.
    """

    model: str = NO_MODEL
    window: int = 50
    weight: float = 0.5
    batch_size: int = 32
    device: str | None = None
    trust_remote_code: bool = False
    code_repositories: tuple[str, ...] = ()
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        _require_model("rerank", self.model, self.batch_size)
        _require_at_least(1, "rerank.window", self.window)
        _require(0 <= self.weight <= 1, "rerank.weight", f"must be between 0 and 1, got {self.weight}")


class SearchSettings(Section, frozen=True):
    """How legs are fused.

    ``dfs`` counts BM25's terms over all shards before it scores, so that equal documents score alike in all of them;
    with one shard it does nothing, and fusion by the server does without. Five shards then rank as one does, nDCG@10 of
    BM25 on NFCorpus / SciFact .3218 / .6789; counted shard by shard .3236 / .6773, and 4 to 20 % of queries keep their
    first ten (OpenSearch 3.6.0; the difference in time was below the noise of a busy machine).

    ``timeout`` is how many seconds a search, or a batch of 32, may wait for the engine in all, and for a model that is
    busy with others.

    ``fusion`` is ``rrf``, ``min-max``, ``z-score``, ``theoretical-min``, or ``server``: the engine's own RRF, over
    passages (OpenSearch 3.5+, Elasticsearch 8.16+ with a licence for it).

    ``window`` counts the documents that each leg ranks (a page beyond it doubles it, for that search; a document that a
    leg finds beyond its window gets nothing from that leg, so another window is another ranking), ``candidates`` the
    passages that it fetches for them (None:
    twice as many) and the width of the graph search. A leg without a weight in ``weights`` weighs 1; but the starter's
    in min-max, z-score and theoretical-min :data:`~hybrid_search.search.plan.STARTER_WEIGHT`.

    The defaults were chosen on NFCorpus dev / SciFact train (BM25 and all-MiniLM-L6-v2, OpenSearch 3.6.0, nDCG@10):
    min-max .3339 / .7327, z-score .3305 / .7352, theoretical-min .3274 / .7250, rrf .3300 / .7120 (rank constant 20:
    .3317 / .7209). Min-max with a weight of .4 or .6 for BM25: .3294 / .7241 or .3304 / .7332; with a window of 50 or
    20: .3315 / .7314 or .3275 / .7315. With the starter as third leg: min-max .3383 / .7385, z-score .3377 / .7381.
    A graph search of width 200 finds 99.8 % of the 100 nearest of NFCorpus dev, one of width 100 finds 99.1 %;
    nDCG@10 of either is that of exact search to .0006.
    """

    legs: tuple[str, ...] = LEGS
    k: int = 10
    window: int = 100
    candidates: int | None = None
    fusion: str = "min-max"
    rank_constant: int = 60
    weights: dict[str, float] = {}
    timeout: float = 10.0
    dfs: bool = True

    def __post_init__(self) -> None:
        _require(bool(self.legs), "search.legs", "names no leg", f"Name at least one of {', '.join(LEGS)}")
        for leg in self.legs:
            _require_one_of(LEGS, "search.legs", leg)
        _require(len(set(self.legs)) == len(self.legs), "search.legs", "names a leg twice")
        _require_one_of(FUSIONS, "search.fusion", self.fusion)
        _require_at_least(0, "search.rank_constant", self.rank_constant)
        _require(self.timeout > 0, "search.timeout", f"must be more than 0 seconds, got {self.timeout}")
        self._require_widths()
        self._require_weights()

    def _require_widths(self) -> None:
        for name in ("k", "window"):
            value = getattr(self, name)
            _require(1 <= value <= MAX_WINDOW, f"search.{name}", f"must be between 1 and {MAX_WINDOW}, got {value}")
        _require(
            self.k <= self.window,
            "search.k",
            f"asks for {self.k} hits, more than each leg fetches (search.window is {self.window})",
            "Raise search.window",
        )
        _require(
            self.candidates is None or self.window <= self.candidates <= MAX_WINDOW,
            "search.candidates",
            f"must be between search.window ({self.window}) and {MAX_WINDOW}, got {self.candidates}",
        )

    def _require_weights(self) -> None:
        for leg, weight in self.weights.items():
            _require_one_of(LEGS, "search.weights", leg)
            _require_at_least(0, f"search.weights.{leg}", weight)
        _require(
            any(self.weights.get(leg, 1.0) for leg in self.legs),
            "search.weights",
            f"gives every leg of search.legs ({', '.join(self.legs)}) the weight 0",
        )


class EngineSettings(Section, frozen=True):
    """The cluster and how the index is laid out. Secrets are better given by environment variables.

    ``url`` holds one address or several separated by commas; None means the local node. ``sparse_index`` is
    ``rank_features``, which both engines have, or ``sparse_vector`` (Elasticsearch 8.15+), searched without pruning.
    ``replicas`` None is the engine's own number, but none where the cluster is a local node.
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
    sparse_index: str = "rank_features"
    hnsw_m: int = 16
    hnsw_ef_construction: int = 128
    shards: int = 1
    replicas: int | None = None

    def __post_init__(self) -> None:
        self._require_address()
        self._require_one_credential()
        _require_at_least(1, "engine.connections", self.connections)
        _require(self.timeout > 0, "engine.timeout", f"must be more than 0 seconds, got {self.timeout}")
        self._require_layout()

    def _require_address(self) -> None:
        if self.kind is not None:
            _require_one_of(ENGINES, "engine.kind", self.kind)
        for address in (self.url or "").split(",") if self.url is not None else ():
            shown = _shown("url", address.strip())
            _require(
                bool(re.match(r"https?://[^/\s]", address.strip())),
                "engine.url",
                f"must begin with http:// or https://, got {shown!r}",
            )
        _require(
            self.cloud_id is None or self.url is None, "engine.cloud_id", "and engine.url are both given", "Give one"
        )
        _require(
            self.cloud_id is None or self.kind != "opensearch",
            "engine.cloud_id",
            "is for Elasticsearch only",
        )

    def _require_one_credential(self) -> None:
        given = [name for name in ("user", "api_key", "bearer", "aws_region") if getattr(self, name) is not None]
        _require(
            len(given) <= 1,
            f"engine.{given[-1] if given else 'user'}",
            f"only one way to log in can be used, but {' and '.join(given)} are given",
            "Keep one",
        )
        # A user without a password is looked up in the keyring.
        for name, partner in (("password", "user"), ("client_key", "client_cert")):
            missing = getattr(self, name) is not None and getattr(self, partner) is None
            _require(not missing, f"engine.{name}", f"is given without engine.{partner}")

    def _require_layout(self) -> None:
        _require_at_least(0, "engine.bm25_k1", self.bm25_k1)
        _require(0 <= self.bm25_b <= 1, "engine.bm25_b", f"must be between 0 and 1, got {self.bm25_b}")
        _require_at_least(2, "engine.hnsw_m", self.hnsw_m)
        _require_at_least(self.hnsw_m, "engine.hnsw_ef_construction", self.hnsw_ef_construction)
        _require_at_least(1, "engine.shards", self.shards)
        _require_at_least(0, "engine.replicas", self.replicas)


class Settings(Section, frozen=True):
    """All sections."""

    documents: DocumentSettings = DocumentSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    dense: DenseSettings = DenseSettings()
    sparse: SparseSettings = SparseSettings()
    rerank: RerankSettings = RerankSettings()
    search: SearchSettings = SearchSettings()
    engine: EngineSettings = EngineSettings()

    def __post_init__(self) -> None:
        """At least one leg that is searched must also be indexed."""
        off = {leg for leg in ("dense", "sparse") if getattr(self, leg).model == NO_MODEL}
        _require(
            bool(set(self.search.legs) - off),
            "search.legs",
            f"names only legs that are switched off ({', '.join(self.search.legs)})",
            "Add bm25, or give the leg a model",
        )
        _require(
            self.rerank.model != "late" or self.dense.model != NO_MODEL,
            "rerank.model",
            'is "late", which reads the token states of the dense model, but dense.model is "none"',
            "Give dense.model, or a cross-encoder as rerank.model",
        )
