"""What a name stands for: the index behind it, or several, what they hold, and the filter of an alias that has one.

A filtered alias is how a tenant sees only what is his. Searches go to the alias by its own name, so that the engine
applies its filter and its routing as they are at that moment; the filter is read here as well, because the graph
search must know it beforehand: applied to its neighbours afterwards, it would leave few or none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.indices import OpenedIndex, opening
from hybrid_search.engine.protocols import Dialect, Request
from hybrid_search.engine.several import opened_together, refuse_remote, same_in_each
from hybrid_search.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    OverloadedError,
    RequestRefusedError,
)
from hybrid_search.search.asking import Budget, Target
from hybrid_search.search.balance import passages_by_analyzer
from hybrid_search.search.covered import coverage_of
from hybrid_search.search.steps import Send, Step

FRESH = 60.0
"""Seconds after which a client asks again what an alias stands for and shows, whose filter may have changed; and how
much has vectors, where not all had."""

PASSING = (EngineUnreachableError, EngineTimeoutError, OverloadedError)
"""Errors that say nothing about the alias."""


def opened_too_late(budget: Budget, name: str) -> EngineTimeoutError:
    """The error of a search whose time was over before what its alias stands for now was open."""
    return EngineTimeoutError(
        f"the search took its {budget.seconds:g} s while the alias was opened again",
        where=f"index {name}",
        remedy="Search again in a moment",
    )


def open_target(
    name: str,
    dialect: Dialect,
    where: str,
    *,
    preference: str | None = None,
    timeout: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Generator[Step, Any, tuple[OpenedIndex, Target]]:
    """The index behind ``name``, or the several that are searched as one, and how searches reach it.

    Args:
        name: an index or alias, a pattern (``logs-2026.*``), or a list (``a,b``).
        dialect: of the engine.
        where: the cluster, for messages.
        preference: whose searches go to the same copies of the shards.
        timeout: seconds for each request; None for the transport's own.
        headers: that go with these and all later requests.

    Raises:
        IndexMissingError: no such index or alias.
        IndexMismatchError: it was not made by this package, or stands for several that differ; one is named.
        UnsupportedError: it is in another cluster.
        EngineError: the cluster refuses, or what answers is none.
    """
    refuse_remote(name, where)
    made = partial(replace, timeout=timeout, headers=headers or {})
    answer = yield Send(made(opening(name)))
    if not isinstance(answer, Mapping):
        raise RequestRefusedError(
            "the answer is not that of a search engine",
            where=where,
            remedy="Check the address, and any proxy before it",
        )
    index, among = opened_together(name, answer, where)
    within = None if among == (name,) else (yield from _filter_of(name, among, made))
    passages = yield from passages_by_analyzer(index.name, index.schema, made)
    had = yield from coverage_of(index, made)
    target = Target(name, dialect, index.schema, among, within, preference, headers or {}, passages, had)
    return index, target


def _filter_of(
    alias: str, among: Sequence[str], made: Callable[[Request], Request]
) -> Generator[Step, Any, Mapping[str, Any] | None]:
    """The filter of an alias; None where there is none, or this user may not look: the engine applies it anyway.

    A pattern or a list stands for indices themselves, or aliases, whose filters the engine applies.
    """
    try:
        of_one = f"/{quote(among[0], safe='')}" if len(among) == 1 else ""
        path = f"{of_one}/_alias/{quote(alias, safe='')}"
        answer = yield Send(made(Request.json("GET", path)))
        return same_in_each({index: answer[index]["aliases"][alias].get("filter") for index in among})
    except (EngineError, KeyError, TypeError):
        return None
