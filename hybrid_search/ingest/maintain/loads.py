"""The loads of an index as it remembers them itself: who runs, what each holds, what is settled, and how to go on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMissingError, counted
from hybrid_search.ingest.state.cluster import STATE_ID, IndexState, RunningLoad, SharedLoad, read_state
from hybrid_search.ingest.state.lease import living_loads


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that has begun a load and not ended it.

    Attributes:
        load: its number.
        host: the machine.
        pid: the process there.
        runs: whether it lives, by its process on this machine, by its signs of life on another.
        seconds: since it began.
        silent: seconds since its last sign of life.
        holds: splits that it has taken and not settled, as ranges ``first`` to ``end - 1``.
    """

    load: int
    host: str
    pid: int
    runs: bool
    seconds: float
    silent: float
    holds: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """A load of one source: running, stopped, or ended.

    Attributes:
        source: its name.
        state: ``running``, ``stopped`` (it goes on with the same command) or ``loaded``.
        load: the number of the first process.
        workers: who is at it, or was when it stopped.
        splits: settled, and of how many; None where one process does it, whose journal knows.
        documents: settled, of a shared load or of one that ended.
        rate: settled documents a second since the first process began; None where that is not known.
        remedy: how to go on.
    """

    source: str
    state: str
    load: int
    workers: tuple[Worker, ...] = ()
    splits: tuple[int, int] | None = None
    documents: int | None = None
    rate: float | None = None
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def loads_of(connection: Connection, index: str) -> list[LoadStatus]:
    """The loads that an index remembers, by source: at most one that is not ended, and the last that was."""
    return statuses(read_state(connection, index), time.time())


def index_of_load(connection: Connection, load: int) -> str:
    """The index that remembers the load of a number.

    Raises:
        IndexMissingError: none does.
    """
    body = {"size": 10_000, "_source": True, "query": {"ids": {"values": [STATE_ID]}}}
    answer = connection.send(Request.json("POST", "/_search", body))
    for hit in answer["hits"]["hits"]:
        state = read_state(connection, hit["_index"])
        if str(load) in state.loads or any(load == one.load for one in statuses(state, 0.0)):
            return str(hit["_index"])
    raise IndexMissingError(
        f"no index remembers a load {load}",
        where=connection.where,
        remedy="Ask by the index: hybrid-search status INDEX",
    )


def statuses(state: IndexState, now: float) -> list[LoadStatus]:
    """The same from a state, at an epoch second."""
    living = living_loads(state)
    names = sorted({load.source for load in state.loads.values()} | state.shared.keys() | state.sources.keys())
    return [one for name in names for one in _of_source(name, state, frozenset(living), now)]


def _of_source(name: str, state: IndexState, living: frozenset[str], now: float) -> Iterator[LoadStatus]:
    own = {int(number): load for number, load in state.loads.items() if load.source == name}
    shared, whole = state.shared.get(name), state.sources.get(name)
    if own or shared is not None:
        workers = tuple(_worker(number, load, shared, living, now) for number, load in sorted(own.items()))
        yield _unfinished(name, workers, shared, now)
    if whole is not None:
        yield LoadStatus(name, "loaded", whole.load, documents=whole.documents)


def _worker(number: int, load: RunningLoad, shared: SharedLoad | None, living: frozenset[str], now: float) -> Worker:
    held = () if shared is None else tuple((one.first, one.end) for one in shared.taken if one.load == number)
    return Worker(number, load.host, load.pid, str(number) in living, now - load.begun, now - load.seen, held)


def _unfinished(name: str, workers: Sequence[Worker], shared: SharedLoad | None, now: float) -> LoadStatus:
    runs = any(worker.runs for worker in workers)
    first = shared.since if shared is not None else min(worker.load for worker in workers)
    remedy = "Run the same command again: it goes on where it stopped"
    if runs:
        remedy = "Others may join it with the same command and --join" if shared is not None else ""
    if shared is None:
        return LoadStatus(name, "running" if runs else "stopped", first, tuple(workers), remedy=remedy)
    done = sum(end - begin for begin, end in shared.committed)
    seconds = now - first / 1000  # the number of a load is when it began, in milliseconds
    rate = shared.documents / seconds if runs and seconds > 0 else None
    splits = (done, shared.splits)
    return LoadStatus(
        name, "running" if runs else "stopped", first, tuple(workers), splits, shared.documents, rate, remedy
    )


def sentences(loads: Sequence[LoadStatus]) -> list[str]:
    """All of it in lines."""
    return [line for load in loads for line in _lines(load)]


def _lines(load: LoadStatus) -> Iterator[str]:
    said = f"load {load.load} of {load.source}: {load.state}"
    if load.splits is not None:
        said += f", {load.splits[0]:,} of {load.splits[1]:,} splits settled"
    if load.documents is not None:
        said += f", {counted(load.documents, 'document', 'documents')}"
    if load.rate is not None:
        said += f", {load.rate:,.0f} documents/s"
    yield said
    for worker in load.workers:
        held = ", ".join(f"{first}-{end - 1}" if end - first > 1 else f"{first}" for first, end in worker.holds)
        what = f", holds splits {held}" if held else ""
        how = "runs" if worker.runs else "is gone"
        yield f"  process {worker.pid} of {worker.host} {how}, last sign of life {worker.silent:,.0f} s ago{what}"
    if load.remedy:
        yield f"  {load.remedy}"
