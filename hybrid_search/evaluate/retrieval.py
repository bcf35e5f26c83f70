"""Queries retrieved to be measured: every leg in full, or an error; what is measured has no holes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

from hybrid_search.errors import EngineError
from hybrid_search.records import Query, SearchResult
from hybrid_search.search import SearchClient
from hybrid_search.search.request import SearchOptions
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.searcher import BATCH
from hybrid_search.search_warnings import SearchWarning

MEASURING = 600.0
"""Seconds that a search may take that is measured: the time of ``search.timeout`` is for people who wait."""

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


def retrieve_in_full(
    client: SearchClient, queries: Sequence[Query], progress: OnProgress, **options: Unpack[SearchOptions]
) -> list[Retrieved]:
    """What every leg finds for every query.

    Raises:
        HybridSearchError: a leg failed or was late, with its own error.
        EngineError: a leg answered in part: stopped, or without a shard.
    """
    found: list[Retrieved] = []
    for begin in range(0, len(queries), BATCH):
        batch = client.retrieve(queries[begin : begin + BATCH], timeout=MEASURING, **options)  # type: ignore[misc]  # no caller gives one
        for one in batch:
            _check_whole(one, client.searcher.target.where)
        found += batch
        progress("retrieve", len(found), len(queries))
    return found


def search_in_full(
    client: SearchClient, queries: Sequence[Query], k: int, *, window: int | None = None
) -> list[SearchResult]:
    """What a search finds for every query, with all that follows fusion: reranking, boosts, limits.

    Raises:
        QueryError: a query is wrong, or ``k`` is beyond the window.
        HybridSearchError: a query could not be searched.
        EngineError: a part of a search failed or was late.
    """
    found: list[SearchResult] = []
    for begin in range(0, len(queries), BATCH):
        found += client.search_many(queries[begin : begin + BATCH], k, window=window, timeout=MEASURING)
    for one in found:
        _raise_lack(one.query, one.warnings, client.searcher.target.where)
    return found


def _check_whole(one: Retrieved, where: str) -> None:
    if failed := next(iter(one.errors.values()), None):
        raise failed
    _raise_lack(one.query, one.warnings, where)


def _raise_lack(query: Query, warnings: Sequence[SearchWarning], where: str) -> None:
    """Raise what an answer lacks; what is measured is whole."""
    if lacking := next((warning for warning in warnings if warning.code.degrades), None):
        raise EngineError(
            f"query {query.id} was not answered in full: {lacking}",
            where=where,
            remedy="Nothing was measured; try again when all of the cluster answers",
        )
