"""The dialect of OpenSearch 2.11+ and 3.x: ``knn_vector`` on Lucene, the ``knn`` query, hybrid search pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hybrid_search.engine import templates
from hybrid_search.engine.layout import OWN_DENSE, VectorField
from hybrid_search.engine.nested import best_inner, scored_by
from hybrid_search.engine.protocols import Capabilities
from hybrid_search.errors import UnsupportedError
from hybrid_search.records import IndexSchema, Vector

OLDEST = (2, 11, 0)
SEISMIC_SINCE = (3, 3, 0)
"""From here on the plugin neural-search has the approximate sparse index SEISMIC."""
RESCORES_SINCE = (2, 17, 0)
"""From here on a query can say how many candidates whole vectors score again."""


@dataclass(frozen=True, slots=True)
class OpenSearchDialect:
    """What OpenSearch of one version is told."""

    version: tuple[int, int, int]

    engine: ClassVar[str] = "opensearch"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            dense_index_types=templates.index_types(self.engine, self.version, "dense_index"),
            sparse_index_types=templates.index_types(self.engine, self.version, "sparse_index"),
            sparse_measured=frozenset({"seismic"}) if self.version >= SEISMIC_SINCE else frozenset(),
            base64_vectors=self.version >= (3, 8, 0),
            server_rrf=self.version >= (3, 5, 0),
            combined_fields=self.version >= (3, 2, 0),
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
        """A ``knn`` query with the filter inside; scores are ``(1 + cosine) / 2``.

        ``k`` counts per shard. Before 2.16 there was no ``ef_search`` for a query and Lucene searched as wide as ``k``.
        """
        clause: dict[str, Any] = {"vector": vector.tolist()}
        if self.version >= (2, 16, 0):
            clause |= {"k": size, "method_parameters": {"ef_search": candidates}}
        else:
            clause["k"] = candidates
        if filter is not None:
            clause["filter"] = filter
        if oversample is not None:
            templates.require_since(self.engine, self.version, RESCORES_SINCE, "search.oversample")
            clause["rescore"] = {"oversample_factor": float(oversample)} if oversample else False
        return {"query": best_inner({"knn": {field.path: clause}}, field)}

    def exact_dense_search(
        self, vector: Vector, *, filter: Mapping[str, Any] | None, field: VectorField = OWN_DENSE
    ) -> dict[str, Any]:
        """The k-NN plugin's scoring script over all documents; ``(1 + cosine) / 2`` in 3.x."""
        script = {
            "lang": "knn",
            "source": "knn_score",
            "params": {"field": field.path, "query_value": vector.tolist(), "space_type": "cosinesimil"},
        }
        return {"query": scored_by(script, field, filter)}

    def dense_value(self, vector: Vector) -> Any:
        """The array itself: as text, its bytes would be little-endian here (from 3.8) and big-endian elsewhere."""
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
        """A ``hybrid`` query and its pipeline, given with the request: reciprocal rank fusion by the server.

        ``legs`` are the search bodies of the legs. Before 3.5 ranks were counted per shard, so the fusion was wrong.

        Raises:
            UnsupportedError: this version, or more than the 5 queries that ``hybrid`` takes.
        """
        if not self.capabilities.server_rrf:
            raise UnsupportedError(
                f"OpenSearch {'.'.join(map(str, self.version))} ranks hybrid queries per shard",
                remedy='Use OpenSearch 3.5 or newer, or fusion = "rrf", which the client does',
            )
        combination: dict[str, Any] = {"technique": "rrf", "rank_constant": rank_constant}
        if weights is not None:
            total = sum(weights[leg] for leg in legs)
            combination["parameters"] = {"weights": [float(weights[leg]) / total for leg in legs]}
        return {
            "query": {
                "hybrid": {"queries": [leg["query"] for leg in legs.values()], "pagination_depth": window},
            },
            "search_pipeline": {"phase_results_processors": [{"score-ranker-processor": {"combination": combination}}]},
        }
