"""Where models run: one thread for the encoder, one for the reranker, each with a queue of its own.

A model takes one caller at a time, for cores are busy anyway and not every tokenizer can be shared. A search that
reranks holds up nobody who only needs the encoder. Nobody waits longer than he allows, neither for a model that is busy
with others nor for one that has begun and does not answer: what it says later is dropped. One that has taken twice
its time is stalled: until it has answered, nobody else waits for it at all; nor for one that keeps failing
(:mod:`hybrid_search.search.breaker`). What was encoded before is not encoded again.

The threads are daemons: a model that never answers does not keep a program from ending.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

from hybrid_search.errors import ModelBusyError, ModelError, ModelTimeoutError, ModelUnavailableError
from hybrid_search.search.model_queue import Ask, Call, ModelQueue
from hybrid_search.search.query_cache import QueryCache, joined
from hybrid_search.search.steps import Encode, ModelStep, Score, ScorePairs
from hybrid_search.search.telemetry import count_lookups


class ModelWorkers:
    """The two threads; both clients use them.

    Args:
        cached: how many queries' vectors are kept.
        crowd: how many searches are in progress: where there are several, they are encoded together.
    """

    def __init__(self, cached: int = 0, crowd: Callable[[], int] = lambda: 1) -> None:
        self.cache = QueryCache(cached)
        self._encoding = ModelQueue("hybrid-search-encoder", self.cache, crowd)
        self._reranking = ModelQueue("hybrid-search-reranker", self.cache, crowd)

    def begin(self, ask: Ask, step: ModelStep, *, together: bool, fingerprint: str | None = None) -> Asked:
        """Ask a model, and go on.

        Args:
            ask: answers the step; called in the model's thread.
            step: what is asked.
            together: encoder and reranker are one object, which takes one caller at a time.
            fingerprint: of the models that encode; None where vectors are not kept.

        Raises:
            ModelBusyError: it has not answered an earlier search, and takes twice the time that it was given.
            ModelUnavailableError: it kept failing, and is not asked for a while.
            ModelError: the client is closed.
        """
        call = Call(ask, step, fingerprint)
        asked = Asked(call, time.monotonic() + step.patience, self._encoding)
        if isinstance(step, Encode) and self._is_known(call, step):
            return asked
        if not together and isinstance(step, Score | ScorePairs):
            asked = Asked(call, asked.until, self._reranking)
        _submit(asked.queue, call)
        return asked

    def close(self) -> None:
        """End both threads once they are idle; what still waits is given up."""
        for queue in (self._encoding, self._reranking):
            queue.close()

    def _is_known(self, call: Call, step: Encode) -> bool:
        """Whether all of it was encoded before: it is answered at once then."""
        rows = self.cache.found(call.fingerprint, step.texts)
        self.cache.count(rows)
        count_lookups(rows)
        known = [row for row in rows if row is not None]
        if not step.texts or len(known) < len(rows):
            return False
        call.future.set_result(joined(known))
        return True


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model was asked, and until when (monotonic clock) its answer is waited for."""

    call: Call
    until: float
    queue: ModelQueue

    @property
    def future(self) -> Future[Any]:
        """What the model's answer comes in."""
        return self.call.future

    def answer(self) -> Any:
        """What the model answers.

        Raises:
            ModelBusyError: it was busy with others for as long as the step may wait.
            ModelTimeoutError: it has begun and did not answer in that time.
        """
        if not self.future.done():
            wait([self.future], timeout=max(0.0, self.until - time.monotonic()))
        return self._result()

    async def awaited(self) -> Any:
        """The same, while the event loop goes on; one that is cancelled gives up its place."""
        if self.future.done():
            return self._result()
        awaited = asyncio.wrap_future(self.future)
        awaited.add_done_callback(lambda future: future.cancelled() or future.exception())  # read below, or by nobody
        try:
            await asyncio.wait([awaited], timeout=max(0.0, self.until - time.monotonic()))
            return self._result()
        except asyncio.CancelledError:
            self.queue.leave(self.call)
            raise
        finally:
            awaited.cancel()  # where nobody waits any more the thread has nobody to tell

    def _result(self) -> Any:
        future, step = self.future, self.call.step
        if future.cancelled():
            raise _closed()
        if future.cancel():
            raise _busy(step)
        if not future.done():
            self.queue.give_up(self.call)
            raise _late(step)
        return future.result()


def _submit(queue: ModelQueue, call: Call) -> None:
    """Put a call into the queue, unless nobody waits for this model now."""
    if queue.is_stalled:
        raise _stalled(call.step)
    if refusal := queue.breaker.admit():
        raise ModelUnavailableError(
            f"the {_model(call.step)} is not asked: {refusal}", remedy="Look at the model, or at what it runs on"
        )
    if not queue.submit(call):
        raise _closed()


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
    return "reranker" if isinstance(step, Score | ScorePairs) else "encoder"


def _seconds(patience: float) -> str:
    """Of what is left of a round number of seconds, the number."""
    return f"{round(patience, 1):g}" if patience >= 0.1 else f"{patience:.1g}"
