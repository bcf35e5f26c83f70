"""Local workers: processes that share one load, each with models of its own, and one that watches over them.

    source -> splits (in the index: who has which, what is settled) -> workers: read, encode, send

The protocol is that of ``--join`` (:mod:`hybrid_search.ingest.together`): a worker that dies loses nothing, another
takes what it had. So nothing is decided here but how many there are, how many threads each has, and what is told.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from msgspec.structs import replace as changed

from hybrid_search.encode.threads import OWN_NUMBERS, allowed_cores
from hybrid_search.errors import HybridSearchError, IngestError
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.report import IngestProgress, IngestReport, progress_of_all
from hybrid_search.settings import Settings

OnProgress = Callable[[IngestProgress], None]
SPLIT_BYTES = 4 << 20
"""About the bytes of a split: small, so that files of some megabytes keep several workers busy. It does not depend on
how many there are, so that a load goes on with another number of them."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EACH = 0.5
"""Seconds between two messages about progress."""
COUNTS = tuple(field.name for field in fields(IngestReport) if field.type == "int" and field.name != "load")
"""Numbers of a report that are summed over workers."""


@dataclass(frozen=True, slots=True)
class Share:
    """What every worker is given; it travels to the workers, so all of it can be pickled."""

    source: str
    index: str
    settings: Settings
    files: LoadFiles
    what: SourceOptions
    number: int = 0

    def of(self, number: int) -> Share:
        """That of one worker: files that are named for the load have a number for all but the first."""
        own = {name: numbered(getattr(self.files, name), number) for name in ("dead_letters", "skip_bad")}
        return replace(self, number=number, files=replace(self.files, **own), what=replace(self.what, join=True))


@dataclass(slots=True)
class _Worker:
    """A process, its messages, and what it has told so far."""

    process: BaseProcess
    messages: Pipe
    progress: IngestProgress | None = None
    report: IngestReport | None = None
    failure: str | None = None


def numbered(path: Path | None, number: int) -> Path | None:
    """The file of worker ``number``: ``bad.jsonl``, ``bad-w2.jsonl``."""
    return path if path is None or number == 0 else path.with_stem(f"{path.stem}-w{number + 1}")


