"""The cluster, and how an index is laid out in it."""

from __future__ import annotations

import re

from hybrid_search.addresses import located
from hybrid_search.languages import tag_of
from hybrid_search.settings.section import (
    IN_HEADERS,
    Section,
    require,
    require_at_least,
    require_one_of,
    require_seconds,
)

ENGINES = ("opensearch", "elasticsearch")


class EngineSettings(Section, frozen=True):
    """The cluster and how the index is laid out. Secrets are better given by environment variables.

    ``dense_index`` is how vectors are indexed, by the engine and its version: ``hnsw``, whole vectors, is in all, as is
    ``int8_hnsw`` from Elasticsearch 8.12 and OpenSearch 2.16 on. Elasticsearch has ``int4_hnsw``, ``bbq_hnsw``,
    ``bbq_disk`` (9.2, by licence) and ``flat``, ``int8_flat``, ``int4_flat``, ``bbq_flat``, which have no graph;
    OpenSearch has ``lucene_on_disk`` (3.6), and, where its native library is, ``faiss_hnsw``, ``faiss_fp16_hnsw`` and
    ``faiss_on_disk``. What each costs on your data: ``hybrid-search sweep``.

    ``url`` holds one address or several separated by commas; None means the local node. ``sparse_index`` is
    ``rank_features``, which both engines have, or ``sparse_vector`` (Elasticsearch 8.15+), searched without pruning.
    ``analyzer`` reads all texts, or those whose language (``documents.language``) has no analyzer of its own in
    ``analyzers``, ``{de = "german"}``.
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
    analyzers: dict[str, str] = {}  # noqa: RUF012  # a struct copies its default
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
        self._require_printable()
        require_at_least(1, "engine.connections", self.connections)
        require_seconds("engine.timeout", self.timeout)
        self._require_layout()

    def _require_address(self) -> None:
        if self.kind is not None:
            require_one_of(ENGINES, "engine.kind", self.kind)
        if self.url is not None:
            located(self.url)
        require(
            self.cloud_id is None or self.url is None, "engine.cloud_id", "and engine.url are both given", "Give one"
        )
        require(
            self.cloud_id is None or self.kind != "opensearch",
            "engine.cloud_id",
            "is for Elasticsearch only",
        )

    def _require_one_credential(self) -> None:
        given = [name for name in ("user", "api_key", "bearer", "aws_region") if getattr(self, name) is not None]
        require(
            len(given) <= 1,
            f"engine.{given[-1] if given else 'user'}",
            f"only one way to log in can be used, but {' and '.join(given)} are given",
            "Keep one",
        )
        # A user without a password is looked up in the keyring.
        for name, partner in (("password", "user"), ("client_key", "client_cert")):
            missing = getattr(self, name) is not None and getattr(self, partner) is None
            require(not missing, f"engine.{name}", f"is given without engine.{partner}")

    def _require_printable(self) -> None:
        """What cannot stand in a header is refused by its key's name: the HTTP libraries would print it."""
        for name in IN_HEADERS:
            require(
                not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", getattr(self, name) or ""),
                f"engine.{name}",
                "holds a line break or another control character",
                "Take it out; a file that holds a secret often ends with a line break",
            )
        for name in ("api_key", "bearer"):
            value = getattr(self, name) or ""
            require(
                bool(re.fullmatch(r"[\x21-\x7e]*", value)) or (name == "api_key" and ":" in value),
                f"engine.{name}",
                "holds a character that no header may hold",
                "Copy it again: letters, digits and signs without spaces",
            )
        require(":" not in (self.user or ""), "engine.user", "holds a colon, which would end it")

    def _require_layout(self) -> None:
        self._require_languages()
        require_at_least(0, "engine.bm25_k1", self.bm25_k1)
        require(0 <= self.bm25_b <= 1, "engine.bm25_b", f"must be between 0 and 1, got {self.bm25_b}")
        require_at_least(2, "engine.hnsw_m", self.hnsw_m)
        require_at_least(self.hnsw_m, "engine.hnsw_ef_construction", self.hnsw_ef_construction)
        require_at_least(1, "engine.shards", self.shards)
        require_at_least(0, "engine.replicas", self.replicas)

    def _require_languages(self) -> None:
        """Each analyzer is of a language, which is named once."""
        seen: dict[str, str] = {}
        for code, name in self.analyzers.items():
            key, tag = f"engine.analyzers.{code}", tag_of(code)
            require(
                tag is not None,
                key,
                "is no language",
                'Give a code or tag: { de = "german" }',
            )
            require(tag not in seen, key, f"is {seen.get(str(tag))} once more", "Keep one of them")
            require(bool(name.strip()), key, "is empty", "Name an analyzer of the engine")
            seen[str(tag)] = code
