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
from typing import TypeVar

from hybrid_search.errors import EngineTimeoutError, EngineUnreachableError, OverloadedError

T = TypeVar("T")

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


def patiently(call: Callable[[], T], policy: RetryPolicy, stopped: Event, waiting: Callable[[str], None]) -> T:
    """The result of ``call``, tried again while the engine is overloaded, silent or unreachable.

    Raises the last such error when the patience is exhausted or the pipeline stops, and any other error at once.
    """
    backoff = Backoff(policy, stopped)
    while True:
        try:
            return call()
        except (OverloadedError, EngineTimeoutError, EngineUnreachableError) as error:
            waiting(str(error))
            if backoff.exhausted or not backoff.wait():
                raise


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
