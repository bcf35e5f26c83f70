"""The stage that asks the reranker; what is made of its scores is in :mod:`hybrid_search.search.rerank`.

The best hits are scored first, in slices that fit into the time that is left: a reranker that is too slow for all of
the window has scored the upper part of it when the time is over, and the rest keeps its order below.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from hybrid_search.errors import HybridSearchError
from hybrid_search.search.asking import Budget
from hybrid_search.search.degradation import partly_ranked, unranked
from hybrid_search.search.diversity import reach
from hybrid_search.search.outcomes import Failed, Found, Late, missed
from hybrid_search.search.rerank import Reranked, Reranking, checked_scores
from hybrid_search.search.rerank_window import (
    FIRST_SLICE,
    NEXT_SLICE,
    Window,
    as_they_are,
    require_time,
    score_together,
)
from hybrid_search.search.stages import Course, Progress
from hybrid_search.search.steps import Score, Step

Ranking = Found[list[Reranked]] | Failed | Late


def rerank_hits(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The first hits of every query, reranked where the plan says so; what was not fetched is left out.

    Where the reranker fails, the fused order stays. Pairs of a batch's queries are scored together where the reranker
    can, else query by query, each within the time of a search. One that was late for a query, be it with the last of
    its hits, is not asked for the others. One that fails on pairs of many is asked for each query by itself, so that a
    text that it cannot take is the failure of its own query.
    """
    whole = Budget(course.budget.seconds * len(queries), course.budget.begun)
    with course.clock("rerank"):
        fetched = [_fetched(query, course) for query in queries]
        reranking = course.plan.reranking
        if reranking is None:
            return fetched
        windows = {n: Window.of(one, reranking) for n, one in enumerate(fetched) if one.ranked}
        outcomes: dict[int, Ranking] = {}
        if reranking.together and len(windows) > 1:
            outcomes = yield from _together(windows, reranking, course, whole)
        late = next((outcome for outcome in outcomes.values() if isinstance(outcome, Late)), None)
        for n in [n for n in windows if n not in outcomes]:
            if late is None:
                patience = min(course.budget.seconds, whole.left)
                outcomes[n], late = yield from _scored(windows[n], reranking, patience)
            else:
                outcomes[n] = late
    return [_with(one, outcomes[n]) if n in outcomes else one for n, one in enumerate(fetched)]


def _with(one: Progress, outcome: Ranking) -> Progress:
    if isinstance(outcome, Found):
        return replace(one, ranked=outcome.value).noting(*outcome.notes)
    return one.noting(unranked(outcome))


def _fetched(one: Progress, course: Course) -> Progress:
    """The query with its hits as they stand without reranking."""
    if one.error is not None:
        return one
    if course.plan.max_per:  # which of them stand on the page is known when all are in order
        hits = (hit for hit in one.fused if one.retrieved.best(hit).passage_id not in one.lost)
        return replace(one, ranked=as_they_are(hits))
    there = ((end, hit) for end, hit in enumerate(one.fused, 1) if one.retrieved.best(hit).passage_id in one.stored)
    wanted = reach(one, course.plan)
    first = list(islice(there, wanted))
    end = first[-1][0] if len(first) == wanted else len(one.fused)
    return replace(one, ranked=as_they_are(hit for _, hit in first), beyond=one.fused[end:])


def _together(
    windows: dict[int, Window], reranking: Reranking, course: Course, whole: Budget
) -> Generator[Step, Any, dict[int, Ranking]]:
    """What comes of the queries whose pairs were scored together; without those that are to be asked for alone."""
    scores, lost = yield from score_together(list(windows.values()), course.budget.seconds, whole)
    outcomes: dict[int, Ranking] = {}
    for (n, window), found in zip(windows.items(), scores, strict=True):
        is_whole = len(found) == len(window.texts)
        if is_whole or (found and isinstance(lost, Late)):
            notes = () if is_whole else (partly_ranked(len(found), len(window.texts)),)
            outcomes[n] = Found(window.ranked(found, reranking.weight), notes)
        elif isinstance(lost, Late):
            outcomes[n] = lost
    return outcomes


def _scored(window: Window, reranking: Reranking, patience: float) -> Generator[Step, Any, tuple[Ranking, Late | None]]:
    """The hits reranked as far as the time goes, and what was late, where it did not go all the way.

    The outcome of a reranker that scored none of them is its error's.
    """
    texts, time, scores = window.texts, Budget(patience), list[float]()
    size, late = len(texts) if window.stored else FIRST_SLICE, None
    while len(scores) < len(texts):
        try:
            scores += yield from _slice(window, slice(len(scores), len(scores) + size), time)
        except HybridSearchError as error:
            lost = missed(error)
            late = lost if isinstance(lost, Late) else None
            if late is not None and scores:
                break
            return lost, late
        taken = time.seconds - time.left
        size = max(1, int(time.left * NEXT_SLICE * len(scores) / taken)) if taken > 0 else len(texts)
    notes = () if late is None else (partly_ranked(len(scores), len(texts)),)
    return Found(window.ranked(scores, reranking.weight), notes), late


def _slice(window: Window, part: slice, time: Budget) -> Generator[Step, Any, list[float]]:
    left, texts = time.left, window.texts[part]
    require_time(left)
    return checked_scores((yield Score(window.query, texts, left, window.stored[part])), len(texts))
