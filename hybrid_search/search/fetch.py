"""The stored passages of fused hits: what is shown or reranked, with the next hits in place of those that are gone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.engine.foreign import whole_source
from hybrid_search.errors import EngineError
from hybrid_search.records import StoredPassage
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered, Budget, Target, ask
from hybrid_search.search.attached import as_passages, document_fetch
from hybrid_search.search.degradation import gone, unreplaced
from hybrid_search.search.diversity import first_hits
from hybrid_search.search.facets_stage import over_all, with_counts
from hybrid_search.search.fusion import Fused
from hybrid_search.search.highlight_stage import with_marks, with_the_fetch
from hybrid_search.search.outcomes import Failed, Found, Late, missed
from hybrid_search.search.stages import Course, Progress, Stored
from hybrid_search.search.steps import Step

ROUNDS = 5
"""How often hits whose passages are gone are replaced by the next ones, twice as many each time."""

Body = Callable[[float], legs.Body]
"""A whole search body, given the seconds that the engine may take."""

First = tuple[Sequence[Fused], int]
"""Hits that may be shown, by rank, and how many of the first are needed."""

READ = {layout.TEXT: str, layout.START: int, layout.END: int}
"""What a hit shows of its passage: one that lacks any, because somebody else wrote it, is as good as gone."""


def fetch_hits(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The passages of the first hits of each query that can be fetched: as many as the page or the reranker needs.

    A passage that was deleted meanwhile, or came too late, is replaced by that of the next hit, and the query is told.
    A query whose passages are refused at the first attempt gets the error. Facets over all matches, and marks for
    highlights, go with the first request.
    """
    stored: dict[str, Stored] = {}
    queries, counting = over_all(queries, course)
    marking = with_the_fetch(queries, course)
    lost = [set[str]() for _ in queries]
    firsts = [first_hits(one, course.plan) for one in queries]
    read = _with_vectors(course)
    with course.clock("fetch"):
        for attempt in range(ROUNDS):
            wanted = {
                n: ids
                for n, one in enumerate(queries)
                if one.error is None and (ids := _wanted(one, firsts[n], stored, lost[n]))
            }
            if not wanted and not counting:
                break
            beside: list[Body] = [*(one.body for one in counting), *(one.body for one in marking)]
            bodies: list[Body] = [*(partial(read, ids) for ids in wanted.values()), *beside]
            found = yield from _asked(bodies, course.target, course.budget)
            own, others = found[: len(wanted)], found[len(wanted) :]
            queries = with_counts(queries, counting, others[: len(counting)])
            queries = with_marks(queries, marking, others[len(counting) :])
            asked_for = zip(own, wanted.values(), strict=True)
            answers, counting, marking = [_stored(one, ids, course.target) for one, ids in asked_for], [], []
            for (n, ids), answer in zip(wanted.items(), answers, strict=True):
                if isinstance(answer, Found):
                    stored |= answer.value
                elif attempt == 0:
                    queries[n] = replace(queries[n], error=answer.error)
                else:
                    queries[n] = queries[n].noting(unreplaced(answer))
                lost[n].update(id_ for id_ in ids if id_ not in stored)
    return [
        replace(one.noting(gone(len(ids))) if ids and one.error is None else one, stored=stored, lost=frozenset(ids))
        for one, ids in zip(queries, lost, strict=True)
    ]


def _wanted(one: Progress, first: First, stored: Collection[str], lost: Collection[str]) -> list[str]:
    """The passages still to be fetched: as many of the first as are needed and not lost, and as many more as are."""
    hits, reach = first
    found = (one.retrieved.best(hit).passage_id for hit in hits)
    ids = list(islice((id_ for id_ in found if id_ not in lost), reach + len(lost)))
    if sum(id_ in stored for id_ in ids[:reach]) >= min(reach, len(ids)):
        return []
    return [id_ for id_ in ids if id_ not in stored]


def fetch(
    groups: Sequence[Sequence[str]], target: Target, budget: Budget, *, late: bool = False
) -> Generator[Step, Any, dict[str, Stored]]:
    """The stored passages of groups of ids, in one request, by passage id; those that are gone are left out.

    With ``late`` they have their token states, where the index stores some.

    Raises:
        EngineError: the engine refuses, or does not answer in time.
    """
    stored: dict[str, Stored] = {}
    read = _with_stored(target, [layout.LATE]) if late else partial(_body, target=target)
    found = yield from _asked([partial(read, ids) for ids in groups], target, budget)
    for one, ids in zip(found, groups, strict=True):
        answer = _stored(one, ids, target)
        if not isinstance(answer, Found):
            raise answer.error
        stored |= answer.value
    return stored


def _asked(
    bodies: Sequence[Body], target: Target, budget: Budget
) -> Generator[Step, Any, list[Answered | EngineError]]:
    """An answer, or why there is none, to each of the searches, which go together."""
    try:
        return (yield from ask(bodies, target, budget))
    except EngineError as error:
        return [error] * len(bodies)


def _stored(
    answer: Answered | EngineError, ids: Sequence[str], target: Target
) -> Found[dict[str, Stored]] | Failed | Late:
    if isinstance(answer, EngineError):
        return missed(answer)
    if target.schema.attached is not None:
        return Found({**as_passages(answer.hits, ids, target.schema)})
    return Found(_passages(answer))


def _body(ids: Sequence[str], within: float, *, target: Target, vectors: bool = False) -> legs.Body:
    if target.schema.attached is None:
        return legs.passage_fetch(ids, timeout=within, copies=len(target.among))
    asked = document_fetch(ids, target.schema, target.dialect, vectors=vectors)
    return {**asked, "track_total_hits": False, "timeout": f"{round(within * 1000)}ms"}


def _with_vectors(course: Course) -> Callable[[Sequence[str], float], legs.Body]:
    """What fetches passages: with their vectors, where hits are to be compared, and their tokens, to be reranked by."""
    target, spread, reranking = course.target, course.plan.diversity is not None, course.plan.reranking
    late = [layout.LATE] if reranking is not None and reranking.stored else []
    if not (spread or late) or target.schema.attached is not None:
        return partial(_body, target=target, vectors=spread)
    return _with_stored(target, [*([layout.DENSE] if spread else []), *late])


def _with_stored(target: Target, fields: Sequence[str]) -> Callable[[Sequence[str], float], legs.Body]:
    """What fetches passages with some of what an index stores beside them."""
    stored = whole_source(target.dialect, [*layout.STORED, layout.SHOWN_PATH, *fields])
    return lambda ids, within: {**_body(ids, within, target=target), "_source": stored}


def _passages(found: Answered) -> dict[str, Stored]:
    """By id; of one that several indices hold, that of the last of them by name, which is the newest of a series."""
    return {
        hit["_id"]: layout.as_shown(source)
        for hit in sorted(found.hits, key=lambda hit: str(hit.get("_index")))
        if isinstance(source := hit.get("_source"), Mapping) and is_passage(source)
    }


def stored_passage(passage_id: str, source: Stored) -> StoredPassage:
    """A passage of the engine's answer by the user's names."""
    text, start, end = (source[name] for name in READ)
    return StoredPassage(passage_id, text, start, end, layout.user_fields(source))


def is_passage(source: Mapping[str, Any]) -> bool:
    """Whether a stored document is a passage of this package's, and not what another program wrote into the index."""
    fields = source.get(layout.FIELDS, {})
    return isinstance(fields, Mapping) and all(isinstance(source.get(name), kind) for name, kind in READ.items())
