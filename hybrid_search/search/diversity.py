"""The stage that spreads the ranked hits: by maximal marginal relevance, and at most so many of one value of a field.

It comes last, on the order that is left by reranking and before the page is cut: in the first ``diversity.window``
hits the next is the one that is relevant and unlike those above it, among those that ``max_per`` admits; the others
follow in their order, as far as it admits them. Pinned hits stand above and count; buried ones stay behind. What is
decided does not depend on the page, so that pages are slices of one list.

The vectors come with the passages, in the same request.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hybrid_search.engine import layout
from hybrid_search.records import DiversityScore
from hybrid_search.search.boosts import parted
from hybrid_search.search.fusion import Fused
from hybrid_search.search.limits import Counts
from hybrid_search.search.mmr import Mmr, chosen
from hybrid_search.search.plan import Plan
from hybrid_search.search.rerank import Reranked, unit_scaled
from hybrid_search.search.similar_held import dense_of
from hybrid_search.search.stages import Course, Progress
from hybrid_search.search.steps import Step
from hybrid_search.search_warnings import SearchWarning, WarningCode

MAX_PER = "max_per"
"""The part of a search that warnings about left out hits name."""


def first_hits(one: Progress, plan: Plan) -> tuple[Sequence[Fused], int]:
    """The hits that may be shown, by rank, and how many of the first are needed.

    Those that other hits of their values keep from the list, whatever is reordered above them, are not among them.
    """
    if not plan.max_per:
        return one.fused, reach(one, plan)
    counts, above = Counts(plan.max_per, one.retrieved.values), len(parted(one.fused)[0])
    hits, needed, moved = [], plan.offset + plan.k, _reordered(one, plan)
    for place, hit in enumerate(one.fused):
        admitted = _admitted(counts, hit.id, pinned=place < above)
        if admitted or place < moved:
            hits.append(hit)
        needed += not admitted and place < moved
    return hits, max(moved, needed)


def reach(one: Progress, plan: Plan) -> int:
    """How many of the first hits of a query are fetched."""
    return max(plan.reach, _reordered(one, plan))


def _reordered(one: Progress, plan: Plan) -> int:
    """How many of the first hits may stand in another order: a pinned document may be several passages of a ranking."""
    if not plan.reordered or plan.collapse.documents or not plan.boosts.pinned:
        return plan.reordered
    return plan.reordered + max(0, len(parted(one.fused)[0]) - len(plan.boosts.pinned))


def spread_hits(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The ranked hits of every query, spread where the plan says so."""
    yield from ()
    plan = course.plan
    if plan.diversity is None and not plan.max_per:
        return list(queries)
    with course.clock("spread"):
        return [one if one.error else _spread(one, plan) for one in queries]


def _spread(one: Progress, plan: Plan) -> Progress:
    counts = Counts(plan.max_per, one.retrieved.values)
    above, between, below = _parted(one.ranked)
    for hit in above:
        counts.add(hit.hit.id)
    window = 0 if plan.diversity is None else plan.diversity.window
    head, rest = between[:window], [*between[window:], *below]
    scores = {} if plan.diversity is None else dict(_diversified(one, above, head, plan.diversity, counts))
    by_id = {hit.hit.id: hit for hit in head}
    ranked = [*above, *(by_id[id_] for id_ in scores), *(hit for hit in rest if counts.admits(hit.hit.id))]
    return replace(one, ranked=ranked, diversity=scores).noting(*_short(ranked, counts, plan))


def _parted(ranked: Sequence[Reranked]) -> tuple[list[Reranked], list[Reranked], list[Reranked]]:
    above, between, below = parted(hit.hit for hit in ranked)
    by_id = {hit.hit.id: hit for hit in ranked}
    return tuple([by_id[hit.id] for hit in part] for part in (above, between, below))  # type: ignore[return-value]  # three


def _diversified(
    one: Progress, above: Sequence[Reranked], head: Sequence[Reranked], mmr: Mmr, counts: Counts
) -> Iterator[tuple[str, DiversityScore]]:
    """The hits of the window in their new order, with their scores."""
    if not head:
        return
    relevance = unit_scaled([hit.score for hit in head], len(head))
    vectors = _vectors(one, [*above, *head])
    for next_ in chosen(
        relevance, vectors, mmr.weight, above=len(above), may_follow=lambda place: counts.admits(head[place].hit.id)
    ):
        rank = len(above) + next_.place + 1
        score = DiversityScore(rank, relevance[next_.place], next_.similarity, next_.score)
        yield head[next_.place].hit.id, score


def _vectors(one: Progress, hits: Sequence[Reranked]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The stored vectors, float64 of shape (hits, dimension); zeros for one that is not there, or no vector."""
    passages = [one.stored.get(one.retrieved.best(hit.hit).passage_id, {}) for hit in hits]
    found = [_vector(passage.get(layout.DENSE)) for passage in passages]
    size = max((len(vector) for vector in found if vector is not None), default=1)
    return np.array([_row(vector, size) for vector in found], dtype=np.float64)


def _vector(stored: Any) -> Any:
    try:
        return dense_of(stored)
    except (TypeError, ValueError):  # what another program wrote
        return None


def _row(vector: Any, size: int) -> Any:
    return vector if vector is not None and len(vector) == size and np.isfinite(vector).all() else np.zeros(size)


def _admitted(counts: Counts, id_: str, *, pinned: bool) -> bool:
    if pinned:
        counts.add(id_)
        return True
    return counts.admits(id_)


def _short(ranked: Sequence[Reranked], counts: Counts, plan: Plan) -> tuple[SearchWarning, ...]:
    """What is said of a page that is not full for what was left out."""
    if len(ranked) >= plan.offset + plan.k or not counts.left_out:
        return ()
    text = f"max_per left out {counts.left_out} of {len(ranked) + counts.left_out} hits: ask for a wider window"
    return (SearchWarning(text, WarningCode.FEW_DOCUMENTS, MAX_PER),)
