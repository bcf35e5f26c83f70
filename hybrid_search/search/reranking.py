"""The stage that asks the reranker; what is made of its scores is in :mod:`hybrid_search.search.rerank`.

The best hits are scored first, in slices that fit into the time that is left: a reranker that is too slow for all of
the window has scored the upper part of it when the time is over, and the rest keeps its order below.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, takewhile
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.errors import HybridSearchError, ModelTimeoutError
from hybrid_search.search.asking import Budget, Target
from hybrid_search.search.boosts import parted
from hybrid_search.search.degradation import partly_ranked, unranked
from hybrid_search.search.diversity import reach
from hybrid_search.search.fetch import fetch
from hybrid_search.search.fusion import Fused
from hybrid_search.search.outcomes import Failed, Found, Late, missed
from hybrid_search.search.rerank import Reranked, Reranking, checked_scores, combine
from hybrid_search.search.stages import Course, Progress
from hybrid_search.search.steps import Score, Step

FIRST_SLICE = 16
"""Hits that are scored first; how long that takes says how many more there is time for."""

NEXT_SLICE = 0.5
"""The share of the time that is left which the next slice may take, as far as the ones before foretell it."""

READ_TOGETHER = 100
"""Passages that are read in one request."""


def rerank_hits(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The first hits of every query, reranked where the plan says so; what was not fetched is left out.

    Where the reranker fails, the fused order stays. One that was late for a query, be it with the last of its hits, is
    not asked for the others. A batch is reranked query by query, each within the time of a search.
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
            if late is not None:
                done.append(one.noting(unranked(late)))
                continue
            outcome, late = yield from _scored(one, reranking, min(course.budget.seconds, whole.left))
            if isinstance(outcome, Found):
                done.append(replace(one, ranked=outcome.value).noting(*outcome.notes))
            else:
                done.append(one.noting(unranked(outcome)))
    return done


def _fetched(one: Progress, course: Course) -> Progress:
    """The query with its hits as they stand without reranking."""
    if one.error is not None:
        return one
    if course.plan.max_per:  # which of them stand on the page is known when all are in order
        hits = (hit for hit in one.fused if one.retrieved.best(hit).passage_id not in one.lost)
        return replace(one, ranked=_as_they_are(hits))
    there = ((end, hit) for end, hit in enumerate(one.fused, 1) if one.retrieved.best(hit).passage_id in one.stored)
    wanted = reach(one, course.plan)
    first = list(islice(there, wanted))
    end = first[-1][0] if len(first) == wanted else len(one.fused)
    return replace(one, ranked=_as_they_are(hit for _, hit in first), beyond=one.fused[end:])


def _as_they_are(hits: Iterable[Fused]) -> list[Reranked]:
    return [Reranked(hit, hit.score, None) for hit in hits]


def _scored(
    one: Progress, reranking: Reranking, patience: float
) -> Generator[Step, Any, tuple[Found[list[Reranked]] | Failed | Late, Late | None]]:
    """The hits reranked as far as the time goes, and what was late, where it did not go all the way.

    The outcome of a reranker that scored none of them is its error's.
    """
    above, hits, below = parted(ranked.hit for ranked in one.ranked)
    passages = [one.retrieved.best(hit).passage_id for hit in hits[: reranking.window]]
    found = [one.stored[passage] for passage in takewhile(one.stored.__contains__, passages)]
    texts, stored = [source[layout.TEXT] for source in found], tokens_of(found) if reranking.stored else []
    time, scores, size = Budget(patience), list[float](), len(texts) if stored else FIRST_SLICE
    late: Late | None = None
    while len(scores) < len(texts):
        try:
            part = slice(len(scores), len(scores) + size)
            scores += yield from _slice(one.retrieved.query.plain, texts[part], stored[part], time)
        except HybridSearchError as error:
            lost = missed(error)
            late = lost if isinstance(lost, Late) else None
            if late is not None and scores:
                break
            return lost, late
        taken = time.seconds - time.left
        size = max(1, int(time.left * NEXT_SLICE * len(scores) / taken)) if taken > 0 else len(texts)
    notes = () if late is None else (partly_ranked(len(scores), len(texts)),)
    ranked = combine(hits, scores, reranking.weight, above=len(above))
    return Found([*_as_they_are(above), *ranked, *_as_they_are(below)], notes), late


def tokens_of(sources: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """The token states of all passages; none where one lacks them, because another program wrote it."""
    if not all(isinstance(source.get(layout.LATE), str) for source in sources):
        return []
    try:
        return [b64decode(source[layout.LATE]) for source in sources]
    except ValueError:  # no base64: somebody else's
        return []


def read_to_score(
    passage_ids: Sequence[str], target: Target, *, stored: bool, timeout: float
) -> Generator[Step, Any, tuple[dict[str, str], list[bytes]]]:
    """What a reranker needs of passages outside of a search: texts by id, and the token states of all, or none.

    Passages that are gone are left out. ``stored`` as in :class:`~hybrid_search.search.rerank.Reranking`.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for begin in range(0, len(passage_ids), READ_TOGETHER):
        ids = passage_ids[begin : begin + READ_TOGETHER]
        found |= yield from fetch([ids], target, Budget(timeout), late=stored)
    texts = {id_: source[layout.TEXT] for id_, source in found.items()}
    return texts, tokens_of(list(found.values())) if stored else []


def _slice(
    query: str, texts: Sequence[str], stored: Sequence[bytes], time: Budget
) -> Generator[Step, Any, list[float]]:
    left = time.left
    if left <= 0:
        raise ModelTimeoutError("no time is left for it", remedy="Give the search more: search.timeout")
    return checked_scores((yield Score(query, texts, left, stored)), len(texts))
