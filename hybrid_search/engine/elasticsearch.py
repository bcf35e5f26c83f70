"""The dialect of Elasticsearch 8.11+ and 9.x: ``dense_vector``, the top-level ``knn`` section, retrievers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import orjson

from hybrid_search.engine import templates
from hybrid_search.engine.layout import OWN_DENSE, VectorField
from hybrid_search.engine.nested import BEST_INNER, scored_by
from hybrid_search.engine.protocols import Capabilities
from hybrid_search.errors import UnsupportedError
from hybrid_search.records import IndexSchema, Vector

OLDEST = (8, 11, 0)
BASE64_SINCE = (9, 3, 0)

RESCORES_SINCE = {8: (8, 18, 0), 9: (9, 0, 0)}
"""From here on a query can say how many candidates whole vectors score again."""

RESCORING_OFF_SINCE = {8: (8, 19, 0), 9: (9, 1, 0)}
"""From here on it can say: none."""

MAX_CANDIDATES = 10_000
"""The most that ``k`` and ``num_candidates`` may be."""


@dataclass(frozen=True, slots=True)
class ElasticsearchDialect:
    """What Elasticsearch of one version is told; ``painless`` says whether it runs scripts."""

    version: tuple[int, int, int]
    painless: bool = True

    engine: ClassVar[str] = "elasticsearch"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            dense_index_types=templates.index_types(self.engine, self.version, "dense_index"),
            sparse_index_types=templates.index_types(self.engine, self.version, "sparse_index"),
            base64_vectors=self.version >= BASE64_SINCE,
            server_rrf=self.version >= (8, 16, 0),
            combined_fields=True,
        )

    def index_body(self, schema: IndexSchema) -> dict[str, Any]:
        return templates.index_body(self.engine, self.version, schema)

    def dense_search(
        self,
        vector: Vector,
        *,
        size: int,
        candidates: int,
        filter: Mapping[str, Any] | None,
        oversample: float | None = None,
        field: VectorField = OWN_DENSE,
    ) -> dict[str, Any]:
        """A top-level ``knn`` section with the filter inside; ``k`` is global, scores are ``(1 + cosine) / 2``."""
        section: dict[str, Any] = {
            "field": field.path,
            "query_vector": vector.tolist(),
            "k": size,
            "num_candidates": min(candidates, MAX_CANDIDATES),
        }
        if oversample is not None:
            since = RESCORES_SINCE if oversample else RESCORING_OFF_SINCE
            templates.require_since(self.engine, self.version, since[min(self.version[0], 9)], "search.oversample")
            section["rescore_vector"] = {"oversample": float(oversample)}
        if field.says_place:
            section["inner_hits"] = BEST_INNER
        return {"knn": section if filter is None else section | {"filter": filter}}

    def exact_dense_search(
        self, vector: Vector, *, filter: Mapping[str, Any] | None, field: VectorField = OWN_DENSE
    ) -> dict[str, Any]:
        """A script over all documents, of the raw vectors also where the index is quantised.

        A server without Painless gets the widest graph search there is instead: every vector is compared as long as
        no shard has more than 10,000 passages, beyond that it is no longer exact. Quantised vectors are scored by the
        whole ones (8.18+).
        """
        if not self.painless:
            whole = 1.0 if self.version >= RESCORES_SINCE[min(self.version[0], 9)] else None
            most = MAX_CANDIDATES
            return self.dense_search(vector, size=most, candidates=most, filter=filter, oversample=whole, field=field)
        script = {
            "lang": "painless",
            "source": f"(1.0 + cosineSimilarity(params.vector, '{field.path}')) / 2.0",
            "params": {"vector": vector.tolist()},
        }
        return {"query": scored_by(script, field, filter)}

    def dense_value(self, vector: Vector) -> Any:
        """Base64 of the big-endian float32 bytes where the server reads it (9.3+), else the array."""
        if self.version >= BASE64_SINCE:
            return orjson.Fragment(b'"%s"' % base64.b64encode(vector.astype(">f4").tobytes()))
        return np.ascontiguousarray(vector, dtype=np.float32)

    def load_settings(self) -> dict[str, Any]:
        return {"index": {"refresh_interval": "-1", "number_of_replicas": 0}}

    def server_fusion(
        self,
        legs: Mapping[str, Mapping[str, Any]],
        *,
        window: int,
        rank_constant: int,
        weights: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """An ``rrf`` retriever over the legs' search bodies; needs an Enterprise or trial licence.

        Raises:
            UnsupportedError: this version has no ``rrf`` retriever, or no weights (9.2).
        """
        if not self.capabilities.server_rrf:
            raise UnsupportedError("Elasticsearch has the rrf retriever from 8.16 on", remedy='Use fusion = "rrf"')
        equal = weights is None or len({weights[leg] for leg in legs}) == 1
        if not equal and self.version < (9, 2, 0):
            raise UnsupportedError("Elasticsearch weighs retrievers from 9.2 on", remedy='Use fusion = "rrf"')
        retrievers = [_retriever(body) for body in legs.values()]
        if weights is not None and not equal:
            retrievers = [
                {"retriever": inner, "weight": weights[leg]} for leg, inner in zip(legs, retrievers, strict=True)
            ]
        rrf = {"retrievers": retrievers, "rank_window_size": window, "rank_constant": rank_constant}
        return {"retriever": {"rrf": rrf}}


def _retriever(body: Mapping[str, Any]) -> dict[str, Any]:
    """A leg's search body as a retriever."""
    return {"knn": body["knn"]} if "knn" in body else {"standard": {"query": body["query"]}}
