"""Searches sent together and their answers read: within the time that is left, and nothing taken on trust.

What answers may be a proxy's page, or an engine that gave up half way: an answer that is not what was asked for is an
error of the package, with its beginning in the message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.answers import error_for, failure
from hybrid_search.engine.coverage import Coverage
from hybrid_search.engine.protocols import Dialect, Request
from hybrid_search.errors import AliasMovedError, EngineError, EngineTimeoutError, RequestRefusedError
from hybrid_search.records import IndexSchema
from hybrid_search.search import legs
from hybrid_search.search.attached import attached_passage_id
from hybrid_search.search.steps import Send, Step

GRACE = 0.5
"""Seconds, at most a tenth of what is left, in which an engine that was stopped may still send what it has."""

ENCODING = 0.75
"""What share of the time that is left an encoder may take: words can be searched without it, but not without time."""

FETCHING = 0.1
"""What share of the time that is left is kept for the passages of what legs have found, when others are asked."""

LOOK, LOOKING = 2.0, 0.25
"""Seconds, and the share of a search's time, that each request may take by which a client looks what an alias stands
for; a cluster that does not answer in them is searched as it was."""

MOST_NAMED = 3
"""Indices that a message names one by one."""

SHOWN = 80
"""Characters of an unreadable answer that go into the message."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a search goes: an index or alias by its name, how its engine is spoken to, and what it holds.

    ``among`` are the indices that the name stood for when it was opened: an answer from any other is refused, for its
    models were not checked; empty, where nobody has looked. ``within`` is the filter of the alias, which the engine
    applies too. Searches of one ``preference`` go to the same copies of the shards. ``headers`` go with every request.
    ``passages`` counts those of each analyzer, where there are several languages. ``coverage`` is how much has
    vectors, None where all has.
    """

    index: str
    dialect: Dialect
    schema: IndexSchema
    among: tuple[str, ...] = ()
    within: Mapping[str, Any] | None = None
    preference: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    passages: Mapping[str, int] = field(default_factory=dict)
    coverage: Coverage | None = None

    @property
    def where(self) -> str:
        return f"index {self.index}"

    @property
    def behind(self) -> str | None:
        """The last by name of the indices that it stands for: what only one index can be asked, it is asked."""
        return self.among[-1] if self.among else None

    @property
    def analyze(self) -> str:
        """The path at which texts are analyzed, as all of the indices do: no engine does it for several."""
        return f"/{quote(self.behind or self.index, safe='')}/_analyze"


def _now() -> float:
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Budget:
    """The seconds that a search may take in all, from its making on: every step gets what is left of them.

    ``spared`` seconds of them are for later steps.
    """

    seconds: float
    begun: float = field(default_factory=_now)
    spared: float = 0.0

    @property
    def left(self) -> float:
        return max(0.0, self.begun + self.seconds - self.spared - time.monotonic())

    @property
    def for_the_legs(self) -> Budget:
        """What further legs may take where some have answered: if they are late, what those found is still fetched."""
        return replace(self, spared=self.spared + self.left * FETCHING)

    @property
    def for_a_look(self) -> float:
        """What each of the two requests may take by which a client looks again what its alias stands for."""
        return min(LOOK, self.left * LOOKING)

    @property
    def for_the_encoder(self) -> float:
        """What an encoder is waited for: the rest is for an engine that can answer without it."""
        return replace(self, spared=0.0).left * ENCODING


@dataclass(frozen=True, slots=True)
class Answered:
    """A readable answer to one search: hits as the engine gives them, its milliseconds, and what it left out.

    ``aggregations`` are those that the search asked for.
    """

    hits: Sequence[Mapping[str, Any]]
    took: float
    timed_out: bool
    shards: int
    failed_shards: int
    aggregations: Mapping[str, Any] = field(default_factory=dict)


def ask(
    bodies: Sequence[Callable[[float], legs.Body]],
    target: Target,
    budget: Budget,
    *,
    dfs: Collection[int] = (),
) -> Generator[Step, Any, list[Answered | EngineError]]:
    """The answers to searches that are sent together, each answered or refused.

    Args:
        bodies: for each search its body, given the seconds that the engine may take.
        target: where.
        budget: what is left of the caller's time. The engine gets a little less, so that its answer is here in time.
        dfs: the places of the searches whose terms are counted over all shards first.

    Raises:
        EngineTimeoutError: no time is left, or no answer came in what was.
        EngineError: no answer, or one that is not that of a search engine.
        AliasMovedError: another index answered.
    """
    left = budget.left
    within = left - min(GRACE, left / 10)
    headers = [legs.search_header(preference=target.preference, dfs=n in dfs) for n in range(len(bodies))]
    searches = [body(within) for body in bodies]
    request = legs.multi_search(target.index, searches, timeout=left, headers=headers)
    answer = yield from send(request, target, budget)
    return [_found(response, target) for response in _responses(answer, len(bodies), target.where)]


def send(request: Request, target: Target, budget: Budget) -> Generator[Step, Any, Any]:
    """The answer to any request, within what is left of the budget, and of the request's own time.

    Raises:
        EngineTimeoutError: no time is left, or no answer came in what was.
        EngineError: no answer, or a refusal.
    """
    left = budget.left
    if left <= 0:
        raise EngineTimeoutError(
            f"the search took its {budget.seconds:g} s", where=target.where, remedy="Give it more: search.timeout"
        )
    timeout = left if request.timeout is None else min(left, request.timeout)
    return (yield Send(replace(request, timeout=timeout, headers=target.headers)))


def check_alias(target: Target, budget: Budget) -> Generator[Step, Any, None]:
    """Look whether the name still stands for the index that was opened, after an engine refused a search.

    Raises:
        AliasMovedError: it stands for another.
    """
    try:
        answer = yield from send(Request.json("GET", f"/{quote(target.index, safe='')}/_alias"), target, budget)
    except EngineError:
        return
    if target.among and isinstance(answer, Mapping) and answer and not answer.keys() >= {*target.among}:
        raise _moved(target, named(sorted(answer)))


def named(indices: Sequence[str]) -> str:
    """Names of indices for a message: of many the first and last, and how many there are."""
    if len(indices) <= MOST_NAMED:
        return ", ".join(indices)
    return f"{indices[0]} ... {indices[-1]} ({len(indices)} indices)"


def _moved(target: Target, found: str) -> AliasMovedError:
    return AliasMovedError(
        f"{target.index} stood for {named(target.among)} and now stands for {found}",
        where=target.where,
        remedy="Open it again",
    )


def _responses(answer: Any, count: int, where: str) -> Sequence[Any]:
    responses = answer.get("responses") if isinstance(answer, Mapping) else None
    if not isinstance(responses, list):
        raise _unreadable(answer, where)
    if len(responses) != count:
        raise RequestRefusedError(
            f"{len(responses)} answers to {count} searches",
            where=where,
            remedy="Check any proxy on the way",
        )
    return responses


def _found(response: Any, target: Target) -> Answered | EngineError:
    try:
        if "error" in response:
            return error_for(failure(int(response["status"]), response), target.where)
        shards, hits = response["_shards"], response["hits"]["hits"]
        _check_hits(hits, target)
        return Answered(
            hits,
            float(response["took"]),
            bool(response["timed_out"]),
            int(shards["total"]),
            int(shards["failed"]),
            response.get("aggregations") or {},
        )
    except (KeyError, TypeError, ValueError) as error:
        unreadable = _unreadable(response, target.where)
        unreadable.__cause__ = error
        return unreadable


def _check_hits(hits: Sequence[Any], target: Target) -> None:
    """Gives every hit its id; raises what one without a score raises, and AliasMovedError for one of another index."""
    among, passage_id = (
        frozenset(target.among),
        legs.passage_id if target.schema.attached is None else attached_passage_id,
    )
    for hit in hits:
        hit["_id"] = passage_id(hit)
        float(hit["_score"])
        if among and hit.get("_index", target.behind) not in among:
            raise _moved(target, hit["_index"])


def _unreadable(answer: Any, where: str) -> EngineError:
    return RequestRefusedError(
        f"the answer is not that of a search engine: {str(answer)[:SHOWN]!r}",
        where=where,
        remedy="Check the address, and any proxy before it",
    )
