"""Local workers: processes that share one load, each with models of its own, and one that watches over them.

    source -> splits (in the index: who has which, what is settled) -> workers: read, encode, send

The protocol is that of ``--join`` (:mod:`hybrid_search.ingest.together`): a worker that dies loses nothing, another
takes what it had. What is here is how processes of this machine are started, heard and ended;
:mod:`hybrid_search.scale.watch` decides how many there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from hybrid_search.encode.threads import OWN_NUMBERS, allowed_cores
from hybrid_search.ingest.pace import Pace, Refused
from hybrid_search.ingest.report import IngestReport
from hybrid_search.scale.watch import Bounds, Crew, OnProgress
from hybrid_search.scale.work import EACH, Ended, Message, Share, StoppedError, numbered, work

__all__ = ["Share", "load_by_workers", "numbered"]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def load_by_workers(share: Share, count: int, *, progress: OnProgress = lambda _: None) -> IngestReport:
    """Load a source by ``count`` processes; the report is theirs together.

    Each has ``cores // count`` threads for encoding, at least one, unless ``OMP_NUM_THREADS`` says otherwise; of
    several GPUs, each has one. A worker that is killed is named in the notes; the others load what it had, and another
    takes its place.

    Raises:
        IngestError: a worker failed, or all of them died; the load goes on with the same command.
    """
    with _processes(max(1, allowed_cores() // count)) as place:
        return Crew(place, share, Bounds(count, count), progress).run()


@contextmanager
def _processes(threads: int) -> Iterator[Processes]:
    """Processes that end with the block: in order where it is left by an error or a signal."""
    place = Processes(threads)
    try:
        yield place
    except BaseException:  # whoever ends this process alone ends its workers too, in order
        place.terminate()
        raise
    finally:
        place.close()


@dataclass(frozen=True, slots=True)
class _Process:
    """A process and its two ends: what it tells, and what it is told."""

    process: BaseProcess
    messages: Pipe
    words: Pipe


class Processes:
    """Workers that are processes of this machine."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._started: dict[str, _Process] = {}
        self._open: dict[Pipe, str] = {}

    def start(self, share: Share) -> str:
        """A process for a share; named by its number in this machine."""
        with _signals_later():  # one that comes between a process and its place in the list would forget it
            spawn = multiprocessing.get_context("spawn")
            (receiving, telling), (hearing, saying) = spawn.Pipe(duplex=False), spawn.Pipe(duplex=False)
            process = spawn.Process(target=_work, args=(share, self._threads, telling, hearing))
            process.start()
            for theirs in (telling, hearing):  # so that the end of the process ends the messages
                theirs.close()
            name = f"worker {process.pid}"
            self._started[name] = _Process(process, receiving, saying)
            self._open[receiving] = name
        return name

    def news(self) -> Sequence[tuple[str, Message]]:
        """What they have told, and which of them have ended."""
        found: list[tuple[str, Message]] = []
        for ready in wait(list(self._open), EACH):
            name = self._open[ready]  # type: ignore[index]  # only pipes were waited for
            try:
                found.append((name, self._started[name].messages.recv()))
            except (EOFError, OSError):
                found.append((name, self._ended(name)))
        return found

    def slow_down(self, name: str, said: Refused) -> None:
        """Tell a worker, unless it has just ended."""
        try:
            self._started[name].words.send(said)
        except OSError:
            return

    def terminate(self) -> None:
        """Ask all to end in order."""
        for one in self._started.values():
            one.process.terminate()

    def close(self) -> None:
        """Wait for their ends."""
        for one in self._started.values():
            one.process.join()
            one.messages.close()
            one.words.close()

    def _ended(self, name: str) -> Ended:
        one = self._started[name]
        del self._open[one.messages]
        one.process.join()
        return Ended(f"exit {one.process.exitcode}" if one.process.exitcode else None)


@contextmanager
def _signals_later() -> Iterator[None]:
    """Signals that end this process wait for the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(share: Share, threads: int, messages: Pipe, words: Pipe) -> None:
    """The whole of a worker's life."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)  # it was started while they had to wait
    if not any(name in os.environ for name in OWN_NUMBERS):
        os.environ["OMP_NUM_THREADS"] = str(threads)
    from hybrid_search.cli.signals import stop_cleanly

    stop_cleanly()
    tell = _telling(messages)
    pace = Pace(tell)
    threading.Thread(target=_listen, args=(words, pace), daemon=True).start()
    work(share, tell, pace, threading.Event())


def _telling(messages: Pipe) -> Callable[[Message], None]:
    """Sends to whoever watches; senders and the ledger tell from threads of their own."""
    one_by_one = threading.Lock()

    def tell(message: Message) -> None:
        try:
            with one_by_one:
                messages.send(message)
        except OSError:  # whoever watched was killed: nobody would hear how this ends
            raise StoppedError from None

    return tell


def _listen(words: Pipe, pace: Pace) -> None:
    """Hear what other workers have met, until whoever watches is gone."""
    while True:
        try:
            pace.hear(words.recv())
        except (EOFError, OSError):
            return
