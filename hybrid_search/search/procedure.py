"""The search, from queries to explained hits, as one generator without input or output of its own.

    encode -> three legs in one _msearch -> collapse -> fuse -> fetch -> rerank -> page

It yields steps (:mod:`hybrid_search.search.steps`) and is driven by the synchronous and the asynchronous client
alike. A batch of queries takes the same number of round trips as one.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.engine.answers import error_for, failure
from hybrid_search.records import Hit, Leg, Query, SearchResult
from hybrid_search.search import legs
from hybrid_search.search.collapse import Best, document_id
from hybrid_search.search.fusion import Fused
from hybrid_search.search.plan import Plan
from hybrid_search.search.reasons import why_nothing
from hybrid_search.search.rerank import Reranked, combine
from hybrid_search.search.retrieve import Retrieved, Target, encode, patience, retrieve
from hybrid_search.search.server_fusion import retrieve_fused
from hybrid_search.search.steps import Score, Send, Step

Stored = Mapping[str, Any]


def search(
    queries: Sequence[Query], plan: Plan, target: Target, *, reranker: str | None = None
) -> Generator[Step, Any, list[SearchResult]]:
    """Search for every query; results in their order.

    Args:
        queries: checked (:func:`~hybrid_search.search.plan.check_query`).
        plan: how.
        target: where.
        reranker: the name of what answers :class:`~hybrid_search.search.steps.Score`, for the results.

    Raises:
        EngineError: nothing could be retrieved for a query, or the passages could not be fetched.
    """
    clock = Stopwatch()
    with clock("encode"):
        retrieved = yield from encode(queries, plan)
    with clock("retrieve"):
        yield from (retrieve_fused if plan.fusion.by_server else retrieve)(retrieved, plan, target)
    with clock("fuse"):
        fused = [one.fused(plan.fusion) for one in retrieved]
    for one, hits in zip(retrieved, fused, strict=True):
        if not hits:
            yield from _say_why(one, plan, target)
    with clock("fetch"):
        stored = yield from _fetch(retrieved, fused, plan, target)
    with clock("rerank"):
        ranked = []
        for one, hits in zip(retrieved, fused, strict=True):
            ranked.append((yield from _rerank(one, hits, stored, plan)))
    took = clock.milliseconds()
    return [
        SearchResult(
            query=one.query,
            hits=_page(one, hits, stored, plan),
            legs=one.reports,
            fusion=plan.fusion.among(set(plan.legs) - set(one.errors)).label,
            reranker=None if plan.reranking is None else reranker,
            took_ms=took,
            warnings=one.warnings,
        )
        for one, hits in zip(retrieved, ranked, strict=True)
    ]


def _say_why(one: Retrieved, plan: Plan, target: Target) -> Generator[Step, Any, None]:
    """Name the reason for an empty page: that of the leg which would find most."""
    searched = [leg for leg in (Leg.DENSE, Leg.BM25) if leg in plan.legs and leg not in one.errors]
    leg = searched[0] if searched else None
    if reason := (yield from why_nothing(one.query, leg, target, timeout=plan.timeout)):
        one.warnings.append(f"nothing found: {reason}")


class Stopwatch:
    """Wall milliseconds of named steps, and of all of them under ``total``."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._steps: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._steps[step] = (time.perf_counter() - begin) * 1000

    def milliseconds(self) -> dict[str, float]:
        """What was measured so far."""
        return {**self._steps, "total": (time.perf_counter() - self._begin) * 1000}


def _fetch(
    retrieved: Sequence[Retrieved], fused: Sequence[list[Fused]], plan: Plan, target: Target
) -> Generator[Step, Any, dict[str, Stored]]:
    """The stored passages that will be shown or reranked, by passage id."""
    wanted = [
        [one.best(hit).passage_id for hit in hits[: plan.reach]] for one, hits in zip(retrieved, fused, strict=True)
    ]
    stored = yield from fetch([ids for ids in wanted if ids], target, timeout=plan.timeout)
    for one, ids in zip(retrieved, wanted, strict=True):
        if gone := sum(id_ not in stored for id_ in ids):
            one.warnings.append(f"passages found but not fetched: {gone} (deleted meanwhile, or late)")
    return stored


def fetch(
    groups: Sequence[Sequence[str]], target: Target, *, timeout: float
) -> Generator[Step, Any, dict[str, Stored]]:
    """The stored passages of groups of ids, in one request, by passage id; those that are gone are left out.

    Raises:
        EngineError: the engine refuses, or does not answer.
    """
    if not groups:
        return {}
    bodies = [legs.passage_fetch(ids, timeout=timeout) for ids in groups]
    answer = yield Send(legs.multi_search(target.index, bodies, timeout=patience(timeout, len(groups))))
    stored: dict[str, Stored] = {}
    for response in answer["responses"]:
        if "error" in response:
            raise error_for(failure(response["status"], response), target.where)
        stored.update((hit["_id"], hit["_source"]) for hit in response["hits"]["hits"])
    return stored


def _rerank(
    one: Retrieved, fused: Sequence[Fused], stored: Mapping[str, Stored], plan: Plan
) -> Generator[Step, Any, list[Reranked]]:
    """The first hits reranked where the plan says so; what could not be fetched is left out."""
    hits = [hit for hit in fused[: plan.reach] if one.best(hit).passage_id in stored]
    if plan.reranking is None or not hits:
        return [Reranked(hit, hit.score, None) for hit in hits]
    texts = [stored[one.best(hit).passage_id][layout.TEXT] for hit in hits[: plan.reranking.window]]
    scores = yield Score(one.query.text, texts)
    return combine(hits, scores, plan.reranking.weight)


def _page(one: Retrieved, ranked: Sequence[Reranked], stored: Mapping[str, Stored], plan: Plan) -> list[Hit]:
    page = ranked[plan.offset : plan.offset + plan.k]
    return [_hit(rank, hit, one.best(hit.hit), stored) for rank, hit in enumerate(page, start=plan.offset + 1)]


def _hit(rank: int, hit: Reranked, best: Best, stored: Mapping[str, Stored]) -> Hit:
    passage = stored[best.passage_id]
    return Hit(
        rank=rank,
        id=document_id(best.passage_id),
        score=hit.score,
        fused=hit.hit.score,
        text=passage[layout.TEXT],
        passage_id=best.passage_id,
        start=passage[layout.START],
        end=passage[layout.END],
        fields=layout.user_fields(passage),
        legs={leg: hit.hit.legs[leg] for leg in Leg if leg in hit.hit.legs},
        rerank=hit.rerank,
    )
