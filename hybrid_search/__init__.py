"""Hybrid search for Elasticsearch and OpenSearch: BM25, dense and sparse legs, fused, reranked and explained.

The public names are listed in ``__all__``; each is imported when it is first used, so that importing the package
costs next to nothing and needs neither torch nor a server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybrid_search.documents import AsyncDocumentClient, DocumentClient
    from hybrid_search.encode import load_encoder, load_reranker
    from hybrid_search.engine import connect
    from hybrid_search.errors import HybridSearchError
    from hybrid_search.found import FacetCounts, FacetValue, Highlighted
    from hybrid_search.indexing import index_documents
    from hybrid_search.read.settings_file import load_settings
    from hybrid_search.records import Document, Hit, Leg, Query, SearchResult
    from hybrid_search.search import AsyncSearchClient, SearchClient
    from hybrid_search.search.duplicates_records import DuplicateGroup, SimilarPair
    from hybrid_search.search.facets import Dates, MinMax, Ranges, Terms
    from hybrid_search.search.highlight import Highlight
    from hybrid_search.search.why_not_records import WhyNot
    from hybrid_search.search_warnings import SearchWarning, WarningCode
    from hybrid_search.settings import Settings

_HOME = {
    "AsyncDocumentClient": "hybrid_search.documents",
    "DocumentClient": "hybrid_search.documents",
    "Dates": "hybrid_search.search.facets",
    "DuplicateGroup": "hybrid_search.search.duplicates_records",
    "FacetCounts": "hybrid_search.found",
    "FacetValue": "hybrid_search.found",
    "Highlight": "hybrid_search.search.highlight",
    "Highlighted": "hybrid_search.found",
    "MinMax": "hybrid_search.search.facets",
    "Ranges": "hybrid_search.search.facets",
    "Terms": "hybrid_search.search.facets",
    "SimilarPair": "hybrid_search.search.duplicates_records",
    "WhyNot": "hybrid_search.search.why_not_records",
    "Document": "hybrid_search.records",
    "Hit": "hybrid_search.records",
    "HybridSearchError": "hybrid_search.errors",
    "Leg": "hybrid_search.records",
    "Query": "hybrid_search.records",
    "SearchClient": "hybrid_search.search",
    "AsyncSearchClient": "hybrid_search.search",
    "SearchResult": "hybrid_search.records",
    "SearchWarning": "hybrid_search.records",
    "Settings": "hybrid_search.settings",
    "WarningCode": "hybrid_search.records",
    "connect": "hybrid_search.engine",
    "index_documents": "hybrid_search.indexing",
    "load_encoder": "hybrid_search.encode",
    "load_reranker": "hybrid_search.encode",
    "load_settings": "hybrid_search.read.settings_file",
}

__all__ = [
    "AsyncDocumentClient",
    "AsyncSearchClient",
    "Dates",
    "Document",
    "DocumentClient",
    "DuplicateGroup",
    "FacetCounts",
    "FacetValue",
    "Highlight",
    "Highlighted",
    "Hit",
    "HybridSearchError",
    "Leg",
    "MinMax",
    "Query",
    "Ranges",
    "SearchClient",
    "SearchResult",
    "SearchWarning",
    "Settings",
    "SimilarPair",
    "Terms",
    "WarningCode",
    "WhyNot",
    "connect",
    "index_documents",
    "load_encoder",
    "load_reranker",
    "load_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hybrid_search' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
