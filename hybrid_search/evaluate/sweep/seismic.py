"""OpenSearch's SEISMIC, an approximate sparse index, measured beside the others and chosen by nobody.

Bruch, Nardini, Rulli, Venturini: Efficient Inverted Indexes for Approximate Retrieval over Learned Sparse
Representations, SIGIR 2024, arXiv 2404.18812. It is no ``engine.sparse_index``. An index of it can hold no
dense vectors: OpenSearch 3.6.0 refuses ``index.sparse`` beside ``index.knn``, for both bring a codec. And it cannot be
filtered as every leg here is: a filter of several values, of ids or of a prefix within the query is refused ("does not
implement createWeight"), one on a range finds nothing, and one around the query passes only what is among the ``k``
that were found without it. Weights are kept in bytes, and terms must be whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import ADMIN_TIMEOUT
from hybrid_search.engine.protocols import Request
from hybrid_search.evaluate.sweep.options import SEISMIC
from hybrid_search.evaluate.sweep.vectors import Sample
from hybrid_search.records import IndexSchema

WHY_NOT_CHOSEN = (
    f"{SEISMIC} is measured and never chosen: OpenSearch has it in no index of dense vectors, and refuses most filters"
)

LARGEST_OF_QUERIES = 16.0
"""What OpenSearch takes weights of queries to be at most, where the mapping does not say."""


def create(connection: Connection, index: str, schema: IndexSchema, sample: Sample) -> None:
    """An index whose sparse field is searched so from the first passage on.

    Weights are rounded to a 255th of the largest of the sample: a smaller ceiling would cut them.

    Raises:
        RequestRefusedError: the engine has not the plugin neural-search, or another version of it.
    """
    largest = max((max(one.values(), default=0.0) for one in sample.sparse or []), default=1.0)
    body = connection.dialect.index_body(schema)
    settings = {name: value for name, value in body["settings"].items() if not name.startswith("index.knn")}
    body["settings"] = {**settings, "index.sparse": True}
    parameters = {
        "approximate_threshold": 1,  # passages of a segment from which on it is built; a million by default
        "quantization_ceiling_ingest": float(largest),
        "quantization_ceiling_search": max(LARGEST_OF_QUERIES, float(largest)),
    }
    method = {"name": SEISMIC, "parameters": parameters}
    body["mappings"]["properties"][layout.SPARSE] = {"type": "sparse_vector", "method": method}
    connection.send(Request.json("PUT", f"/{index}", body, timeout=ADMIN_TIMEOUT))


def query(terms: Mapping[str, float], *, size: int) -> dict[str, Any]:
    """The best ``size`` passages, by the ten heaviest terms, as OpenSearch does it by default."""
    asked = {"query_tokens": dict(terms), "method_parameters": {"k": size}}
    return {"query": {"neural_sparse": {layout.SPARSE: asked}}}
