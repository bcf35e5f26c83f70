"""How long to wait before trying again, and when to give up.

Exponential backoff with full jitter (Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015): the
wait is uniform between zero and a bound that doubles with every failure in a row. ``Retry-After`` is a lower bound.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from threading import Event

from hybrid_search.engine.answers import Verdict, failure, verdict
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Answer, Request, Transport
from hybrid_search.errors import EngineTimeoutError, EngineUnreachableError

MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds: the first bound, the greatest bound, and how long no progress at all is borne."""

    first: float = 0.5
    longest: float = 30.0
    patience: float = 600.0


class Backoff:
    """The failures in a row of one body. :meth:`progress` starts the count again."""

    def __init__(self, policy: RetryPolicy, stopped: Event) -> None:
        self._policy = policy
        self._stopped = stopped
        self._failures = 0
        self._since = time.monotonic()

    @property
    def exhausted(self) -> bool:
        """Whether the patience has run out since the last progress."""
        return time.monotonic() - self._since >= self._policy.patience

    def progress(self) -> None:
        """Something was taken: start again with the shortest wait."""
        self._failures = 0
        self._since = time.monotonic()

    def wait(self, at_least: float = 0.0) -> bool:
        """Sleep after a failure; False when the pipeline was stopped meanwhile."""
        bound = min(self._policy.longest, self._policy.first * 2.0 ** min(self._failures, MOST_DOUBLINGS))
        self._failures += 1
        asked = min(at_least, self._policy.patience)
        return not self._stopped.wait(max(asked, random.uniform(0.0, bound)))  # noqa: S311  # no secret


class PatientTransport:
    """Sends a request again while the engine is overloaded, silent or unreachable; a transport like the one it wraps.

    What is sent through it must bear repetition: an answer may be lost after the work was done. When the patience is
    exhausted, or the pipeline stops, the last answer is returned or the last error raised.
    """

    def __init__(
        self,
        transport: Transport,
        policy: RetryPolicy,
        waiting: Callable[[str], None] = lambda _: None,
        stopped: Event | None = None,
    ) -> None:
        self._transport = transport
        self._policy = policy
        self._waiting = waiting
        self._stopped = stopped or Event()

    @property
    def where(self) -> str:
        return self._transport.where

    def send(self, request: Request) -> Answer:
        backoff = Backoff(self._policy, self._stopped)
        while True:
            try:
                answer = self._transport.send(request)
            except (EngineTimeoutError, EngineUnreachableError) as error:
                self._waiting(str(error))
                if backoff.exhausted or not backoff.wait():
                    raise
                continue
            if not _is_busy(answer):
                return answer
            self._waiting(f"{self.where} {request.method} {request.path}: {failure(answer.status, answer.body)}")
            if backoff.exhausted or not backoff.wait(retry_after(answer.headers)):
                return answer

    def close(self) -> None:
        self._transport.close()


def patient(
    connection: Connection,
    policy: RetryPolicy | None = None,
    waiting: Callable[[str], None] = lambda _: None,
    stopped: Event | None = None,
) -> Connection:
    """The same connection, which waits for an engine that is overloaded, silent or unreachable.

    Everything that a load, verify, replay or removal sends goes through one, but for bulk bodies: the sender cuts
    them smaller while it waits.
    """
    return Connection(
        PatientTransport(connection.transport, policy or RetryPolicy(), waiting, stopped), connection.dialect
    )


def _is_busy(answer: Answer) -> bool:
    return answer.status >= 400 and verdict(failure(answer.status, answer.body)) is Verdict.RETRY


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float:
    """Seconds that a ``Retry-After`` header (RFC 9110, section 10.2.3) asks for; 0.0 for none or a broken one."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, moment.timestamp() - (time.time() if now is None else now))
