"""The stored passages of fused hits: what is shown or reranked, with the next hits in place of those that are gone."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from functools import partial
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.errors import EngineError
from hybrid_search.search import legs
from hybrid_search.search.asking import Budget, Found, Target, ask
from hybrid_search.search.fusion import Fused
from hybrid_search.search.retrieve import Retrieved
from hybrid_search.search.steps import Step

Stored = Mapping[str, Any]

ROUNDS = 5
"""How often hits whose passages are gone are replaced by the next ones, twice as many each time."""

READ = (layout.TEXT, layout.START, layout.END)
"""What a hit shows of its passage: one that lacks any is as good as gone."""


def fetch_hits(
    retrieved: Sequence[Retrieved], fused: Sequence[list[Fused]], reach: int, target: Target, budget: Budget
) -> Generator[Step, Any, dict[str, Stored]]:
    """The passages of the first ``reach`` hits of each query that can be fetched, by passage id.

    A passage that was deleted meanwhile, or came too late, is replaced by that of the next hit, and the query is told.
    A query whose passages are refused at the first attempt gets the error.
    """
    stored: dict[str, Stored] = {}
    gone: dict[int, set[str]] = {n: set() for n in range(len(retrieved))}
    for attempt in range(ROUNDS):
        wanted = {
            n: ids
            for n, (one, hits) in enumerate(zip(retrieved, fused, strict=True))
            if one.error is None and (ids := _wanted(one, hits, reach, stored, gone[n]))
        }
        if not wanted:
            break
        found = yield from _fetch(list(wanted.values()), target, budget)
        for (n, ids), answer in zip(wanted.items(), found, strict=True):
            if isinstance(answer, EngineError):
                _failed(retrieved[n], answer, first=attempt == 0)
            else:
                stored |= answer
            gone[n].update(id_ for id_ in ids if id_ not in stored)
    for n, lost in gone.items():
        if lost and retrieved[n].error is None:
            retrieved[n].warnings.append(f"passages found but not fetched: {len(lost)} (deleted meanwhile, or late)")
    return stored


def _wanted(
    one: Retrieved, hits: Sequence[Fused], reach: int, stored: Collection[str], gone: Collection[str]
) -> list[str]:
    """The passages still to be fetched: ``reach`` that are not gone, and as many more as are."""
    ids = [id_ for hit in hits if (id_ := one.best(hit).passage_id) not in gone]
    if sum(id_ in stored for id_ in ids[:reach]) >= min(reach, len(ids)):
        return []
    return [id_ for id_ in ids[: reach + len(gone)] if id_ not in stored]


def _failed(one: Retrieved, error: EngineError, *, first: bool) -> None:
    if first:
        one.error = error
    else:
        one.warnings.append(f"lost passages were not replaced: {error}")


def fetch(groups: Sequence[Sequence[str]], target: Target, budget: Budget) -> Generator[Step, Any, dict[str, Stored]]:
    """The stored passages of groups of ids, in one request, by passage id; those that are gone are left out.

    Raises:
        EngineError: the engine refuses, or does not answer in time.
    """
    stored: dict[str, Stored] = {}
    for found in (yield from _fetch(groups, target, budget)):
        if isinstance(found, EngineError):
            raise found
        stored |= found
    return stored


def _fetch(
    groups: Sequence[Sequence[str]], target: Target, budget: Budget
) -> Generator[Step, Any, list[dict[str, Stored] | EngineError]]:
    try:
        answers = yield from ask([partial(_body, ids) for ids in groups], target, budget)
    except EngineError as error:
        return [error] * len(groups)
    return [found if isinstance(found, EngineError) else _passages(found) for found in answers]


def _body(ids: Sequence[str], within: float) -> legs.Body:
    return legs.passage_fetch(ids, timeout=within)


def _passages(found: Found) -> dict[str, Stored]:
    return {
        hit["_id"]: source
        for hit in found.hits
        if isinstance(source := hit.get("_source"), Mapping) and all(name in source for name in READ)
    }
