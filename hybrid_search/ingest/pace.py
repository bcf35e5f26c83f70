"""One back-off for all senders of a load: where the engine refuses one of them, all of them slow down.

Every request that is refused because the engine is overloaded raises a common count of failures. While it is above
zero each sender waits before each request: for as long as ``Retry-After`` asked, and then uniformly between zero and a
bound that doubles with every failure (full jitter: Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture
Blog, 2015). A request that is taken lowers the count by one. Requests that were under way when the engine refused one
tell nothing new, whichever way they end: they belong to the same event (as losses within one round trip do in Van
Jacobson, "Congestion avoidance and control", 1988). So ten senders that are refused at once count once.

Senders of one process share a :class:`Pace`. Those of several share what they say to ``tell`` and :meth:`Pace.hear`:
those that a command has started through it, those of machines that do a load together through the index
(:mod:`hybrid_search.ingest.one_pace`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from hybrid_search.ingest.patience import MOST_DOUBLINGS, RetryPolicy


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine was overloaded: the failures in a row by now, and the seconds that it asked to wait."""

    failures: int
    at_least: float = 0.0


class Pace:
    """The present pace; safe to share between threads.

    Attributes:
        tell: is told of each refusal that counts, for senders elsewhere.
    """

    def __init__(
        self,
        tell: Callable[[Refused], None] = lambda _: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.tell = tell
        self._also: list[Callable[[Refused], None]] = []
        self._clock = clock
        self._draw = draw
        self._failures = self._met = 0
        self._event = self._until = float("-inf")
        self._lock = threading.Lock()

    @property
    def failures(self) -> int:
        """The failures in a row by now; 0 where nobody has to wait."""
        return self._failures

    @contextmanager
    def also_telling(self, tell: Callable[[Refused], None]) -> Iterator[None]:
        """Tell one more of refusals, as long as the block lasts."""
        self._also.append(tell)
        try:
            yield
        finally:
            self._also.remove(tell)

    def wait(self, policy: RetryPolicy, stopped: Event) -> float | None:
        """Wait for the turn of a sender; the moment from which it sends, None when the pipeline was stopped before."""
        latest = self._clock() + policy.longest
        while self._failures:
            event, turn = self._event, self._turn(policy)
            if stopped.wait(max(0.0, turn - self._clock())):
                return None
            if event == self._event or self._clock() >= latest:  # else another was refused meanwhile
                break
        return self._clock()

    def refused(self, sent: float, policy: RetryPolicy, at_least: float = 0.0) -> None:
        """A request that was sent at a moment has met an engine that is overloaded."""
        asked = min(at_least, policy.patience)
        with self._lock:
            if sent < self._event:
                self._until = max(self._until, self._clock() + asked)
                return
            self._slow_down(self._failures + 1, asked)
            said = Refused(self._failures, asked)
        for tell in (self.tell, *self._also):
            tell(said)

    def taken(self, sent: float) -> None:
        """A request that was sent at a moment was taken."""
        with self._lock:
            if sent >= self._event:
                self._failures = max(0, self._failures - 1)

    def hear(self, said: Refused) -> None:
        """A sender elsewhere was refused; it is not told on."""
        with self._lock:
            self._slow_down(max(self._failures, said.failures), said.at_least)

    def knows(self, said: Refused, within: float) -> bool:
        """Whether senders have slowed down for as much in the last ``within`` seconds: it is no news then."""
        with self._lock:
            return self._met >= said.failures and self._clock() - self._event < within

    def _slow_down(self, failures: int, at_least: float) -> None:
        self._failures, self._met, self._event = failures, failures, self._clock()
        self._until = max(self._until, self._event + at_least)

    def _turn(self, policy: RetryPolicy) -> float:
        bound = min(policy.longest, policy.first * 2.0 ** min(self._failures - 1, MOST_DOUBLINGS))
        return max(self._until, self._clock()) + self._draw(0.0, bound)
