"""The search, from queries to explained hits, as one generator without input or output of its own.

    encode -> three legs in one _msearch -> collapse -> fuse -> boost -> fetch -> rerank -> spread -> page

It yields steps (:mod:`hybrid_search.search.steps`) and is driven by the synchronous and the asynchronous client
alike. A batch of queries takes the same number of round trips as one. Every arrow is a stage (:data:`STAGES`): a small
function from what has come of each query to what has come of it then.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.errors import HybridSearchError, IndexMissingError, RequestRefusedError
from hybrid_search.records import Hit, Query, SearchResult
from hybrid_search.search.asking import Budget, Target, check_alias
from hybrid_search.search.boosting import boost_hits
from hybrid_search.search.collapse import document_id
from hybrid_search.search.completing import complete_pages
from hybrid_search.search.covered import coverage_warnings
from hybrid_search.search.cursor import Kind
from hybrid_search.search.cursor_binding import Paging
from hybrid_search.search.cursor_pages import RestOfList, frozen_hits
from hybrid_search.search.diversity import spread_hits
from hybrid_search.search.facets_stage import by_place, count_candidates, reopened
from hybrid_search.search.fetch import fetch_hits
from hybrid_search.search.highlight_stage import encode_again, highlight_hits
from hybrid_search.search.leg import SearchLeg
from hybrid_search.search.notebook import Shown
from hybrid_search.search.places import find_places
from hybrid_search.search.plan import Plan
from hybrid_search.search.rerank import Reranked
from hybrid_search.search.reranking import rerank_hits
from hybrid_search.search.retrieve import encode_and_begin, retrieve
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.server_fusion import retrieve_fused
from hybrid_search.search.stages import Course, Progress, Stage, Stopwatch
from hybrid_search.search.steps import Step, boundary
from hybrid_search.search_warnings import SearchWarning, WarningCode

ResultOrError = SearchResult | HybridSearchError
"""What comes of one query of a batch: its result, or why there is none."""

_OF_ANOTHER = (IndexMissingError, RequestRefusedError)
"""What an engine answers where the index is gone, or an alias stands for one of other models."""


def search(
    queries: Sequence[Query],
    plan: Plan,
    target: Target,
    *,
    reranker: str | None = None,
    paging: Paging | None = None,
    budget: Budget | None = None,
    clock: Stopwatch | None = None,
) -> Generator[Step, Any, list[ResultOrError]]:
    """Search for every query; results, or why there are none, in their order.

    A part that fails or is late is left out and named in the result's warnings
    (:mod:`hybrid_search.search.degradation`). A query has an error instead of a result where nothing could be retrieved
    for it, or its passages could not be fetched; the other queries are answered.

    Args:
        queries: checked (:func:`~hybrid_search.search.plan.check_query`).
        plan: how.
        target: where.
        reranker: the name of what answers :class:`~hybrid_search.search.steps.Score`, for the results.
        paging: what cursors are made with, and the list that a cursor goes on with; without, results have none.
        budget: the time of the search, where it began before; None begins that of the plan.
        clock: of its steps; None for one of its own.
    """
    course = Course(plan, target, budget or Budget(plan.timeout), clock or Stopwatch(), paging)
    progress = [Progress(Retrieved(query)) for query in queries]
    for stage in STAGES if paging is None or paging.frozen is None else CONTINUING:
        progress = yield from stage(progress, course)
    return [one.error or _result(one, asked, course, reranker) for one, asked in zip(progress, queries, strict=True)]


def retrieve_runs(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """What came of every leg, or of the server that fuses them."""
    asked, plan, target, budget = [one.retrieved.query for one in queries], course.plan, course.target, course.budget
    others = reopened(asked, plan)
    every = [*asked, *(one.query for one in others)]
    with course.clock("encode"):
        begun = yield from encode_and_begin(asked, plan, target, budget)
        begun = begun.also_for(one.place for one in others)
    with course.clock("retrieve"):
        if plan.fusion.by_server:
            found = yield from retrieve_fused(every, plan, target, budget, begun.encodings)
        else:
            found = yield from retrieve(every, plan, target, budget, begun)
        errors = [error for one in found for error in (one.error, *one.errors.values())]
        if any(isinstance(error, _OF_ANOTHER) for error in errors):
            yield from check_alias(target, budget)
    own, again = found[: len(asked)], found[len(asked) :]
    return [Progress(one, error=one.error, reopened=by_place(others, again, n)) for n, one in enumerate(own)]


def fuse_runs(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The runs as one ranking."""
    yield from ()
    with course.clock("fuse"):
        said = coverage_warnings(course.target, course.plan)
        fused = [one if one.error else replace(one, fused=one.retrieved.fused(course.plan.fusion)) for one in queries]
        return [one.noting(*said) for one in fused]


