"""Facets in the course of a search: none of them costs a round trip of its own.

Those over candidates are counted here, from what the legs bring along. Where the filter has conditions on a facet's
own field, the legs search a second time beside the first, in the same request, without these: what the list would be
drawn from if nothing were chosen of that facet. Those over all matches are aggregations that go with the fetch.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hybrid_search.errors import EngineError, HybridSearchError
from hybrid_search.fields import filter_kinds
from hybrid_search.filters import Filter, clause
from hybrid_search.found import FacetCounts
from hybrid_search.records import IndexSchema, Query
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered
from hybrid_search.search.carried import Values
from hybrid_search.search.collapse import document_id
from hybrid_search.search.degradation import FACETS
from hybrid_search.search.facets import BM25, CANDIDATES, Facet, candidate_fields
from hybrid_search.search.facets_counted import Counted, count
from hybrid_search.search.facets_engine import Grouped
from hybrid_search.search.facets_filter import selected, without_field
from hybrid_search.search.fusion import ids_of
from hybrid_search.search.leg import Asking, LegQuery
from hybrid_search.search.plan import Plan
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.stages import Course, Progress
from hybrid_search.search.standard_legs import BM25 as BM25_LEG
from hybrid_search.search.steps import Step, boundary
from hybrid_search.search_warnings import SearchWarning, WarningCode


@dataclass(frozen=True, slots=True)
class Reopened:
    """The query at ``place`` in its batch, without the conditions of its filter on ``field`` alone."""

    place: int
    field: str
    query: Query


def reopened(queries: Sequence[Query], plan: Plan) -> list[Reopened]:
    """The searches that facets over candidates need beside those for the hits."""
    found = []
    for place, query in enumerate(queries):
        for name in candidate_fields(plan.facets):
            rest, left_out = without_field(query.filter, name)
            if left_out:
                found.append(Reopened(place, name, replace(query, filter=rest)))
    return found


def by_place(others: Sequence[Reopened], found: Sequence[Retrieved], place: int) -> dict[str, Retrieved]:
    """What came of those for one query, by field."""
    return {one.field: made for one, made in zip(others, found, strict=True) if one.place == place}


def count_candidates(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The facets over the fused candidates of every query."""
    yield from ()
    facets = [facet for facet in course.plan.facets if facet.counts == CANDIDATES]
    if not facets:
        return list(queries)
    with course.clock("facets"):
        return [one if one.error else _with_candidates(one, facets, course) for one in queries]


def _with_candidates(one: Progress, facets: Sequence[Facet], course: Course) -> Progress:
    schema = course.target.schema
    found: dict[str, FacetCounts] = {}
    lost: list[SearchWarning] = []
    own = _documents(one.retrieved.values, ids_of(one.fused), collapsed=course.plan.collapse.documents)
    for facet in facets:
        again = one.reopened.get(facet.field)
        over = Counted(own)
        if again is not None and again.error is not None:
            lost.append(failed(again.error, [facet]))
            continue
        if again is not None:
            ids = list(ids_of(again.fused(course.plan.fusion)))
            _, left_out = without_field(one.retrieved.query.filter, facet.field)
            values = {**one.retrieved.values, **again.values}
            ids += one.retrieved.added.hits
            documents = _documents(values, ids, collapsed=course.plan.collapse.documents)
            over = Counted(documents, selected(left_out, facet.field, schema), without_own_filter=True)
        found[facet.called] = count(facet, filter_kinds(schema)[facet.field], over)
    return replace(one, facets={**one.facets, **found}).noting(*lost)


def _documents(values: Mapping[str, Values], ids: Sequence[str], *, collapsed: bool) -> dict[str, Values]:
    """The values of the documents behind the ids of a ranking, which are of passages where it is not collapsed."""
    return {id_ if collapsed else document_id(id_): values.get(id_, {}) for id_ in ids}


@dataclass(frozen=True, slots=True)
class Counting:
    """One search for the facets of the query at ``place`` in its batch."""

    place: int
    group: Grouped
    schema: IndexSchema

    def body(self, within: float) -> legs.Body:
        """The whole search body."""
        return self.group.body(self.schema, within)


