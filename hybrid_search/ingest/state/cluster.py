"""What an index itself remembers of its loads: one document in it, changed by compare-and-set.

It is read by its id, in real time, and written only over the version that was read (``if_seq_no`` and
``if_primary_term`` of both engines), so that several processes and machines can share an index: numbers of loads are
given once, and settings that a load changed are restored by whoever ends last. The document has none of the fields of
a passage: no leg finds it, and it goes where the index goes, also into a snapshot.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from hybrid_search.engine.answers import error_for, failure
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.layout import STATE
from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.errors import IngestError

STATE_ID = "hybrid-search-state"
"""No id of a passage: those end with ``#`` and a number."""

MOST_CONFLICTS = 100
"""How often another process may come first before it is an error."""


class RunningLoad(msgspec.Struct, frozen=True):
    """A load that has begun and not ended. ``born`` is when its process started; ``seen`` its last sign of life.

    ``exclusive``: no other load of the source may run; ``joined``: only others that do the same load together.
    """

    source: str
    host: str
    pid: int
    born: float
    begun: float
    seen: float
    exclusive: bool = True
    joined: bool = False


class TakenSplits(msgspec.Struct, frozen=True):
    """The splits ``first`` to ``end - 1`` of a source, which a load has taken and not committed."""

    load: int
    first: int
    end: int


class PushedBack(msgspec.Struct, frozen=True):
    """The engine has refused a process of a shared load because it was overloaded.

    Attributes:
        load: of that process.
        number: counts such words of the shared load, so that each is news once.
        failures: refusals in a row of that process.
        at_least: the seconds that the engine asked to wait.
    """

    load: int
    number: int
    failures: int
    at_least: float = 0.0


class SharedLoad(msgspec.Struct, frozen=True):
    """A load of a source that several processes do together, each a split after the other.

    Attributes:
        identity: a hash of the plan of the source, the settings and the models: who joins must have the same.
        splits: how many there are.
        since: the number of the first load of them.
        removals: the index's count of removals when it began.
        before: how many documents of the source the index had then.
        taken: by whom, as long as that load is among the running ones.
        committed: ranges of splits of which every document is settled, ascending; few, as the lowest are taken first.
        content: the fingerprints of the committed splits, added up bit by bit: by it who joins sees the same bytes.
        documents: how many documents the committed splits have.
        passages: how many passages the engine took of them.
        left_out: how many of their records became no documents.
        refused: how many of their documents were refused, and are in the dead letters of whoever had them.
        uncertain: whether documents were refused or left out, so that ``documents`` are not all in the index.
        finisher: the number of the load that ends it, once all is committed; 0 before.
        pushed_back: the last word of an engine that was overloaded; see :mod:`hybrid_search.ingest.one_pace`.
    """

    identity: str
    splits: int
    since: int
    removals: int
    before: int
    taken: tuple[TakenSplits, ...] = ()
    committed: tuple[tuple[int, int], ...] = ()
    content: str = "0"
    documents: int = 0
    passages: int = 0
    left_out: int = 0
    refused: int = 0
    uncertain: bool = False
    finisher: int = 0
    pushed_back: PushedBack | None = None

    @property
    def is_committed(self) -> bool:
        """Whether all of it is."""
        return sum(end - first for first, end in self.committed) == self.splits


class LoadedSource(msgspec.Struct, frozen=True):
    """The last time that a source was read whole: where it was read from, and how many documents.

    ``load`` is the number of the first of the loads that did it together: later ones went on where it was broken off.
    Where several did it, ``identity`` and ``content`` are those of what they shared, and ``last`` is the number that
    was given last before it ended: who has that number or a lower one had begun by then, and has nothing left to do.
    """

    load: int
    place: str
    documents: int
    identity: str = ""
    content: str = "0"
    last: int = 0


class IndexState(msgspec.Struct, frozen=True):
    """All that is remembered.

    Attributes:
        last_load: the highest number of a load; the next is higher.
        removals: raised before every removal, which ends the word of journals that were begun before.
        loads: running loads by their numbers.
        before: index settings from before the running loads, None while none runs.
        sources: what was loaded whole, by the name of the source.
        shared: loads that several processes do together, by the name of the source.
    """

    last_load: int = 0
    removals: int = 0
    loads: dict[str, RunningLoad] = {}
    before: dict[str, str | None] | None = None
    sources: dict[str, LoadedSource] = {}
    shared: dict[str, SharedLoad] = {}


Change = Callable[[IndexState], IndexState]


def read_state(connection: Connection, index: str) -> IndexState:
    """The state of an index; an empty one where no load has written any."""
    return _read(connection, index)[0]


def update_state(connection: Connection, index: str, change: Change) -> IndexState:
    """Replace the state by ``change`` of it, in one step that no other process comes between; the new state.

    ``change`` is called again with what another process has written meanwhile, so it must be a pure function.

    Raises:
        IngestError: others come first again and again.
        EngineError: the engine refuses.
    """
    for _ in range(MOST_CONFLICTS):
        state, version = _read(connection, index)
        changed = change(state)
        if changed == state or _written(connection, index, changed, version):
            return changed
        time.sleep(random.uniform(0.0, 0.05))  # noqa: S311  # no secret
    raise IngestError("other processes change the state of the index all the time", where=f"{connection.where}/{index}")


def _read(connection: Connection, index: str) -> tuple[IndexState, Mapping[str, str]]:
    """The state, and the parameters that let it be written only over what was read."""
    request = Request.json("GET", _path(index, "_doc"))
    answer = connection.transport.send(request)
    if answer.status == 404 and isinstance(answer.body, Mapping) and answer.body.get("found") is False:
        return IndexState(), {"op_type": "create"}
    found = _checked(answer, connection.where, request)
    state = msgspec.convert(found["_source"][STATE], IndexState)
    return state, {"if_seq_no": str(found["_seq_no"]), "if_primary_term": str(found["_primary_term"])}


def _written(connection: Connection, index: str, state: IndexState, version: Mapping[str, str]) -> bool:
    """Whether nobody came first."""
    body = msgspec.json.encode({STATE: state})
    request = Request("PUT", _path(index, "_doc"), version, body)
    answer = connection.transport.send(request)
    if answer.status == 409:
        return False
    _checked(answer, connection.where, request)
    return True


def _checked(answer: Answer, where: str, request: Request) -> Any:
    if answer.status >= 400:
        raise error_for(failure(answer.status, answer.body), f"{where} {request.method} {request.path}")
    return answer.body


def _path(index: str, kind: str) -> str:
    return f"/{quote(index, safe='')}/{kind}/{STATE_ID}"
