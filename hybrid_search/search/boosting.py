"""The stage that boosts; what it does to a ranking is in :mod:`hybrid_search.search.boosts`.

Pinned documents that no leg found are looked for in one request for all queries of the batch: in the index, and behind
the filters of the query, for what a caller may not see is not shown for being pinned.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from hybrid_search.errors import EngineError
from hybrid_search.records import Placed, Query
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered, ask
from hybrid_search.search.boosts import Boosts, boosted
from hybrid_search.search.carried import brought_along, docvalue_fields, values_by_id
from hybrid_search.search.collapse import SEPARATOR, Best, document_id
from hybrid_search.search.fusion import Fused
from hybrid_search.search.retrieve import passing
from hybrid_search.search.retrieved import LegRun
from hybrid_search.search.stages import Course, Progress
from hybrid_search.search.steps import Step
from hybrid_search.search_warnings import SearchWarning, WarningCode

PINS = "pins"
"""The part of a search that warnings about pinned documents name."""


def boost_hits(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The fused rankings, boosted and with what is pinned and buried in its place."""
    boosts = course.plan.boosts
    if not (boosts.rules or boosts.pinned or boosts.buried):
        return list(queries)
    with course.clock("fuse"):
        queries = yield from _with_pins(queries, course)
        return [one if one.error else _boosted(one, boosts) for one in queries]


def _boosted(one: Progress, boosts: Boosts) -> Progress:
    values = one.retrieved.values if boosts.rules else {}
    return replace(one, fused=boosted(one.fused, boosts, values, _documents(one)))


def _documents(one: Progress) -> dict[str, str]:
    """The documents of the hits, by their ids."""
    return {hit.id: document_id(one.retrieved.best(hit).passage_id) for hit in one.fused}


def _with_pins(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The queries with those pinned documents among their hits that no leg found; one request for all of them."""
    wanted = {n: ids for n, one in enumerate(queries) if not one.error and (ids := _not_found(one, course.plan.boosts))}
    if not wanted:
        return list(queries)
    asked = [partial(_body, ids, queries[n].retrieved.query, course) for n, ids in wanted.items()]
    try:
        answers: Sequence[Answered | EngineError] = yield from ask(asked, course.target, course.budget)
    except EngineError as error:
        answers = [error] * len(asked)
    done = list(queries)
    for (n, ids), answer in zip(wanted.items(), answers, strict=True):
        done[n] = _adding(queries[n], ids, answer, course)
    return done


def _not_found(one: Progress, boosts: Boosts) -> list[str]:
    if not boosts.pinned:
        return []
    found = set(_documents(one).values())
    return [id_ for id_ in boosts.pinned if id_ not in found]


def _body(ids: Sequence[str], query: Query, course: Course, within: float) -> legs.Body:
    """The first passages of documents, as far as they pass the filter; what they bring along."""
    first = {"ids": {"values": [f"{id_}{SEPARATOR}0" for id_ in ids]}}
    found = {"query": {"bool": {"filter": [legs.both(first, passing(query, course.target.schema))]}}}
    carried = docvalue_fields(course.plan.carried, course.target.schema)
    return legs.passage_search(found, size=len(ids), timeout=within, carried=carried)


def _adding(one: Progress, ids: Sequence[str], answer: Answered | EngineError, course: Course) -> Progress:
    if isinstance(answer, EngineError):
        note = SearchWarning(f"pinned documents were not looked for: {answer}", WarningCode.PINS_LEFT_OUT, PINS)
        return one.noting(note)
    found = {str(hit["_id"]): document_id(str(hit["_id"])) for hit in answer.hits}
    keys = {passage: id_ if course.plan.collapse.documents else passage for passage, id_ in found.items()}
    added = {key: Best(key, passage, 0.0) for passage, key in keys.items()}
    brought = brought_along(answer.hits, course.plan.carried, course.target.schema)
    retrieved = replace(one.retrieved, added=LegRun(added, values=values_by_id(added, brought)))
    fused = [*one.fused, *(Fused(id_, 0.0, {}, placed=Placed.ADDED) for id_ in added)]
    return replace(one, retrieved=retrieved, fused=fused).noting(*_missing(set(ids) - set(found.values())))


def _missing(ids: Collection[str]) -> tuple[SearchWarning, ...]:
    if not ids:
        return ()
    text = f"pinned, but not in the index or not passing the filter: {', '.join(sorted(ids))}"
    return (SearchWarning(text, WarningCode.PINNED_NOT_FOUND, PINS),)
