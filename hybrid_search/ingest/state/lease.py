"""The lease of a load on its index: its number, its sign of life, and the index settings for the time of loading.

What was set before is kept in the index's state, before anything is changed, and restored by the last load that ends.
A load that was killed is known by its process, on the same machine, or by its silence; the next load, ``verify`` and
``status`` restore what it left, from whatever machine.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil
from msgspec.structs import replace

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import count, read_meta, read_settings, update_meta, update_settings
from hybrid_search.errors import EngineError, HybridSearchError, IndexMissingError, IngestError
from hybrid_search.ingest.bulk_mode import BulkMode
from hybrid_search.ingest.state.cluster import IndexState, LoadedSource, RunningLoad, read_state, update_state

BEFORE_LOAD = "before_load"
"""Where release 0.1 kept the settings from before a load, in the index's ``_meta``."""

REPLICAS = "index.number_of_replicas"
RENEWAL = 15.0
"""Seconds between signs of life."""

SILENCE = 60.0
"""Seconds of silence after which a load of another machine counts as dead."""


@dataclass(slots=True)
class Lease:
    """A running load's hold on its index.

    Attributes:
        load: the number of the load; all that it writes carries it, and nothing newer is overwritten.
        state: the state of the index as the load found it.
        mended: whether an earlier load had ended without restoring the settings.
        lost: why the load must end, where another has taken its place.
        whole: what is remembered of the source, once it was read whole.
    """

    load: int
    state: IndexState
    mended: bool
    lost: IngestError | None = None
    whole: LoadedSource | None = None

    def check(self) -> None:
        """Raise IngestError when another load of the same source has taken this one for dead and begun."""
        if self.lost is not None:
            raise self.lost

    def read_whole(self, place: str, documents: int, *, since: int) -> None:
        """Remember at the end that the source was read whole, by the loads from the number ``since`` on.

        Letters of earlier loads are settled then; those of a run that was broken off and continued are not: what it
        has refused was not looked at again.
        """
        self.whole = LoadedSource(since, place, documents)


@contextmanager
def leased(
    patient: Connection,
    connection: Connection,
    index: str,
    source: str,
    *,
    exclusive: bool,
    joined: bool = False,
    bulk: BulkMode = BulkMode.AUTO,
) -> Iterator[Lease]:
    """Begin a load: a number, the dialect's settings for a load, and signs of life until it ends.

    Only an index that was empty does without replicas meanwhile, unless more is asked for: what is there already must
    survive the loss of a node, and copying all of it anew would cost more than the load of a few documents saves.

    Args:
        patient: waits for a busy engine.
        connection: the same without patience, for signs of life and for what is restored after an error.
        index: an index, no alias.
        source: the name of the source.
        exclusive: whether no other load of the same source may run meanwhile.
        joined: whether only those may that do the same load together.
        bulk: which settings of the index are changed meanwhile; to change any takes as long as to write some documents.

    Raises:
        IngestError: another load of the source is running.
        IndexMissingError: at the end, when the index was deleted meanwhile; a bulk request silently makes a new one.
    """
    present = read_settings(patient, index)
    own = _running(source, exclusive=exclusive, joined=joined)
    begun = _begin(patient, index, present, own, bulk)
    lease = Lease(begun.load, begun.state, begun.left)
    ended = threading.Event()
    renewal = threading.Thread(target=_renew, args=(connection, index, lease, source, ended), daemon=True)
    renewal.start()
    try:
        if bulk is not BulkMode.OFF:
            _apply(patient, index, begun.state.before or {})
        yield lease
    except BaseException as error:
        _stop(renewal, ended)
        try:
            _end(connection, index, lease, source, present["index.uuid"], whole=False)
        except IndexMissingError as gone:
            raise gone from error  # which is why the load failed
        except HybridSearchError as failed:
            error.add_note(f"The index settings are not restored, the next load will do it: {failed}")
        raise
    _stop(renewal, ended)
    _end(patient, index, lease, source, present["index.uuid"], whole=True)