def say_why_nothing(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """Name the reason for every empty page: that of the leg which would find most."""
    said: list[Progress] = []
    with course.clock("fetch"):
        for one in queries:
            reason = None
            searched = [leg for leg in course.plan.legs if leg.name not in one.retrieved.errors]
            for leg in sorted(searched, key=lambda leg: not leg.finds_all):
                if one.fused or one.error or reason:
                    break
                reason = yield from _why_nothing(leg, one.retrieved.query, course)
            note = SearchWarning(f"nothing found: {reason}", WarningCode.NOTHING_FOUND)
            said.append(one.noting(note) if reason else one)
    return said


def _why_nothing(leg: SearchLeg, query: Query, course: Course) -> Generator[Step, Any, str | None]:
    """What the leg says; a fault in one of somebody's own only costs the reason."""
    try:
        with boundary():
            return (yield from leg.why_nothing(query, course.target, course.budget))
    except HybridSearchError:
        return None


STAGES: tuple[Stage, ...] = (
    retrieve_runs,
    fuse_runs,
    boost_hits,
    count_candidates,
    find_places,
    fetch_hits,
    say_why_nothing,
    rerank_hits,
    spread_hits,
    complete_pages,
    highlight_hits,
)

CONTINUING: tuple[Stage, ...] = (frozen_hits, encode_again, highlight_hits)
"""Those of a page that a cursor goes on with: it was ranked before."""


def _result(one: Progress, asked: Query, course: Course, reranker: str | None) -> SearchResult:
    plan, found, kind = course.plan, one.retrieved, _kind(one, course, reranker)
    return SearchResult(
        query=found.query,
        hits=_page(one, plan),
        legs=found.reports,
        fusion=kind.fusion,
        reranker=kind.reranker,
        took_ms=course.clock.milliseconds(),
        warnings=[*found.warnings, *one.notes],
        rest=RestOfList(one, asked, course, kind),
        facets={facet.called: one.facets[facet.called] for facet in plan.facets if facet.called in one.facets},
        retrieved=found,
        shown=Shown(course.target.schema.title),
    )


def _kind(one: Progress, course: Course, reranker: str | None) -> Kind:
    """How the list was made: as the cursor says, where it goes on."""
    plan = course.plan
    if course.paging is not None and course.paging.frozen is not None:
        return course.paging.frozen.kind
    unranked = bool(one.ranked) and all(hit.rerank is None for hit in one.ranked)
    label = one.retrieved.fusion(plan.fusion).among(set(plan.names) - one.retrieved.errors.keys()).label
    return Kind(label, None if plan.reranking is None or unranked else reranker)


def _page(one: Progress, plan: Plan) -> list[Hit]:
    ranks = one.ranks or range(plan.offset + 1, plan.offset + plan.k + 1)
    return [_hit(rank, hit, one) for rank, hit in zip(ranks, one.page(plan), strict=False)]


def _hit(rank: int, hit: Reranked, one: Progress) -> Hit:
    best = one.retrieved.best(hit.hit)
    passage = one.stored[best.passage_id]
    return Hit(
        rank=rank,
        id=document_id(best.passage_id),
        score=hit.score,
        fused=hit.hit.fused,
        text=passage[layout.TEXT],
        passage_id=best.passage_id,
        start=passage[layout.START],
        end=passage[layout.END],
        fields=layout.user_fields(passage),
        legs={name: hit.hit.legs[name] for name in one.retrieved.legs if name in hit.hit.legs},
        rerank=hit.rerank,
        boosts=dict(hit.hit.boosts),  # plain: a result is copied, pickled and written as JSON
        placed=hit.hit.placed,
        diversity=one.diversity.get(hit.hit.id),
        passages=one.further.get(hit.hit.id, ()),
        highlights=one.highlights.get(best.passage_id, ()),
    )
