"""The query layer: three legs in one request, fused, collapsed to documents, optionally reranked, and explained."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybrid_search.search.async_client import AsyncSearchClient
    from hybrid_search.search.client import SearchClient
    from hybrid_search.search.fusion import Fusion
    from hybrid_search.search.leg import LegQuery, SearchLeg
    from hybrid_search.search.mmr import Mmr
    from hybrid_search.search.rerank import Reranking
    from hybrid_search.search.scored_text import TextScoring

_HOME = {
    "AsyncSearchClient": "hybrid_search.search.async_client",
    "Fusion": "hybrid_search.search.fusion",
    "LegQuery": "hybrid_search.search.leg",
    "Mmr": "hybrid_search.search.mmr",
    "Reranking": "hybrid_search.search.rerank",
    "SearchClient": "hybrid_search.search.client",
    "SearchLeg": "hybrid_search.search.leg",
    "TextScoring": "hybrid_search.search.scored_text",
}

__all__ = ["AsyncSearchClient", "Fusion", "LegQuery", "Mmr", "Reranking", "SearchClient", "SearchLeg", "TextScoring"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
