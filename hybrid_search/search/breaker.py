"""A circuit breaker: a model that keeps failing is not asked for a while, and searches go on without it at once.

Closed, every call goes through. After :data:`FAILURES` calls in a row that failed it opens: calls are refused for
:data:`PAUSE` seconds. Then one call is let through (half open): if it is answered, all are again; if not, it stays open
for as long again. Nygard: Release It!, 2nd edition, 2018, chapter 5.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

FAILURES = 5
"""Calls in a row that must fail. A batch that fails is tried four times, so one bad batch alone opens nothing."""

PAUSE = 10.0
"""Seconds for which nobody asks."""


class CircuitBreaker:
    """Counts how calls end, and says whether another may be made; safe to share between threads.

    Args:
        failures: calls in a row after which it opens.
        pause: seconds until one call is tried.
        clock: seconds that only ascend.
    """

    def __init__(
        self, failures: int = FAILURES, pause: float = PAUSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._failures, self._pause, self._clock = failures, pause, clock
        self._lock = Lock()
        self._in_a_row = 0
        self._closed_until: float | None = None
        self._why = ""

    @property
    def refusal(self) -> str | None:
        """Why no call may be made now; None where one may. Says nothing about a call that is being tried."""
        with self._lock:
            return self._refusal()

    def admit(self) -> str | None:
        """The same, for one who calls if he may: while his call tries an open breaker, others are refused."""
        with self._lock:
            refusal = self._refusal()
            if refusal is None and self._closed_until is not None:
                self._closed_until = self._clock() + self._pause
            return refusal

    def succeeded(self) -> None:
        """A call was answered."""
        with self._lock:
            self._in_a_row, self._closed_until = 0, None

    def failed(self, why: str) -> None:
        """A call failed."""
        with self._lock:
            self._in_a_row += 1
            self._why = why
            if self._in_a_row >= self._failures:
                self._closed_until = self._clock() + self._pause

    def _refusal(self) -> str | None:
        if self._closed_until is None or (left := self._closed_until - self._clock()) <= 0:
            return None
        return f"it failed {self._in_a_row} times in a row ({self._why}); it is tried again in {max(1, round(left))} s"
