"""The stage that sends bodies until the engine has taken, or refused for good, every action in them.

Several threads share one :class:`Sender`. Repeating an action is harmless: ids are deterministic and ``index``
replaces, so after a timeout or a broken answer everything is simply sent again.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from hybrid_search.engine.answers import Failure, Verdict, error_for, failure, verdict
from hybrid_search.engine.bulk import BULK_TIMEOUT, ItemOutcome, bulk_request, outcomes
from hybrid_search.engine.protocols import Answer, Transport
from hybrid_search.errors import EngineError, EngineTimeoutError, EngineUnreachableError
from hybrid_search.ingest.pace import Pace
from hybrid_search.ingest.patience import Backoff, RetryPolicy, retry_after
from hybrid_search.ingest.stages.body_size import BodySize
from hybrid_search.ingest.state.ledger import Settled
from hybrid_search.ingest.work import Action, Body, Refusal

DISK_WATERMARK = re.compile("read-only-allow-delete|read-only / allow delete")
"""In the reason of the block that a full disk sets, and that goes by itself when there is room."""

MOST_FAILURES = 5
"""How often an item may meet a 500 before it is refused for good."""


@dataclass(slots=True)
class Attempt:
    """What one request achieved: actions to send again, why, and how many seconds to wait at least.

    ``paced`` says that all senders wait for it.
    """

    again: list[Action] = field(default_factory=list)
    because: EngineError | None = None
    at_least: float = 0.0
    split: bool = False
    paced: bool = False


class Sender:
    """Sends bodies to one index.

    Attributes:
        in_flight: seconds in which at least one request was under way.
    """

    def __init__(
        self,
        transport: Transport,
        index: str,
        waiting: Callable[[str], None],
        *,
        size: BodySize,
        policy: RetryPolicy,
        stopped: Event,
        timeout: float = BULK_TIMEOUT,
        pace: Pace | None = None,
    ) -> None:
        self.in_flight = 0.0
        self._pace = Pace() if pace is None else pace
        self._transport = transport
        self._index = index
        self._waiting = waiting
        self._size = size
        self._policy = policy
        self._stopped = stopped
        self._timeout = timeout
        self._lock = threading.Lock()
        self._requests = 0
        self._since = 0.0

    def __call__(self, body: Body) -> Settled | None:
        """Send ``body`` until it is settled; what became of it, None when the pipeline was stopped before.

        Raises:
            EngineError: the engine refuses everything (credentials, a missing index, a block), or the patience with
                an engine that is overloaded, unreachable or read-only is exhausted.
        """
        settled = Settled()
        return settled if self._settle(list(body.actions), settled) else None

    def _settle(self, pending: list[Action], settled: Settled) -> bool:
        """Send until nothing is pending; False when the pipeline was stopped before."""
        backoff = Backoff(self._policy, self._stopped)
        while pending:
            piece = _first_bytes(pending, self._size.limit)
            rest = pending[len(piece) :]
            if (sent := self._pace.wait(self._policy, self._stopped)) is None:
                return False
            attempt = self._attempt(piece, settled)
            self._judge_pace(attempt, sent)
            if attempt.split:
                middle = len(piece) // 2
                if not (self._settle(piece[:middle], settled) and self._settle(piece[middle:], settled)):
                    return False
            if len(attempt.again) < len(piece):
                backoff.progress()
            pending = attempt.again + rest
            if attempt.because is not None and not self._wait(attempt.because, attempt, backoff):
                return False
        return True

    def _judge_pace(self, attempt: Attempt, sent: float) -> None:
        """Slow all senders down, or let them go on faster."""
        if attempt.paced:
            self._pace.refused(sent, self._policy, attempt.at_least)
        elif attempt.because is None and not attempt.split:
            self._pace.taken(sent)

    def _wait(self, because: EngineError, attempt: Attempt, backoff: Backoff) -> bool:
        if backoff.exhausted:
            raise because
        self._waiting(str(because))
        return attempt.paced or backoff.wait(attempt.at_least)

    def _attempt(self, piece: Sequence[Action], settled: Settled) -> Attempt:
        data = b"".join([action.data for action in piece])
        settled.bytes += len(data)
        try:
            with self._under_way():
                answer = self._transport.send(bulk_request(data, timeout=self._timeout))
        except EngineTimeoutError as error:
            self._size.overloaded(len(data))
            return self._again(piece, error, settled)
        except EngineUnreachableError as error:
            return self._again(piece, error, settled)
        if answer.status >= 400:
            return self._whole_refusal(piece, len(data), answer, settled)
        return self._items(piece, len(data), answer, settled)

    def _whole_refusal(self, piece: Sequence[Action], size: int, answer: Answer, settled: Settled) -> Attempt:
        """Judge an answer that refuses the request as a whole."""
        cause = failure(answer.status, answer.body)
        judged = verdict(cause)
        if judged is Verdict.SPLIT:
            self._size.too_large(size)
        if judged is Verdict.SPLIT or cause.status == 400:
            return self._divide(piece, cause, settled)
        if judged is Verdict.RETRY:
            self._size.overloaded(size)
        error = error_for(cause, self._where)
        if judged is Verdict.RETRY or _heals(cause):
            again = self._again(piece, error, settled, retry_after(answer.headers))
            again.paced = judged is Verdict.RETRY
            return again
        raise error

    def _divide(self, piece: Sequence[Action], cause: Failure, settled: Settled) -> Attempt:
        """Too large, or poisoned by one of its actions: halve until the culprit stands alone, and refuse that."""
        if len(piece) == 1:
            settled.refusals.append(_refusal(piece[0], cause))
            return Attempt()
        settled.retried += len(piece)
        return Attempt(split=True)

    def _items(self, piece: Sequence[Action], size: int, answer: Answer, settled: Settled) -> Attempt:
        """Judge an answer item by item."""
        found = _outcomes(answer, piece)
        if found is None:
            broken = EngineUnreachableError("the answer to a bulk request is cut off or corrupt", where=self._where)
            return self._again(piece, broken, settled)
        attempt = Attempt(at_least=retry_after(answer.headers))
        for action, outcome in zip(piece, found, strict=True):
            self._book(action, outcome, attempt, settled)
        if attempt.again:
            self._size.overloaded(size)
        else:
            self._size.taken(size)
        settled.retried += len(attempt.again)
        return attempt

    def _book(self, action: Action, outcome: ItemOutcome, attempt: Attempt, settled: Settled) -> None:
        cause = outcome.cause
        if outcome.verdict is Verdict.SUPERSEDED:
            settled.superseded += 1
        elif cause is None:
            settled.taken(action)
        elif (
            outcome.verdict in {Verdict.RETRY, Verdict.SPLIT} or _heals(cause) or self._may_pass(action, cause, settled)
        ):
            attempt.again.append(action)
            attempt.paced = attempt.paced or outcome.verdict is Verdict.RETRY
            attempt.because = error_for(cause, self._where)
        elif _concerns_all(cause):
            raise error_for(cause, self._where)
        else:
            settled.refusals.append(_refusal(action, cause))

    @staticmethod
    def _may_pass(action: Action, cause: Failure, settled: Settled) -> bool:
        """An item's 500 may be a shard that is closing, or the document's own: try a few times, then refuse it."""
        if cause.status < 500:
            return False
        settled.failures[action.id] += 1
        return settled.failures[action.id] <= MOST_FAILURES

    def _again(self, piece: Sequence[Action], error: EngineError, settled: Settled, at_least: float = 0.0) -> Attempt:
        settled.retried += len(piece)
        return Attempt(list(piece), error, at_least)

    @property
    def _where(self) -> str:
        return f"{self._transport.where}/{self._index}"

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Measure the time in which any sender waits for the engine."""
        with self._lock:
            self._since = time.perf_counter() if self._requests == 0 else self._since
            self._requests += 1
        try:
            yield
        finally:
            with self._lock:
                self._requests -= 1
                if self._requests == 0:
                    self.in_flight += time.perf_counter() - self._since


