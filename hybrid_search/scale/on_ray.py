"""Workers that are Ray actors: on this machine, or on all of a Ray cluster.

An actor does what a local worker does (:mod:`hybrid_search.scale.work`), with the splits of the source claimed in the
index; Ray only places it, and says when it is lost. Nothing but messages goes through Ray: documents are read, encoded
and sent within one actor, so Ray's object store holds nothing of them.

Secrets travel only in the arguments of a method call, which Ray neither logs nor keeps in its tables.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hybrid_search.engine.connection import Connection, connect
from hybrid_search.engine.indices import exists
from hybrid_search.errors import EngineError, HybridSearchError, IngestError, MissingExtraError, SettingsError
from hybrid_search.ingest.pace import Refused
from hybrid_search.ingest.report import IngestProgress, IngestReport
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.ingest.state.lease import mend
from hybrid_search.scale.ray_actor import Actor
from hybrid_search.scale.watch import Bounds, Crew, OnProgress
from hybrid_search.scale.work import EACH, Ended, Failed, Message, Share

LOCAL = "local"
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what later releases do by default; without it each start warns
    "RAY_DEDUP_LOGS": "0",
}
STORE_BYTES = 80 << 20
"""About the least that Ray takes for its object store, of which a load uses nothing."""
CALLS = 3
"""What an actor does at once: it works, tells, and hears."""
ORDERLY_SECONDS = 20.0
"""Time for actors to finish what is under way when the command is ended."""
UNPLACED_SECONDS = 5.0
"""After which it is said that Ray has no place for a worker."""


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Where actors run, and what each takes.

    Attributes:
        address: ``auto`` for the cluster that this machine is part of, ``ray://host:port``, or ``local``.
        bounds: how many there are.
        cpus: of each, may be a fraction.
        gpus: of each, may be a fraction.
    """

    address: str
    bounds: Bounds
    cpus: float = 1.0
    gpus: float = 0.0

    def check(self) -> None:
        """Raise SettingsError for what no cluster can do."""
        if self.address not in {LOCAL, "auto"} and urlsplit(self.address).scheme != "ray":
            remedy = "Give auto, local, or ray://host:10001"
            raise SettingsError(f"{self.address!r} is no address of a Ray cluster", where="--ray", remedy=remedy)
        if self.bounds.least > self.bounds.most:
            most = f"--workers {self.bounds.most}"
            raise SettingsError(f"is more than {most}", where="--ray-least", remedy="Raise --workers")
        for name, value in (("--ray-cpus", self.cpus), ("--ray-gpus", self.gpus)):
            if value > 1 and value != int(value):
                raise SettingsError("above 1 is a whole number for Ray", where=name, remedy=f"Give {int(value)}")


def load_on_ray(share: Share, options: RayOptions, *, progress: OnProgress = lambda _: None) -> IngestReport:
    """Load a source by Ray actors; the report is theirs together.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingsError: the options contradict each other.
        IngestError: the cluster does not answer or has another release of this package; a worker failed, or too many
            died. The load goes on with the same command.
    """
    options.check()
    with _connected(options) as ray, connect(share.settings.engine) as connection:
        place, share = Actors(ray, options), replace(share, folder=Path.cwd())
        try:
            crew = Crew(place, share, options.bounds, progress, lambda: splits_wait(connection, share))
            place.unplaced = lambda why: progress(IngestProgress(0, 0, 0, waiting=why))
            return crew.run()
        finally:
            place.close()
            _restored(connection, share.index)


def splits_wait(connection: Connection, share: Share) -> bool:
    """Whether there are splits of the source that nobody has taken; not known where the engine is busy."""
    from hybrid_search.ingest.source import source_name

    try:
        shared = read_state(connection, share.index).shared.get(share.what.name or source_name(share.source))
    except EngineError:
        return False
    if shared is None:
        return False
    held = [*shared.committed, *((one.first, one.end) for one in shared.taken)]
    return sum(end - first for first, end in held) < shared.splits


