"""How many searches a client takes on at a time: what waits for models and connections has a bound."""

from __future__ import annotations

from threading import Lock

from hybrid_search.errors import BusyError


class Admission:
    """Counts the searches in progress; a context that refuses one too many. Safe to share between threads.

    Raises:
        BusyError: ``limit`` searches are in progress.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = Lock()
        self._entered = 0

    @property
    def entered(self) -> int:
        """The searches in progress."""
        return self._entered

    def __enter__(self) -> None:
        with self._lock:
            if self._entered >= self.limit:
                raise BusyError(
                    f"{self._entered:,} searches are in progress, as many as this client takes on at a time",
                    remedy="Try again a little later, or raise search.concurrency",
                )
            self._entered += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._entered -= 1
