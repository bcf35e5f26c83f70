"""The stage that asks the reranker; what is made of its scores is in :mod:`hybrid_search.search.rerank`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.errors import HybridSearchError, ModelTimeoutError
from hybrid_search.search.asking import Budget
from hybrid_search.search.degradation import unranked
from hybrid_search.search.outcomes import Failed, Found, Late, missed
from hybrid_search.search.rerank import Reranked, Reranking, checked_scores, combine
from hybrid_search.search.stages import Course, Progress
from hybrid_search.search.steps import Score, Step


def rerank_hits(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The first hits of every query, reranked where the plan says so; what was not fetched is left out.

    Where the reranker fails, the fused order stays. One that was late for a query is not asked for the others. A batch
    is reranked query by query, each within the time of a search.
    """
    done: list[Progress] = []
    late: Late | None = None
    whole = Budget(course.budget.seconds * len(queries), course.budget.begun)
    with course.clock("rerank"):
        for one in (_fetched(query, course) for query in queries):
            reranking = course.plan.reranking
            if reranking is None or not one.ranked:
                done.append(one)
                continue
            outcome = late or (yield from _scored(one, reranking, min(course.budget.seconds, whole.left)))
            if isinstance(outcome, Found):
                done.append(replace(one, ranked=outcome.value))
            else:
                late = outcome if isinstance(outcome, Late) else None
                done.append(one.noting(unranked(outcome)))
    return done


def _fetched(one: Progress, course: Course) -> Progress:
    """The query with its hits as they stand without reranking."""
    if one.error is not None:
        return one
    hits = [hit for hit in one.fused if one.retrieved.best(hit).passage_id in one.stored][: course.plan.reach]
    return replace(one, ranked=[Reranked(hit, hit.score, None) for hit in hits])


def _scored(
    one: Progress, reranking: Reranking, patience: float
) -> Generator[Step, Any, Found[list[Reranked]] | Failed | Late]:
    hits = [ranked.hit for ranked in one.ranked]
    texts = [one.stored[one.retrieved.best(hit).passage_id][layout.TEXT] for hit in hits[: reranking.window]]
    try:
        if patience <= 0:
            raise ModelTimeoutError("no time is left for it", remedy="Give the search more: search.timeout")
        scores = checked_scores((yield Score(one.retrieved.query.text, texts, patience)), len(texts))
    except HybridSearchError as error:
        return missed(error)
    return Found(combine(hits, scores, reranking.weight))