class Actors:
    """Workers that are Ray actors.

    Attributes:
        unplaced: is told where Ray has had no place for any of them for some time.
    """

    def __init__(self, ray: Any, options: RayOptions) -> None:
        self.unplaced: Any = lambda _: None
        self._ray = ray
        how = {"num_cpus": options.cpus, "num_gpus": options.gpus, "max_concurrency": CALLS, "max_restarts": 0}
        self._made = ray.remote(**how)(Actor)
        self._threads = max(1, int(options.cpus))
        self._needs = f"{options.cpus:g} CPU" + (f" and {options.gpus:g} GPU" if options.gpus else "")
        self._actors: dict[str, Any] = {}
        self._asked: dict[Any, str] = {}
        self._works: dict[str, Any] = {}
        self._placed: set[str] = set()
        self._count = 0
        self._since = time.monotonic()

    def start(self, share: Share) -> str:
        """An actor for a share; it works as soon as Ray has a place for it."""
        self._count += 1
        name = f"worker {self._count}"
        actor = self._made.remote()
        self._works[name] = actor.work.remote(share, self._threads)
        self._actors[name] = actor
        self._ask(name)
        return name

    def news(self) -> Sequence[tuple[str, Message]]:
        """What they have told, and which of them are gone."""
        ready, _ = self._ray.wait(list(self._asked), num_returns=len(self._asked), timeout=EACH)
        if not self._placed and not ready and time.monotonic() - self._since > UNPLACED_SECONDS:
            self.unplaced(f"waits for a place in the Ray cluster: {self._needs}")
        found: list[tuple[str, Message]] = []
        for reference in ready:
            name = self._asked.pop(reference)
            self._placed.add(name)
            told = self._told(reference) or self._never_begun(name)
            found += [(name, message) for message in told]
            if any(isinstance(message, Ended) for message in told):
                self._ray.kill(self._actors.pop(name))
            else:
                self._ask(name)
        return found

    def _never_begun(self, name: str) -> list[Message]:
        """Of a worker that has nothing to tell: whether it could not read what it was given."""
        done, _ = self._ray.wait([self._works[name]], timeout=0)
        if not done:
            return []
        try:
            self._ray.get(done[0])
        except self._ray.exceptions.RayActorError:  # it was lost, as the next answer says
            return []
        except self._ray.exceptions.RayError as error:
            return [Failed(f"{cause(error)}; nodes need the same release of this package"), Ended()]
        return []

    def slow_down(self, name: str, said: Refused) -> None:
        """Tell a worker, unless it is gone."""
        if name in self._actors:
            self._actors[name].hear.remote(said)

    def close(self) -> None:
        """End what still works: in order, and then at once."""
        for actor in self._actors.values():
            actor.stop.remote()
        ends = time.monotonic() + ORDERLY_SECONDS
        while any(name in self._placed for name in self._actors) and time.monotonic() < ends:
            self.news()
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()

    def _ask(self, name: str) -> None:
        self._asked[self._actors[name].news.remote()] = name

    def _told(self, reference: Any) -> list[Message]:
        try:
            told: list[Message] = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            return [Ended(cause(error))]
        except self._ray.exceptions.RayError as error:  # as where another release of this package is on the node
            return [Ended(type(error).__name__)]
        return told


def cause(error: Exception) -> str:
    """What Ray says of a lost actor, on one line."""
    lines = [line for line in str(error).splitlines() if not line.startswith("\t")]  # those are ids of Ray's own
    said = " ".join(" ".join(lines).split())
    _, _, detail = said.partition("Worker exit detail: ")
    return (detail or said)[:160]


@contextmanager
def _connected(options: RayOptions) -> Iterator[Any]:
    """Ray, connected for the time of a block; a cluster of its own ends with it."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise MissingExtraError("--ray", "ray") from None
    own: dict[str, Any] = (
        {"object_store_memory": STORE_BYTES, "num_cpus": _own_cpus(options)} if options.address == LOCAL else {}
    )
    try:
        with _nameless(), _own_signals():
            ray.init(
                address=options.address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **own,
            )
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise IngestError(
            f"the Ray cluster cannot be reached: {str(error).splitlines()[0]}",
            where=f"--ray {options.address}",
            remedy="Start one (ray start --head), or use --ray local",
        ) from None
    try:
        with _silent():
            yield ray
    finally:
        ray.shutdown()


def _own_cpus(options: RayOptions) -> int:
    """As many as all actors want: on one machine its own scheduler decides, as it does for local workers."""
    return max(1, round(options.bounds.most * options.cpus + 0.5))


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself: it would end without an end of the load."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _nameless() -> Iterator[None]:
    """Ray keeps the command line of who connects in its tables and logs; passwords may be in ours."""
    from ray._private import utils

    before = utils.get_entrypoint_name
    utils.get_entrypoint_name = lambda: "hybrid-search index"
    try:
        yield
    finally:
        utils.get_entrypoint_name = before


@contextmanager
def _silent() -> Iterator[None]:
    """Ray prints of lost actors on standard output, where a report is read by programs; we say it in a note."""
    from ray._private import worker

    name = "_worker_logs_enabled"  # Ray has no public name for it
    before = getattr(worker, name)
    setattr(worker, name, False)
    try:
        yield
    finally:
        setattr(worker, name, before)


def _restored(connection: Connection, index: str) -> None:
    """Put back the settings of the index where no actor was left to do it."""
    try:
        if exists(connection, index):
            mend(connection, index)
    except HybridSearchError:
        return  # the next load, verify or status does it
