"""Where models run: one thread for the encoder, one for the reranker, each with a queue of its own.

A model takes one caller at a time, for cores are busy anyway and not every tokenizer can be shared. A search that
reranks holds up nobody who only needs the encoder. Nobody waits longer than he allows, neither for a model that is busy
with others nor for one that has begun and does not answer: what it says later is dropped. One that has taken twice
its time is stalled: until it has answered, nobody else waits for it at all.

The threads are daemons: a model that never answers does not keep a program from ending.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from hybrid_search.errors import ModelBusyError, ModelError, ModelTimeoutError
from hybrid_search.search.steps import ModelStep, Score

Ask = Callable[[ModelStep], Any]


class ModelWorkers:
    """The two threads; both clients use them."""

    def __init__(self) -> None:
        self._encoding = _Worker("hybrid-search-encoder")
        self._reranking = _Worker("hybrid-search-reranker")

    def begin(self, ask: Ask, step: ModelStep, *, together: bool) -> Asked:
        """Ask a model, and go on.

        Args:
            ask: answers the step; called in the model's thread.
            step: what is asked.
            together: encoder and reranker are one object, which takes one caller at a time.

        Raises:
            ModelBusyError: it has not answered an earlier search, and takes twice the time that it was given.
            ModelError: the client is closed.
        """
        worker = self._reranking if isinstance(step, Score) and not together else self._encoding
        return Asked(step, worker.submit(ask, step), time.monotonic() + step.patience, worker.given_up)

    def close(self) -> None:
        """End both threads once they are idle; what still waits is given up."""
        for worker in (self._encoding, self._reranking):
            worker.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model was asked, and until when (monotonic clock) its answer is waited for."""

    step: ModelStep
    future: Future[Any]
    until: float
    give_up: Callable[[Future[Any], float], None]

    def answer(self) -> Any:
        """What the model answers.

        Raises:
            ModelBusyError: it was busy with others for as long as the step may wait.
            ModelTimeoutError: it has begun and did not answer in that time.
        """
        wait([self.future], timeout=max(0.0, self.until - time.monotonic()))
        return self._result()

    async def awaited(self) -> Any:
        """The same, while the event loop goes on."""
        awaited = asyncio.wrap_future(self.future)
        awaited.add_done_callback(lambda future: future.cancelled() or future.exception())  # read below, or by nobody
        try:
            await asyncio.wait([awaited], timeout=max(0.0, self.until - time.monotonic()))
            return self._result()
        finally:
            awaited.cancel()  # where nobody waits any more the thread has nobody to tell

    def _result(self) -> Any:
        if self.future.cancelled():
            raise _closed()
        if self.future.cancel():
            raise _busy(self.step)
        if not self.future.done():
            self.give_up(self.future, self.step.patience)
            raise _late(self.step)
        return self.future.result()


class _Worker:
    """A daemon thread that calls what it is given, in order; it begins with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closed = False
        self._given_up: tuple[Future[Any], float] | None = None

    def given_up(self, future: Future[Any], patience: float) -> None:
        """Nobody waits for this call any more; if it takes as long again, it is stalled."""
        self._given_up = future, time.monotonic() + patience

    def _is_stalled(self) -> bool:
        if self._given_up is None:
            return False
        future, until = self._given_up
        return not future.done() and time.monotonic() > until

    def submit(self, ask: Ask, step: ModelStep) -> Future[Any]:
        future: Future[Any] = Future()
        context = copy_context()
        with self._lock:
            if self._closed:
                raise _closed()
            if self._is_stalled():
                raise _stalled(step)
            self._calls.put((future, lambda: context.run(ask, step)))
            if self._thread is None:
                self._thread = Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
        return future

    def close(self) -> None:
        with self._lock:
            self._closed = True
            waiting = []
            while not self._calls.empty():
                waiting.append(self._calls.get())
            self._calls.put(None)
        for call in waiting:
            if call is not None:
                call[0].cancel()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, answer = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(answer())
                except BaseException as error:  # noqa: BLE001 - it is raised where the answer is read
                    future.set_exception(error)
            del future, answer, call


def _closed() -> ModelError:
    return ModelError("the client is closed", remedy="Search before it is closed, or open another")


def _busy(step: ModelStep) -> ModelBusyError:
    return ModelBusyError(
        f"the {_model(step)} was busy with other searches for {_seconds(step.patience)} s",
        remedy="Search less at a time, or raise search.timeout",
    )


def _stalled(step: ModelStep) -> ModelBusyError:
    return ModelBusyError(
        f"the {_model(step)} was busy: it has not answered an earlier search in twice its time",
        remedy="Raise search.timeout, or give it less to do",
    )


def _late(step: ModelStep) -> ModelTimeoutError:
    return ModelTimeoutError(
        f"the {_model(step)} did not answer in {_seconds(step.patience)} s",
        remedy="Raise search.timeout, or give it less to do",
    )


def _model(step: ModelStep) -> str:
    return "reranker" if isinstance(step, Score) else "encoder"


def _seconds(patience: float) -> str:
    """Of what is left of a round number of seconds, the number."""
    return f"{round(patience, 1):g}" if patience >= 0.1 else f"{patience:.1g}"
