"""Which models encode and rerank."""

from __future__ import annotations

import re

from hybrid_search.settings.section import (
    Section,
    require,
    require_at_least,
    require_one_of,
    require_seconds,
)

OWN_NAMES = {"starter": ("sparse",), "idf": ("sparse",), "late": ("rerank",), "precomputed": ("dense", "sparse")}
"""Names of ``model`` that are no model's, and the sections that take them."""

DENSE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
NO_MODEL = "none"
"""The value of ``model`` that leaves a leg or the reranker out."""
BACKENDS = ("auto", "torch", "onnx", "openvino")
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
COMPUTES = {"torch": ("fp32", "bf16", "fp16"), "onnx": ("fp32", "int8"), "openvino": ("fp32", "bf16", "int8")}
"""The precisions of each backend. torch's own 8-bit integers lose too much: cosine .92 for MiniLM."""
MAX_DIMENSION = 16_000
"""OpenSearch's limit; Elasticsearch's own, 4,096, is checked where the engine is known."""


SERVICE = "tei"
SERVICES: dict[str, tuple[str, ...]] = {
    "dense": ("tei", "openai", "cohere"),
    "sparse": ("tei",),
    "rerank": ("tei", "cohere"),
}
"""The HTTP services that each section may ask, by their interfaces."""


class ModelSettings(Section, frozen=True):
    """What the sections of all models share: the model, and the service that has it, where it is not loaded here.

    With ``url`` the model is asked over HTTP and nothing is loaded: ``service`` says how, ``"tei"`` as Hugging Face's
    Text Embeddings Inference and ``hybrid-search models serve`` do, ``"openai"`` or ``"cohere"``. ``api_key`` is best
    given by the environment (``HYBRID_SEARCH_DENSE_API_KEY``); ``"keyring"`` looks it up there. ``timeout`` is in
    seconds for one request, ``concurrency`` how many are under way at a time, ``batch_size`` the texts of one.
    """

    url: str | None = None
    service: str = SERVICE
    api_key: str | None = None
    timeout: float = 60.0
    concurrency: int = 4
    batch_size: int = 32

    def require_service(self, section: str) -> None:
        """Raise SettingsError about the keys of a service."""
        require_one_of(SERVICES[section], f"{section}.service", self.service)
        require_seconds(f"{section}.timeout", self.timeout)
        require_at_least(1, f"{section}.concurrency", self.concurrency)
        if self.url is not None:
            _require_address(f"{section}.url", self.url)
            _require_sendable(f"{section}.api_key", self.api_key)
            return
        for name, unset in (("api_key", None), ("service", SERVICE)):
            given = getattr(self, name) != unset
            require(not given, f"{section}.{name}", f"is of no use without {section}.url", "Give the service's address")


class DenseSettings(ModelSettings, frozen=True):
    """The bi-encoder. Prompts, pooling and length come from the model's own files unless given here.

    ``model`` is a name, a path, or ``"none"`` to leave the leg out; ``precomputed`` vectors need ``dimension``. Of a
    service see :class:`ModelSettings`; of a model here, ``batch_size`` is the size of a pass in texts of usual length:
    near its default the fastest is found on the way, any other number stays.
    """

    model: str = DENSE_MODEL
    query_prompt: str | None = None
    document_prompt: str | None = None
    max_tokens: int | None = None
    dimension: int | None = None
    device: str | None = None
    trust_remote_code: bool = False
    code_repositories: tuple[str, ...] = ()
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        _require_model("dense", self.model, self.batch_size)
        self.require_service("dense")
        require_at_least(1, "dense.max_tokens", self.max_tokens)
        require(
            self.dimension is None or 1 <= self.dimension <= MAX_DIMENSION,
            "dense.dimension",
            f"must be between 1 and {MAX_DIMENSION}, got {self.dimension}",
        )
        require(
            self.model != "precomputed" or self.dimension is not None,
            "dense.dimension",
            "is needed for precomputed vectors",
            "Give the number of components of the vectors that the documents carry",
        )