def over_all(queries: Sequence[Progress], course: Course) -> tuple[list[Progress], list[Counting]]:
    """The searches of facets over all matches, to be sent with the fetch; what cannot be asked is said."""
    facets = [facet for facet in course.plan.facets if facet.counts != CANDIDATES]
    told, asked = list(queries), list[Counting]()
    for place, one in enumerate(queries):
        for group in _groups(one, facets) if one.error is None else ():
            try:
                with boundary(what="what the bm25 leg asks"):
                    asked.append(Counting(place, _grouped(one, group, course), course.target.schema))
            except HybridSearchError as error:
                told[place] = told[place].noting(failed(error, group.facets))
    return told, asked


@dataclass(frozen=True, slots=True)
class _Group:
    """Facets that count the same: under one filter, of which ``left_out`` is what was said of their own field."""

    facets: Sequence[Facet]
    filter: Filter | None
    left_out: Sequence[Filter]


def _groups(one: Progress, facets: Sequence[Facet]) -> list[_Group]:
    groups: dict[tuple[str, str | None], list[Facet]] = {}
    filters = {facet.field: without_field(one.retrieved.query.filter, facet.field) for facet in facets}
    for facet in facets:
        own = facet.field if filters[facet.field][1] else None
        groups.setdefault((facet.counts, own), []).append(facet)
    return [_Group(together, *filters[together[0].field]) for together in groups.values()]


def _grouped(one: Progress, group: _Group, course: Course) -> Grouped:
    query, target = replace(one.retrieved.query, filter=group.filter), course.target
    typed = None if query.read is None else query.read.filter
    matching = legs.both(None if query.filter is None else clause(query.filter, target.schema, now=query.now), typed)
    words = group.facets[0].counts == BM25
    counted = _words(query, Asking(target, matching, text=course.plan.text), one, course.plan) if words else matching
    values = selected(list(group.left_out), group.facets[0].field, target.schema) if group.left_out else ()
    return Grouped(
        counted or {"match_all": {}},
        group.facets,
        by_passage=words or typed is not None,
        selected={facet.called: values for facet in group.facets},
        without_own_filter=bool(group.left_out),
    )


def _words(query: Query, asking: Asking, one: Progress, plan: Plan) -> Mapping[str, Any]:
    """What the BM25 leg asks, be it one of somebody's own: its error, where that failed before."""
    leg = next((leg for leg in plan.legs if leg.name == BM25_LEG.name), BM25_LEG)
    if (error := one.retrieved.errors.get(leg.name)) is not None:
        raise error
    asked = leg.ask(query, asking)
    found: Mapping[str, Any] = asked.body(1)["query"] if isinstance(asked, LegQuery) else {"match_none": {}}
    return found


def with_counts(
    queries: Sequence[Progress], asked: Sequence[Counting], answers: Sequence[Answered | EngineError]
) -> list[Progress]:
    """The queries with what engines have counted; what they have not is said."""
    told = list(queries)
    for one, answer in zip(asked, answers, strict=True):
        told[one.place] = _counted(told[one.place], one, answer)
    return told


def _counted(progress: Progress, asked: Counting, answer: Answered | EngineError) -> Progress:
    facets = asked.group.facets
    if isinstance(answer, EngineError):
        return progress.noting(failed(answer, facets))
    whole = not (answer.timed_out or answer.failed_shards)
    try:
        with boundary(what="reading them"):
            found = asked.group.read(answer.aggregations, asked.schema, whole=whole)
    except HybridSearchError as error:
        return progress.noting(failed(error, facets))
    notes = () if whole else (_partial(answer, facets),)
    return replace(progress, facets={**progress.facets, **found}).noting(*notes)


def failed(error: HybridSearchError, facets: Collection[Facet]) -> SearchWarning:
    """Facets that are left out."""
    named = ", ".join(facet.called for facet in facets)
    return SearchWarning(f"not counted: {named}: {error}", WarningCode.FACETS_FAILED, FACETS)


def _partial(answer: Answered, facets: Collection[Facet]) -> SearchWarning:
    named = ", ".join(facet.called for facet in facets)
    if answer.failed_shards:
        lacking = f"without {answer.failed_shards} of {answer.shards} shards"
        return SearchWarning(f"counted {named} {lacking}", WarningCode.SHARDS_MISSING, FACETS)
    return SearchWarning(f"counting {named} was stopped: there was no time for all", WarningCode.STOPPED, FACETS)
