"""One model's thread and those who wait for it: queries that come together are encoded together, and each once.

While the model works, others gather; all of them that ask for vectors are its next call. A model that is free waits up
to :data:`LINGER` seconds for more, but only while more searches are in progress than have come, so that a search that
is alone is never held up.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any

from hybrid_search.errors import InputError, ModelError
from hybrid_search.search.breaker import CircuitBreaker
from hybrid_search.search.encoding import HOPELESS
from hybrid_search.search.query_cache import QueryCache, QueryVectors, joined, rows_of
from hybrid_search.search.steps import Encode, Encoded, EncodePassages, ModelStep

LINGER = 0.002
"""Seconds that the first of several searches waits for the texts of the others."""

TOGETHER = 64
"""Texts of several searches that are encoded in one call; a search of more texts has a call of its own."""

Ask = Callable[[ModelStep], Any]


@dataclass(eq=False, slots=True)
class Call:
    """What one search asks: ``future`` will have the answer; ``stalled_at`` is set when nobody waits for it any more.

    Vectors are kept under the ``fingerprint`` of the encoder's models; None keeps none.
    """

    ask: Ask
    step: ModelStep
    fingerprint: str | None = None
    future: Future[Any] = field(default_factory=Future)
    context: Context = field(default_factory=copy_context)
    stalled_at: float | None = None

    @property
    def must(self) -> bool:
        """Whether a search finds less without: highlights that fail are no reason to encode no more queries."""
        return not isinstance(self.step, EncodePassages)

    @property
    def texts(self) -> Sequence[str]:
        return self.step.texts if isinstance(self.step, Encode) else ()


class ModelQueue:
    """A daemon thread that has a model answer what waits, oldest first; it begins with the first call.

    Args:
        name: of the thread.
        cache: of query vectors.
        crowd: how many searches are in progress.
    """

    def __init__(self, name: str, cache: QueryCache, crowd: Callable[[], int]) -> None:
        self.breaker = CircuitBreaker()
        self._name, self._cache, self._crowd = name, cache, crowd
        self._waiting: OrderedDict[Future[Any], Call] = OrderedDict()
        self._running: Sequence[Call] = ()
        self._is_missed = False
        self._changed = Condition()
        self._enough = 1
        self._thread: Thread | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_stalled(self) -> bool:
        """Whether it has taken twice the time that everybody gave it whom it is to answer."""
        left = [call for call in self._running if not call.future.done()]
        return bool(left) and all(c.stalled_at is not None and time.monotonic() > c.stalled_at for c in left)

    def submit(self, call: Call) -> bool:
        """Put a call behind the others; False where the queue is closed."""
        with self._changed:
            if self._closed:
                return False
            self._waiting[call.future] = call
            if len(self._waiting) >= self._enough or len(self._waiting) >= self._crowd():
                self._changed.notify()
            if self._thread is None:
                self._thread = Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
        call.future.add_done_callback(self._left)
        return True

    def leave(self, call: Call) -> None:
        """Nobody waits for this call any more; if it takes as long again, the model is stalled."""
        call.stalled_at = time.monotonic() + call.step.patience

    def give_up(self, call: Call) -> None:
        """The same of one who waited for as long as he could; where all did, that is a failure of the model."""
        self.leave(call)
        running = self._running
        if call in running and not self._is_missed and all(one.stalled_at is not None for one in running):
            self._is_missed = True
            if call.must:
                self.breaker.failed("it did not answer in time")

    def close(self) -> None:
        """End the thread once it is idle; what still waits is cancelled."""
        with self._changed:
            self._closed = True
            waiting = list(self._waiting)
            self._changed.notify()
        for future in waiting:
            future.cancel()

    def _left(self, future: Future[Any]) -> None:
        """One that was cancelled takes no room."""
        if future.cancelled():
            with self._changed:
                self._waiting.pop(future, None)

    def _work(self) -> None:
        while calls := self._next():
            self._answer(calls)
            del calls
            self._running = ()

    def _next(self) -> list[Call]:
        """The calls that are answered together, claimed; none where the queue was closed."""
        with self._changed:
            while True:
                self._enough = 1
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return []
                self._linger()
                calls = [call for call in self._batch() if call.future.set_running_or_notify_cancel()]
                if calls:
                    self._running, self._is_missed = calls, False
                    return calls

    def _linger(self) -> None:
        """Wait for the others, if there are any."""
        self._enough = TOGETHER
        first = next(iter(self._waiting.values()))
        if isinstance(first.step, Encode) and not self._is_complete():
            self._changed.wait_for(self._is_complete, timeout=LINGER)

    def _is_complete(self) -> bool:
        return self._closed or len(self._waiting) >= min(self._enough, self._crowd())

    def _batch(self) -> list[Call]:
        """The oldest call; and where it asks for vectors, others that ask the same model for some. None waits on."""
        batch: list[Call] = []
        texts = 0
        for call in self._waiting.values():
            is_alike = not batch or (isinstance(call.step, Encode) and call.ask == batch[0].ask)
            if is_alike and (not batch or texts + len(call.texts) <= TOGETHER):
                batch.append(call)
                texts += len(call.texts)
                if not isinstance(call.step, Encode):
                    break
        for call in batch:
            del self._waiting[call.future]
        return batch

    def _answer(self, calls: Sequence[Call]) -> None:
        if len(calls) > 1 and self._answer_together(calls):
            return
        failures = 0
        for call in calls:
            if failures >= HOPELESS or (len(calls) > 1 and self.breaker.refusal):
                call.future.set_exception(_given_up())
                continue
            try:
                call.future.set_result(self._known(call) or self._asked(call, call.step)[0])
                failures = 0
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is read
                failures += 1
                call.future.set_exception(error)

    def _known(self, call: Call) -> Encoded | None:
        """The answer to one whose texts were encoded while it waited."""
        rows = [row for row in self._cache.found(call.fingerprint, call.texts) if row is not None]
        return joined(rows) if rows and len(rows) == len(call.texts) else None

    def _answer_together(self, calls: Sequence[Call]) -> bool:
        """Encode the texts of all of them, each once; False where that fails: then each is answered by itself."""
        fingerprint = calls[0].fingerprint
        texts = list(dict.fromkeys(text for call in calls for text in call.texts))
        made: dict[str, QueryVectors] = {
            text: row for text, row in zip(texts, self._cache.found(fingerprint, texts), strict=True) if row is not None
        }
        missing = [text for text in texts if text not in made]
        try:
            if missing:
                _, rows = self._asked(calls[0], Encode(missing, calls[0].step.patience))
                if rows is None:
                    return False
                made |= zip(missing, rows, strict=True)
            answers = [joined([made[text] for text in call.texts]) for call in calls]
        except Exception:  # noqa: BLE001 - whose fault it is shows where each asks for itself
            return False
        for call, answer in zip(calls, answers, strict=True):
            call.future.set_result(answer)
        return True

    def _asked(self, call: Call, step: ModelStep) -> tuple[Any, Sequence[QueryVectors] | None]:
        """What the model answers, and its rows if they are vectors, which are kept; how it fares is counted."""
        try:
            answer = call.context.run(call.ask, step)
        except InputError:
            raise
        except BaseException as error:
            if call.must:
                # The kind alone: what an error says may quote the query of one, and the reason is told to all.
                self.breaker.failed(type(error.__cause__ or error).__name__)
            raise
        if not self._is_missed:
            self.breaker.succeeded()
        rows = rows_of(answer, len(step.texts)) if isinstance(step, Encode) else None
        if isinstance(step, Encode) and rows is not None:
            self._cache.keep(call.fingerprint, step.texts, rows)
        return answer, rows


def _given_up() -> ModelError:
    return ModelError("the encoder failed on other queries before this one", remedy="Look at the model")