class SparseSettings(ModelSettings, frozen=True):
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
    device: str | None = None
    trust_remote_code: bool = False
    code_repositories: tuple[str, ...] = ()
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        _require_model("sparse", self.model, self.batch_size)
        self.require_service("sparse")
        require_at_least(1, "sparse.max_terms", self.max_terms)
        require_at_least(1, "sparse.max_query_terms", self.max_query_terms)
        require(
            self.min_share is None or 0 < self.min_share < 1,
            "sparse.min_share",
            f"must be between 0 and 1, got {self.min_share}",
        )


class RerankSettings(ModelSettings, frozen=True):
    """Reranking of the first ``window`` hits: ``"none"``, ``"late"`` (MaxSim of the bi-encoder) or a cross-encoder.

    ``weight`` is the reranker's share of the combined score, min-max within the window; 1.0 replaces. ``stored`` keeps
    the passages' token states in the index, so that ``"late"`` encodes the query alone: some 12 KB a passage of 240
    tokens, and 50 passages in milliseconds instead of a second. An index that has them is searched by them in any case,
    whatever this says.
    """

    model: str = NO_MODEL
    window: int = 50
    weight: float = 0.5
    stored: bool = False
    device: str | None = None
    trust_remote_code: bool = False
    code_repositories: tuple[str, ...] = ()
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        _require_model("rerank", self.model, self.batch_size)
        self.require_service("rerank")
        require_at_least(1, "rerank.window", self.window)
        require(0 <= self.weight <= 1, "rerank.weight", f"must be between 0 and 1, got {self.weight}")


class EncodeSettings(Section, frozen=True):
    """What runs the models, all of them: a backend and a precision.

    ``backend`` ``"auto"`` takes the fastest that is installed and gives what torch gives, as it was measured here; on a
    GPU, torch. ``precision`` is ``fp32``; ``bf16`` (processors with AMX or AVX512-BF16, GPUs) and ``fp16`` (GPUs) stay
    within a cosine of .9995 of it, which is checked, so that one index serves all three; ``int8`` does not, and is part
    of the fingerprint of an index.
    """

    backend: str = "auto"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        require_one_of(BACKENDS, "encode.backend", self.backend)
        require_one_of(PRECISIONS, "encode.precision", self.precision)
        computes = COMPUTES.get(self.backend, PRECISIONS)
        require(
            self.precision in computes,
            "encode.precision",
            f"is {self.precision!r}, and {self.backend} computes in {' or '.join(computes)}",
            'Set encode.backend to "auto", or the precision to "fp32"',
        )


AUTO = EncodeSettings()
"""What the settings say where they are silent."""


def _require_address(key: str, url: str) -> None:
    """No part of what is refused is shown: it may hold a login."""
    require("@" not in url, key, "holds a login", f"Give the key as {key.replace('.url', '.api_key')}")
    is_address = re.fullmatch(r"https?://[^\s/?#,\\]+(/[^\s?#\\]*)?", url) is not None
    require(is_address, key, "is no address of a service", "Write it as http://host:port or https://host/path")


def _require_sendable(key: str, value: str | None) -> None:
    is_sendable = value is None or re.fullmatch(r"[\x21-\x7e]+", value) is not None
    require(is_sendable, key, "holds a character that no header may hold", "Letters, digits and signs without spaces")


def _require_model(section: str, model: str, batch_size: int) -> None:
    require(bool(model.strip()), f"{section}.model", "is empty", f'Give a name or a path, or "{NO_MODEL}"')
    takers = OWN_NAMES.get(model, (section,))
    require(
        section in takers,
        f"{section}.model",
        f"does not take {model!r}",
        f"It is for {' and '.join(f'{taker}.model' for taker in takers)}",
    )
    require_at_least(1, f"{section}.batch_size", batch_size)
