"""How long each leg and the whole search take, one query at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np

from hybrid_search.errors import InputError
from hybrid_search.records import Query, SearchResult
from hybrid_search.search import SearchClient
from hybrid_search.search.plan import indexed_legs
from hybrid_search.search.request import SearchOptions

WARM_UP = 10
STEPS = ("encode", "retrieve", "fuse", "fetch", "rerank")


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds at the client; ``engine_p50`` is the engine's own median for the slowest leg, None for a step."""

    name: str
    searches: int
    p50: float
    p99: float
    engine_p50: float | None = None


def time_searches(client: SearchClient, queries: Sequence[Query], *, k: int = 10) -> list[Timing]:
    """Each leg of the index alone, without encoding; then the whole search as the client's settings have it, by step.

    Every query is encoded anew. The first few are asked before the clock starts. Queries without a text are passed
    over, and so is a leg that weighs 0.

    Raises:
        InputError: no query is left.
    """
    queries = [query for query in queries if query.text.strip() or query.dense is not None or query.sparse is not None]
    if not queries:
        raise InputError("no query to time", remedy="Give queries with a text")
    with client.query_cache.suspended():
        timings = []
        names = [leg.name for leg in indexed_legs(client.searcher.target.schema)]
        for name in client.searcher.fusion().having_a_say(names):
            results = _results(client, queries, k, legs=[name], rerank=False)
            timings.append(_timing(str(name), [r.took_ms["total"] - r.took_ms["encode"] for r in results], results))
        results = _results(client, queries, k)
        timings.append(_timing("whole search", [r.took_ms["total"] for r in results], results))
        return timings + [_timing(f"  {step}", [r.took_ms[step] for r in results]) for step in STEPS]


def _results(
    client: SearchClient, queries: Sequence[Query], k: int, **options: Unpack[SearchOptions]
) -> list[SearchResult]:
    for query in queries[:WARM_UP]:
        client.search(query, k, **options)
    return [client.search(query, k, **options) for query in queries]


def _timing(name: str, milliseconds: Sequence[float], results: Sequence[SearchResult] = ()) -> Timing:
    p50, p99 = np.percentile(milliseconds, [50, 99])
    slowest = [max(report.took_ms for report in result.legs.values()) for result in results]
    return Timing(name, len(milliseconds), float(p50), float(p99), float(np.median(slowest)) if slowest else None)