def mend(connection: Connection, index: str) -> bool:
    """Restore the settings that dead loads have left; whether there was anything to restore.

    Does nothing while a load is running.
    """
    state = read_state(connection, index)
    left = _left_by_old_release(connection, index) if state.before is None else state.before
    if left is None or living_loads(state):
        return False
    update_settings(connection, index, left)
    update_state(connection, index, lambda now: now if living_loads(now) else replace(now, loads={}, before=None))
    _forget_old_release(connection, index)
    return True


def is_left(connection: Connection, index: str) -> bool:
    """Whether a dead load has left its settings on the index."""
    state = read_state(connection, index)
    left = state.before or _left_by_old_release(connection, index)
    return left is not None and not living_loads(state)


def is_loading(connection: Connection, index: str) -> bool:
    """Whether a load of the index is running."""
    return bool(living_loads(read_state(connection, index)))


@dataclass(frozen=True, slots=True)
class _Begun:
    """The number of the load, the state that knows it, and whether a dead load had left its settings."""

    load: int
    state: IndexState
    left: bool


def _running(source: str, *, exclusive: bool, joined: bool) -> RunningLoad:
    """A load of this process that begins now."""
    now, process = time.time(), psutil.Process()
    return RunningLoad(source, socket.gethostname(), process.pid, process.create_time(), now, now, exclusive, joined)


def _begin(connection: Connection, index: str, present: Mapping[str, str], own: RunningLoad, bulk: BulkMode) -> _Begun:
    """Take a number and put down what was set before, of the settings that will be changed."""
    left = _left_by_old_release(connection, index)
    fresh = left
    if left is None and bulk is not BulkMode.OFF:
        fresh = {name: present.get(name) for name in _names(connection, index, bulk)}
    found: list[IndexState] = []

    def begin(state: IndexState) -> IndexState:
        found[:] = [state]
        if _number(state, own) is not None:
            return state  # the answer to an earlier attempt was lost
        living = living_loads(state)
        _refuse_second(living, own, f"{connection.where}/{index}")
        number = max(state.last_load + 1, int(own.begun * 1000))
        before = fresh if state.before is None else state.before
        if fresh and state.before and bulk is BulkMode.ON:
            before = {**fresh, **state.before}  # what another load has changed is as it was put down
        # What others did together is not believed after a load that may have written something else.
        shared = {name: load for name, load in state.shared.items() if not own.exclusive or name != own.source}
        return replace(state, last_load=number, loads={**living, str(number): own}, before=before, shared=shared)

    begun = update_state(connection, index, begin)
    is_left = left is not None or (found[0].before is not None and not living_loads(found[0]))
    return _Begun(_number(begun, own) or begun.last_load, begun, is_left)


def _number(state: IndexState, own: RunningLoad) -> int | None:
    """The number of this very load; no two of a process begin at the same moment."""
    key = (own.pid, own.born, own.begun)
    return next((int(n) for n, load in state.loads.items() if (load.pid, load.born, load.begun) == key), None)


def _names(connection: Connection, index: str, bulk: BulkMode) -> set[str]:
    """The settings that a load changes; replicas of an index that holds something only where that is asked for."""
    wanted = set(flat(connection.dialect.load_settings()))
    return wanted - {REPLICAS} if bulk is BulkMode.AUTO and count(connection, index) else wanted


def _apply(connection: Connection, index: str, before: Mapping[str, str | None]) -> None:
    wanted = flat(connection.dialect.load_settings())
    # What is changed will be restored, so nothing is changed that is not put down.
    update_settings(connection, index, {name: value for name, value in wanted.items() if name in before})


