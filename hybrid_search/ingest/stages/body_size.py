"""How many bytes to send at once: found by measuring, shared by all senders.

Additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the increase and decrease algorithms for
congestion avoidance", 1989): a body that was taken makes the next one larger by a step, an overloaded, refusing or
silent engine halves it. Elastic and OpenSearch both advise 5 to 15 MB.
"""

from __future__ import annotations

import threading

MEGABYTE = 1_000_000
START = 5 * MEGABYTE
CEILING = 15 * MEGABYTE
FLOOR = 16_000
STEP = MEGABYTE // 2


class BodySize:
    """The present limit in bytes; safe to share between threads."""

    def __init__(self, start: int = START, *, ceiling: int = CEILING, step: int = STEP) -> None:
        self._limit = start
        self._ceiling = ceiling
        self._step = step
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Bytes that the next body may hold; a single larger action is sent alone."""
        return self._limit

    def taken(self, size: int) -> None:
        """A body of ``size`` bytes was taken: grow by one step if it filled at least half of the limit."""
        with self._lock:
            if size * 2 >= self._limit:
                self._limit = min(self._ceiling, self._limit + self._step)

    def overloaded(self, size: int) -> None:
        """A body of ``size`` bytes met 429, 503 or silence: halve, but not below a floor."""
        with self._lock:
            self._limit = max(min(FLOOR, self._limit), min(self._limit, size) // 2)

    def too_large(self, size: int) -> None:
        """A body of ``size`` bytes met 413: stay below half of it from now on."""
        with self._lock:
            self._ceiling = max(1, min(self._ceiling, size - 1))
            self._limit = max(1, min(self._limit, size) // 2)
