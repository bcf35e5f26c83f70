"""The stage that completes the page: further passages of its hits, and what was not fetched before the last order."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.errors import EngineError
from hybrid_search.records import FoundPassage
from hybrid_search.search.collapse import document_id
from hybrid_search.search.degradation import gone, unread
from hybrid_search.search.fetch import fetch
from hybrid_search.search.fusion import Fused, ids_of
from hybrid_search.search.outcomes import missed
from hybrid_search.search.plan import Plan
from hybrid_search.search.stages import Course, Progress, Stored
from hybrid_search.search.steps import Step


def complete_pages(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """What the hits of the pages still lack, in one request; none where nothing is lacking."""
    plan = course.plan
    further = [_further(one, plan) for one in queries]
    groups = [_lacking(one, some, plan) for one, some in zip(queries, further, strict=True)]
    found: Mapping[str, Stored] = {}
    if wanted := [group for group in groups if group]:
        with course.clock("fetch"):
            try:
                found = yield from fetch(wanted, course.target, course.budget)
            except EngineError as error:
                note = unread(missed(error))
                queries = [one.noting(note) if ids else one for one, ids in zip(queries, groups, strict=True)]
    done = zip(queries, further, groups, strict=True)
    return [_completed(one, some, found, plan) if ids or some else one for one, some, ids in done]


def _further(one: Progress, plan: Plan) -> dict[str, list[Fused]]:
    """The best other passages of each hit on the page, by its id."""
    if not plan.passages:
        return {}
    shown = {hit.hit.id: one.retrieved.best(hit.hit).passage_id for hit in one.page(plan)}
    others: dict[str, list[Fused]] = {id_: [] for id_ in shown}
    ranking = one.retrieved.passages(plan.fusion) if shown else ()
    for place, id_ in enumerate(ids_of(ranking)):
        some = others.get(document := document_id(id_))
        if some is not None and len(some) < plan.passages and id_ != shown[document]:
            some.append(ranking[place])
    return others


def _lacking(one: Progress, further: Mapping[str, Sequence[Fused]], plan: Plan) -> list[str]:
    shown = [one.retrieved.best(hit.hit).passage_id for hit in one.page(plan)]
    ids = [*shown, *(passage.id for some in further.values() for passage in some)]
    return [id_ for id_ in ids if id_ not in one.stored]


def _completed(
    one: Progress, further: Mapping[str, Sequence[Fused]], found: Mapping[str, Stored], plan: Plan
) -> Progress:
    stored = {**one.stored, **found}
    page = one.page(plan)
    left = [hit for hit in page if one.retrieved.best(hit.hit).passage_id in stored]
    ranked = [*one.ranked[: plan.offset], *left, *one.ranked[plan.offset + plan.k :]]
    lost = len(page) - len(left)
    passages = {
        id_: [_passage(passage, stored[passage.id], one) for passage in some if passage.id in stored]
        for id_, some in further.items()
    }
    return replace(one, stored=stored, ranked=ranked, further=passages).noting(*([gone(lost)] if lost else []))


def _passage(passage: Fused, source: Stored, one: Progress) -> FoundPassage:
    return FoundPassage(
        id=passage.id,
        text=source[layout.TEXT],
        start=source[layout.START],
        end=source[layout.END],
        score=passage.score,
        legs={name: passage.legs[name] for name in one.retrieved.legs if name in passage.legs},
    )
