"""One back-off for all machines that do a load together, told through the index's own record of that load.

A process whose senders the engine has refused puts that down in the record; the others look at it every few seconds,
and slow down as if they had been refused themselves. It is written rarely: an engine that is overloaded should not be
written to for that reason. Clocks of machines are not compared: a word is news to whoever has not seen its number.

Where the engine refuses that too, each machine backs off by itself until it is heard.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from hybrid_search.engine.connection import Connection
from hybrid_search.errors import EngineError, IngestError
from hybrid_search.ingest.pace import Pace, Refused
from hybrid_search.ingest.state.cluster import IndexState, PushedBack, read_state, update_state

LOOK = 2.0
"""Seconds between looks at the record."""
LEAST = 5.0
"""Seconds between two words of a process, and between that of another and its own, unless that says more."""


class OnePace:
    """The pace of this process, and what the others that do the load have said of theirs."""

    def __init__(
        self,
        connection: Connection,
        index: str,
        source: str,
        load: int,
        pace: Pace,
        *,
        seen: PushedBack | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take part as the load of this number; ``seen`` is what was said before, and is no news."""
        self._connection = connection
        self._index = index
        self._source = source
        self._load = load
        self._pace = pace
        self._seen = seen
        self._clock = clock
        self._mine: Refused | None = None
        self._next = float("-inf")

    def refused(self, said: Refused) -> None:
        """A sender of this process was refused: it is told at the next look."""
        self._mine = said

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Exchange words with the others as long as the block lasts."""
        ended = threading.Event()

        def looking() -> None:
            while not ended.wait(LOOK):
                self.exchange()

        thread = threading.Thread(target=looking, daemon=True)
        with self._pace.also_telling(self.refused):
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()

    def exchange(self) -> None:
        """Hear what is new, and tell what others should know; an engine that does not answer is asked again later."""
        try:
            shared = read_state(self._connection, self._index).shared.get(self._source)
            if shared is not None:
                self._hear(shared.pushed_back)
                self._tell()
        except (EngineError, IngestError):  # too busy, or others came first again and again
            return

    def _hear(self, there: PushedBack | None) -> None:
        if there is None or there == self._seen:
            return
        self._seen = there
        said = Refused(there.failures, there.at_least)
        if not self._pace.knows(said, LOOK + LEAST):  # else it was heard of by another way, and may be over by now
            self._pace.hear(said)
        self._next = self._clock() + LEAST
        if self._mine is not None and self._mine.failures > there.failures:
            self._next = float("-inf")

    def _tell(self) -> None:
        mine = self._mine
        if mine is None or self._clock() < self._next:
            return
        told: list[PushedBack] = []

        def telling(state: IndexState) -> IndexState:
            shared = state.shared.get(self._source)
            told.clear()
            if shared is None:
                return state
            number = 1 if shared.pushed_back is None else shared.pushed_back.number + 1
            told.append(PushedBack(self._load, number, mine.failures, mine.at_least))
            return replace(state, shared={**state.shared, self._source: replace(shared, pushed_back=told[0])})

        update_state(self._connection, self._index, telling)
        self._seen = told[0] if told else self._seen
        self._mine, self._next = None, self._clock() + LEAST
