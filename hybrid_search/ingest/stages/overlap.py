"""Run the stages of a pipeline at once: a thread for each, bounded channels between them.

A stage is a generator over the stage before it. :meth:`Overlap.ahead` runs one in a thread of its own, at most a few
items ahead of its reader. An error of a stage reaches its reader after all that came before it, so what precedes a
broken record is still loaded; an error of a reader, or leaving the ``with`` block, stops every stage before it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")

CHANNEL_CAPACITY = 2


class StoppedError(BaseException):
    """Raised inside a stage whose pipeline has been stopped; it never leaves this module.

    Not an Exception: a stage that hands on what it has before it passes an error on must not do so then.
    """


class Blocked(threading.local):
    """Seconds that the current thread has spent waiting for its neighbours; its stage, and when it began."""

    seconds: float = 0.0
    stage: str = ""
    began: float = 0.0


class Channel(Generic[T]):
    """A bounded queue between two stages that can be ended by the writer and stopped by anyone."""

    def __init__(self, capacity: int, blocked: Blocked) -> None:
        self._capacity = capacity
        self._blocked = blocked
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Append, waiting while the channel is full. Raises StoppedError after :meth:`stop`."""
        with self._changed:
            self._wait_while(lambda: len(self._items) >= self._capacity)
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Take the oldest item, waiting for one.

        Raises:
            StopIteration: the writer has ended and nothing is left.
            StoppedError: the pipeline was stopped.
            BaseException: the writer's error, once all that it wrote before has been taken.
        """
        with self._changed:
            self._wait_while(lambda: not self._items and not self._ended)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            raise StopIteration

    def __len__(self) -> int:
        return len(self._items)

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing more will be written, because of ``error`` if there is one."""
        with self._changed:
            self._ended = True
            self._error = error
            self._changed.notify_all()

    def stop(self) -> None:
        """Drop what is queued and release everyone who waits."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def _wait_while(self, condition: Callable[[], bool]) -> None:
        began = time.perf_counter()
        while not self._stopped and condition():
            self._changed.wait()
        self._blocked.seconds += time.perf_counter() - began
        if self._stopped:
            raise StoppedError


class Reader(Generic[T]):
    """The iterator at the far end of a channel."""

    def __init__(self, channel: Channel[T]) -> None:
        self._channel = channel

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return self._channel.get()


def side_by_side(items: Iterable[T], work: Callable[[T], R], threads: int) -> Iterator[R]:
    """``work`` on every item, in order, on so many at once: for stages that mostly wait for an answer.

    What is finished is handed on before the next item is waited for, unless it is behind one that is not.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="ingest side") as pool:
        ahead: deque[Future[R]] = deque()
        for item in items:
            ahead.append(pool.submit(work, item))
            while ahead and (len(ahead) >= threads or ahead[0].done()):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def interleaved(streams: Iterator[Iterator[T]], threads: int) -> Iterator[T]:
    """The items of several streams, so many of which are read at once; those of a stream in their order.

    An error of a stream is raised after what was read before it.
    """
    channel: Channel[T] = Channel(threads, Blocked())
    taking, errors = threading.Lock(), list[BaseException]()

    def next_stream() -> Iterator[T] | None:
        with taking:
            return None if errors else next(streams, None)

    def read() -> None:
        try:
            while (stream := next_stream()) is not None:
                for item in stream:
                    channel.put(item)
                    if errors:
                        return
        except BaseException as error:  # noqa: BLE001  # it travels to the reader, in order
            errors.append(error)

    with ThreadPoolExecutor(threads + 1, thread_name_prefix="ingest read") as pool:
        reading = [pool.submit(read) for _ in range(threads)]

        def end() -> None:
            wait(reading)
            channel.end(errors[0] if errors else None)

        pool.submit(end)
        try:
            yield from Reader(channel)
        finally:
            channel.stop()


class Overlap:
    """The threads and channels of one pipeline, and how long each stage was busy.

    ``busy`` maps a stage to the seconds in which it worked rather than waited for its neighbours.
    """

    def __init__(self) -> None:
        self.busy: dict[str, float] = {}
        self._stopped = threading.Event()
        self._blocked = Blocked()
        self._channels: list[Channel[object]] = []
        self._named: dict[str, Channel[object]] = {}
        self._working: dict[int, tuple[str, float]] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()

    def look(self) -> tuple[dict[str, float], dict[str, int]]:
        """Seconds in which each stage has worked by now, and how many items wait behind each for the next."""
        with self._lock:
            busy = dict(self.busy)
        for stage, seconds in list(self._working.values()):
            busy[stage] = busy.get(stage, 0.0) + seconds
        return busy, {name: len(channel) for name, channel in list(self._named.items())}

    @property
    def stopped(self) -> threading.Event:
        """Set when the pipeline stops: what a stage that sleeps must wait on."""
        return self._stopped

    def stop(self) -> None:
        """End every stage at its next item."""
        self._stopped.set()
        for channel in self._channels:
            channel.stop()

    def ahead(self, name: str, items: Iterable[T], capacity: int = CHANNEL_CAPACITY) -> Iterator[T]:
        """Iterate over ``items`` in a thread called ``name``, at most ``capacity`` items ahead of the reader."""
        channel: Channel[T] = Channel(capacity, self._blocked)
        self._channels.append(channel)  # type: ignore[arg-type]  # only stop() and len() are called on it
        self._named[name] = self._channels[-1]
        self._start(name, lambda: self._fill(items, channel))
        return Reader(channel)

    def drain(self, name: str, items: Iterator[T], work: Callable[[T], None], threads: int) -> None:
        """Call ``work`` on every item in ``threads`` threads; return when all is done, raise the first error."""
        errors: list[BaseException] = []
        workers = [
            self._start(f"{name} {n}", lambda: self._work(items, work, errors), stage=name) for n in range(threads)
        ]
        for worker in workers:
            worker.join()
        if errors:
            raise errors[0]

    def _start(self, name: str, run: Callable[[], None], *, stage: str | None = None) -> threading.Thread:
        thread = threading.Thread(target=self._timed, args=(stage or name, run), name=f"ingest {name}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _timed(self, stage: str, run: Callable[[], None]) -> None:
        self._blocked.stage, self._blocked.began = stage, time.perf_counter()
        run()
        working = time.perf_counter() - self._blocked.began - self._blocked.seconds
        with self._lock:
            self._working.pop(threading.get_ident(), None)
            self.busy[stage] = self.busy.get(stage, 0.0) + working

    def _note(self) -> None:
        """How long the stage of this thread has worked so far."""
        working = time.perf_counter() - self._blocked.began - self._blocked.seconds
        self._working[threading.get_ident()] = (self._blocked.stage, working)

    def _fill(self, items: Iterable[T], channel: Channel[T]) -> None:
        try:
            for item in items:
                channel.put(item)
                self._note()
        except StoppedError:
            channel.stop()
        except BaseException as error:  # noqa: BLE001  # it travels to the reader, in order
            channel.end(error)
        else:
            channel.end()

    def _work(self, items: Iterator[T], work: Callable[[T], None], errors: list[BaseException]) -> None:
        while True:
            try:
                item = next(items)
            except (StopIteration, StoppedError):
                return
            except BaseException as error:  # noqa: BLE001  # drain() raises it; what came before is still worked on
                errors.append(error)
                return
            try:
                work(item)
                self._note()
            except BaseException as error:  # noqa: BLE001  # drain() raises it
                errors.append(error)
                self.stop()
                return