def _end(connection: Connection, index: str, lease: Lease, source: str, uuid: str, *, whole: bool) -> None:
    """Take the load out of the state, and put back the settings if it was the last one."""
    if read_settings(connection, index)["index.uuid"] != uuid:
        raise IndexMissingError(
            "the index was deleted while it was loaded, and the engine has made another of that name",
            where=f"{connection.where}/{index}",
            remedy="Load it anew",
        )

    def leave(state: IndexState) -> IndexState:
        others = {number: load for number, load in living_loads(state).items() if number != str(lease.load)}
        if not (whole and lease.whole):
            return replace(state, loads=others)
        shared, whole_one = dict(state.shared), lease.whole
        if (done := shared.pop(source, None)) is not None:
            whole_one = replace(whole_one, identity=done.identity, content=done.content, last=state.last_load)
        return replace(state, loads=others, sources={**state.sources, source: whole_one}, shared=shared)

    state = update_state(connection, index, leave)
    if state.loads or state.before is None:
        return
    update_settings(connection, index, state.before)
    update_state(connection, index, lambda now: now if now.loads else replace(now, before=None))
    _forget_old_release(connection, index)


def _renew(connection: Connection, index: str, lease: Lease, source: str, ended: threading.Event) -> None:
    """Give a sign of life again and again; a load that was taken for dead and replaced notices it here."""
    key = str(lease.load)

    def renewed(own: RunningLoad, state: IndexState) -> IndexState:
        if any(load.source == source and load.exclusive and int(n) > lease.load for n, load in state.loads.items()):
            return state
        return replace(state, loads={**state.loads, key: replace(own, seen=time.time())})

    own = lease.state.loads[key]
    while not ended.wait(RENEWAL):
        try:
            state = update_state(connection, index, partial(renewed, own))
        except EngineError:
            continue  # the engine is away: the senders wait for it, and the next sign of life may arrive
        except IngestError:
            continue
        if own.exclusive and key not in state.loads:
            lease.lost = IngestError(
                f"another load of {source!r} has taken this one for dead and has begun",
                where=f"{connection.where}/{index}",
                remedy="Let that one end; what it has loaded is not overwritten",
            )


def _stop(thread: threading.Thread, ended: threading.Event) -> None:
    ended.set()
    thread.join()


def _refuse_second(living: Mapping[str, RunningLoad], own: RunningLoad, where: str) -> None:
    """Refuse a load beside one of the same source; those that are joined refuse no other that is."""
    for load in living.values():
        is_excluded = (own.exclusive and (load.exclusive or load.joined)) or (own.joined and load.exclusive)
        if load.source == own.source and is_excluded:
            ago = max(0.0, time.time() - load.seen)
            join = "; or do it together with it: --join" if load.joined else ""
            raise IngestError(
                f"the source {own.source!r} is being loaded by process {load.pid} of {load.host}"
                f" (last sign of life {ago:.0f} s ago)",
                where=where,
                remedy=f"Wait until it has ended; one that was killed is given up after {SILENCE:.0f} s{join}",
            )


def living_loads(state: IndexState) -> dict[str, RunningLoad]:
    """The running loads without those that are dead."""
    return {number: load for number, load in state.loads.items() if _lives(load)}


def _lives(load: RunningLoad) -> bool:
    """Whether its process is there, on this machine; on another, whether it was heard of lately."""
    if load.host != socket.gethostname():
        return time.time() - load.seen < SILENCE
    return lives(load.host, load.pid, load.born)


def process_here() -> dict[str, Any]:
    """What this process is known by: ``host``, ``pid`` and when it was ``born``."""
    process = psutil.Process()
    return {"host": socket.gethostname(), "pid": process.pid, "born": process.create_time()}


def lives(host: str, pid: int, born: float) -> bool:
    """Whether a process of this machine is there and runs; of another machine's nothing is known."""
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        # One that has ended and that its parent does not ask for is still listed.
        return abs(process.create_time() - born) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _left_by_old_release(connection: Connection, index: str) -> dict[str, str | None] | None:
    left: dict[str, str | None] | None = read_meta(connection, index).get(BEFORE_LOAD)
    return left


def _forget_old_release(connection: Connection, index: str) -> None:
    if _left_by_old_release(connection, index) is not None:
        update_meta(connection, index, {BEFORE_LOAD: None})


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"index": {"refresh_interval": "-1"}}`` as ``{"index.refresh_interval": "-1"}``."""
    names: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{prefix}{name}"
        names |= flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return names
