"""The stage that asks which passages of an owner's documents were found, for the hits that are fetched alone.

The legs name documents. Where an engine says of every hit in which of its passages the query is (``inner_hits``), the
sparse leg takes almost three times as long (docs/attach.md); a page or a reranker reads far fewer hits than a leg
finds. Each hit is asked of the leg whose passage stands for it. What a later stage fetches besides, in the place of
documents that are gone meanwhile, is shown by its first passage.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from hybrid_search.errors import EngineError, HybridSearchError
from hybrid_search.records import Query
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered, Target, ask
from hybrid_search.search.collapse import document_id
from hybrid_search.search.degradation import unplaced
from hybrid_search.search.diversity import first_hits
from hybrid_search.search.encoding import encode, with_vectors
from hybrid_search.search.leg import VECTORS, Asking, LegQuery, SearchLeg
from hybrid_search.search.outcomes import missed
from hybrid_search.search.stages import Course, Progress
from hybrid_search.search.steps import Step, boundary

FIRST = "#0"
"""How the id of a first passage ends."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of one leg for the query at ``place`` in its batch."""

    place: int
    leg: SearchLeg
    body: legs.Body
    size: int

    def whole(self, within: float) -> legs.Body:
        return legs.passage_search(self.body, size=self.size, timeout=within, attached=True)


def find_places(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The queries with the passages of the first hits as the legs have found them."""
    told = list(queries)
    if course.target.schema.attached is None or not course.plan.collapse.documents:
        return told
    asked = [search for n, one in enumerate(told) if one.error is None for search in _searches(n, one, course)]
    if not asked:
        return told
    with course.clock("fetch"):
        try:
            answers: Sequence[Answered | EngineError] = yield from ask(
                [search.whole for search in asked], course.target, course.budget
            )
        except EngineError as error:
            answers = [error] * len(asked)
    for search, answer in zip(asked, answers, strict=True):
        told[search.place] = _placed(told[search.place], search.leg, answer)
    return told


def places_again(query: Query, passage_ids: Sequence[str], course: Course) -> Generator[Step, Any, dict[str, str]]:
    """The passages nearest to the query, of an owner's documents that stand by their first, by the ids of these.

    A cursor keeps no vectors: the query is encoded for the first leg that has any.
    """
    plan, target = course.plan, course.target
    leg = next((leg for leg in plan.legs if leg.part in VECTORS), None)
    ids = [document_id(id_) for id_ in passage_ids if id_.endswith(FIRST)]
    if target.schema.attached is None or not plan.collapse.documents or leg is None or not ids:
        return {}
    [made] = yield from encode([query], [leg], course.budget)
    body = _body(leg, with_vectors(query, made), ids, target)
    if body is None:
        return {}
    [answer] = yield from ask([_Asked(0, leg, body, len(ids)).whole], target, course.budget)
    found = answer.hits if isinstance(answer, Answered) else ()
    return {f"{document_id(hit['_id'])}{FIRST}": str(hit["_id"]) for hit in found}


def _searches(place: int, one: Progress, course: Course) -> list[_Asked]:
    """One for each leg whose passages stand for some of the hits that will be fetched."""
    hits, reach = first_hits(one, course.plan)
    standing: dict[str, list[str]] = {}
    for hit in islice(hits, reach):
        if hit.legs and hit.id not in one.retrieved.added.hits:
            standing.setdefault(one.retrieved.standing(hit), []).append(hit.id)
    found = []
    for leg in course.plan.legs:
        ids = standing.get(leg.name, []) if leg.part in VECTORS else []
        if ids and (body := _body(leg, one.retrieved.query, ids, course.target)) is not None:
            found.append(_Asked(place, leg, body, len(ids)))
    return found


def _body(leg: SearchLeg, query: Query, ids: Sequence[str], target: Target) -> legs.Body | None:
    """What the leg asks when these documents alone pass; None where one of somebody's own cannot ask."""
    asking = Asking(target, {"ids": {"values": list(ids)}}, len(ids), exact=True, says_place=True)
    try:
        with boundary():
            asked = leg.ask(query, asking)
            return asked.body(len(ids)) if isinstance(asked, LegQuery) else None
    except HybridSearchError:
        return None


def _placed(one: Progress, leg: SearchLeg, answer: Answered | EngineError) -> Progress:
    if isinstance(answer, EngineError):
        return one.noting(unplaced(missed(answer)))
    passages = {document_id(hit["_id"]): str(hit["_id"]) for hit in answer.hits}
    return replace(one, retrieved=one.retrieved.placed(leg.name, passages))
