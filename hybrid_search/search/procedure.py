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
from hybrid_search.errors import HybridSearchError, IndexMissingError, ModelBusyError, RequestRefusedError
from hybrid_search.records import Hit, Leg, Query, SearchResult
from hybrid_search.search.asking import Budget, Target, check_alias
from hybrid_search.search.collapse import Best, document_id
from hybrid_search.search.fetch import Stored, fetch_hits
from hybrid_search.search.fusion import Fused
from hybrid_search.search.plan import Plan
from hybrid_search.search.reasons import why_nothing
from hybrid_search.search.rerank import Reranked, checked_scores, combine
from hybrid_search.search.retrieve import Retrieved, encode, retrieve
from hybrid_search.search.server_fusion import retrieve_fused
from hybrid_search.search.steps import Score, Step

Outcome = SearchResult | HybridSearchError
"""What comes of one query of a batch: its result, or why there is none."""


_OF_ANOTHER = (IndexMissingError, RequestRefusedError)
"""What an engine answers where the index is gone, or an alias stands for one of other models."""


def search(
    queries: Sequence[Query], plan: Plan, target: Target, *, reranker: str | None = None
) -> Generator[Step, Any, list[Outcome]]:
    """Search for every query; outcomes in their order.

    A part that fails is left out and named in the result's warnings: a leg whose search or encoder fails, reranking,
    passages that are gone. A query has an error instead of a result where nothing could be retrieved for it, or its
    passages could not be fetched; the other queries are answered.

    Args:
        queries: checked (:func:`~hybrid_search.search.plan.check_query`).
        plan: how.
        target: where.
        reranker: the name of what answers :class:`~hybrid_search.search.steps.Score`, for the results.
    """
    clock, budget = Stopwatch(), Budget(plan.timeout)
    with clock("encode"):
        retrieved = yield from encode(queries, plan)
    with clock("retrieve"):
        yield from (retrieve_fused if plan.fusion.by_server else retrieve)(retrieved, plan, target, budget)
        if any(isinstance(error, _OF_ANOTHER) for one in retrieved for error in (one.error, *one.errors.values())):
            yield from check_alias(target, budget)
    with clock("fuse"):
        fused = [[] if one.error else one.fused(plan.fusion) for one in retrieved]
    with clock("fetch"):
        stored = yield from fetch_hits(retrieved, fused, plan.reach, target, budget)
        yield from _say_why_nothing(retrieved, fused, plan, target, budget)
    with clock("rerank"):
        ranked = yield from _reranked(retrieved, fused, stored, plan)
    took = clock.milliseconds()
    return [
        one.error or _result(one, hits, stored, plan, reranker=reranker, took=took)
        for one, hits in zip(retrieved, ranked, strict=True)
    ]


def _result(
    one: Retrieved,
    ranked: Sequence[Reranked],
    stored: Mapping[str, Stored],
    plan: Plan,
    *,
    reranker: str | None,
    took: Mapping[str, float],
) -> SearchResult:
    unranked = bool(ranked) and all(hit.rerank is None for hit in ranked)
    return SearchResult(
        query=one.query,
        hits=_page(one, ranked, stored, plan),
        legs={leg: one.reports[leg] for leg in Leg if leg in one.reports},
        fusion=plan.fusion.among(set(plan.legs) - set(one.errors)).label,
        reranker=None if plan.reranking is None or unranked else reranker,
        took_ms=took,
        warnings=[*one.cuts.values(), *one.warnings],
    )


def _say_why_nothing(
    retrieved: Sequence[Retrieved], fused: Sequence[Sequence[Fused]], plan: Plan, target: Target, budget: Budget
) -> Generator[Step, Any, None]:
    """Name the reason for every empty page: that of the leg which would find most."""
    for one in (one for one, hits in zip(retrieved, fused, strict=True) if not hits and one.error is None):
        searched = [leg for leg in (Leg.DENSE, Leg.BM25) if leg in plan.legs and leg not in one.errors]
        leg = searched[0] if searched else None
        if reason := (yield from why_nothing(one.query, leg, target, budget)):
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


def _reranked(
    retrieved: Sequence[Retrieved], fused: Sequence[Sequence[Fused]], stored: Mapping[str, Stored], plan: Plan
) -> Generator[Step, Any, list[list[Reranked]]]:
    """The first hits of every query, reranked where the plan says so; what was not fetched is left out.

    Where the reranker fails, the fused order stays. One that was too busy for a query is not waited for again.
    """
    ranked: list[list[Reranked]] = []
    busy: ModelBusyError | None = None
    for one, found in zip(retrieved, fused, strict=True):
        hits = [hit for hit in found if one.best(hit).passage_id in stored][: plan.reach]
        ranked.append([Reranked(hit, hit.score, None) for hit in hits])
        if plan.reranking is None or not hits:
            continue
        texts = [stored[one.best(hit).passage_id][layout.TEXT] for hit in hits[: plan.reranking.window]]
        try:
            if busy is not None:
                raise busy
            scores = checked_scores((yield Score(one.query.text, texts, plan.timeout)), len(texts))
        except HybridSearchError as error:
            busy = error if isinstance(error, ModelBusyError) else None
            one.warnings.append(f"not reranked: {error}")
        else:
            ranked[-1] = combine(hits, scores, plan.reranking.weight)
    return ranked


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