def load_by_workers(share: Share, count: int, *, progress: OnProgress = lambda _: None) -> IngestReport:
    """Load a source by ``count`` processes; the report is theirs together.

    Each has ``cores // count`` threads for encoding, at least one, unless ``OMP_NUM_THREADS`` says otherwise; of
    several GPUs, each has one. A worker that is killed is named in the notes; the others load what it had.

    Raises:
        IngestError: a worker failed, or all of them died; the load goes on with the same command.
    """
    workers: list[_Worker] = []
    began = time.perf_counter()
    try:
        for number in range(count):
            with _signals_later():  # one that comes between a process and its place in the list would forget it
                workers.append(_started(share.of(number), max(1, allowed_cores() // count)))
        _watch(workers, progress)
    except BaseException:  # whoever ends this process alone ends its workers too, in order
        for worker in workers:
            worker.process.terminate()
        raise
    finally:
        for worker in workers:
            worker.process.join()
            worker.messages.close()
    return _together(workers, share.index, time.perf_counter() - began)


@contextmanager
def _signals_later() -> Iterator[None]:
    """Signals that end this process wait for the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _started(share: Share, threads: int) -> _Worker:
    spawn = multiprocessing.get_context("spawn")
    receiving, sending = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(share, threads, sending))
    process.start()
    sending.close()  # so that the end of the process ends the messages
    return _Worker(process, receiving)


def _work(share: Share, threads: int, messages: Pipe) -> None:
    """The whole of a worker's life."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)  # it was started while they had to wait
    if not any(name in os.environ for name in OWN_NUMBERS):
        os.environ["OMP_NUM_THREADS"] = str(threads)
    from hybrid_search.cli.signals import stop_cleanly
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest.load import LoadOptions
    from hybrid_search.ingest.source import index_source

    stop_cleanly()
    told = [0.0]

    def tell(progress: IngestProgress) -> None:
        if (now := time.monotonic()) - told[0] >= EACH:
            told[0] = now
            try:
                messages.send(progress)
            except OSError:  # whoever watched was killed: nobody would hear how this ends
                raise KeyboardInterrupt from None

    try:
        with connect(share.settings.engine) as connection:
            encoder = load_encoder(on_its_device(share.settings, share.number))
            report = index_source(
                share.source,
                share.index,
                connection,
                encoder,
                share.settings,
                files=share.files,
                what=share.what,
                progress=tell,
                options=LoadOptions(split_bytes=SPLIT_BYTES),
            )
        messages.send(replace(report, refusals=tuple(report.refusals)))
    except HybridSearchError as error:
        messages.send(str(error))
    except KeyboardInterrupt:
        messages.close()  # senders have finished; whoever watches was interrupted too


def on_its_device(settings: Settings, number: int) -> Settings:
    """The settings of one worker: where there are several GPUs and none is named, each has the next of them in turn."""
    if not any(_may_be_any(one.device) for one in (settings.dense, settings.sparse)):
        return settings
    try:
        from hybrid_search.encode.devices import devices_here
    except ImportError:  # no torch: vectors come with the documents, or from a server
        return settings
    gpus = [name for name in devices_here() if name.startswith("cuda")]
    if len(gpus) < 2:
        return settings
    own = {
        part: changed(one, device=gpus[number % len(gpus)])
        for part, one in (("dense", settings.dense), ("sparse", settings.sparse))
        if _may_be_any(one.device)
    }
    return changed(settings, **own)


def _may_be_any(device: str | None) -> bool:
    return device is None or device.strip().lower() in ("gpu", "cuda")


def _watch(workers: Sequence[_Worker], progress: OnProgress) -> None:
    """Hear all of them to their ends."""
    open_ones = {worker.messages: worker for worker in workers}
    while open_ones:
        for ready in wait(list(open_ones)):
            worker = open_ones[ready]  # type: ignore[index]  # only pipes were waited for
            try:
                _hear(worker, worker.messages.recv())
            except EOFError:
                del open_ones[worker.messages]
                continue
            if told := [one.progress for one in workers if one.progress is not None]:
                progress(progress_of_all(told))


def _hear(worker: _Worker, message: Any) -> None:
    match message:
        case IngestProgress():
            worker.progress = message
        case IngestReport():
            worker.report = message
        case str():
            worker.failure = message


def _together(workers: Sequence[_Worker], index: str, wall: float) -> IngestReport:
    """One report; raises where a worker failed or none came to an end."""
    reports = [worker.report for worker in workers if worker.report is not None]
    failures = [worker.failure for worker in workers if worker.failure is not None]
    again = "Run the same command again: it goes on where they stopped"
    if failures:
        raise IngestError(f"a worker failed: {failures[0]}", where=index, remedy=again)
    if not reports:
        raise IngestError("all workers died", where=index, remedy=again)
    died = [
        f"worker {worker.process.pid} died (exit {worker.process.exitcode}); others took what it had"
        for worker in workers
        if not worker.report
    ]
    first = reports[0]
    return replace(
        first,
        **{name: sum(getattr(report, name) for report in reports) for name in COUNTS},
        wall=wall,
        busy=dict(_added(report.busy for report in reports)),
        refusals=tuple(refusal for report in reports for refusal in report.refusals),
        dead_letters=next((report.dead_letters for report in reports if report.refused), first.dead_letters),
        notes=(*died, *dict.fromkeys(note for report in reports for note in report.notes)),
        excess=next((report.excess for report in reports if report.excess), None),
        withheld=next((report.withheld for report in reports if report.withheld), None),
    )


def _added(counted: Iterable[Any]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counted:
        total.update(one)
    return total
