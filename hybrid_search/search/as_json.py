"""A search result as plain JSON types, for ``--json`` and for services; vectors are left out."""

from __future__ import annotations

from typing import Any

import msgspec

from hybrid_search.records import SearchResult


def result_json(result: SearchResult) -> dict[str, Any]:
    """Every part of ``result`` but the query's vectors, with the records' own names.

    ``codes`` are those of ``warnings``, in their order; ``degraded`` has what the answer lacks, by part.
    """
    return {
        "id": result.query.id,
        "query": result.query.text,
        "fusion": result.fusion,
        "reranker": result.reranker,
        "hits": [msgspec.to_builtins(hit, str_keys=True) for hit in result.hits],
        "facets": msgspec.to_builtins(dict(result.facets), str_keys=True),
        "legs": msgspec.to_builtins(dict(result.legs), str_keys=True),
        "took_ms": {step: round(took, 3) for step, took in result.took_ms.items()},
        "warnings": [str(warning) for warning in result.warnings],
        "codes": [getattr(warning, "code", None) for warning in result.warnings],
        "degraded": {str(part): code for part, code in result.degraded.items()},
        "cursor": result.cursor,
    }