def _first_bytes(actions: Sequence[Action], limit: int) -> list[Action]:
    """The first actions that fit into ``limit`` bytes together, at least one."""
    length = 0
    for n, action in enumerate(actions):
        length += len(action.data)
        if length > limit and n > 0:
            return list(actions[:n])
    return list(actions)


def _outcomes(answer: Answer, piece: Sequence[Action]) -> list[ItemOutcome] | None:
    """One outcome per action, or None for an answer that is not one to these actions."""
    try:
        found = list(outcomes(answer.body))
    except (KeyError, TypeError, AttributeError, StopIteration):
        return None
    return found if [outcome.id for outcome in found] == [action.id for action in piece] else None


def _heals(cause: Failure) -> bool:
    return verdict(cause) is Verdict.READ_ONLY and DISK_WATERMARK.search(cause.reason) is not None


def _concerns_all(cause: Failure) -> bool:
    """Whether an item's failure would meet every other item too: credentials, a block, no such index."""
    return (
        cause.status in {401, 403} or verdict(cause) is Verdict.READ_ONLY or cause.type == "index_not_found_exception"
    )


def _refusal(action: Action, cause: Failure) -> Refusal:
    reason = cause.reason or f"refused without a reason, {len(action.data):,} bytes"
    return Refusal(action.document, action.id, cause.status, cause.type, reason, action.split)
