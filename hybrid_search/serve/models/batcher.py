"""Texts of many callers in one forward pass: whoever waits while the model is busy goes with the next batch.

There is no waiting for company: an idle model takes a lone text at once, and a busy one collects by itself. What
waits is bounded, and whoever comes too many is told when to come again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hybrid_search.errors import RefusedError

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Run = Callable[[Sequence[Item]], Sequence[Answer]]


class FullError(RefusedError):
    """Too much is waiting; ``seconds`` until there should be room."""

    def __init__(self, waiting: int, seconds: int) -> None:
        super().__init__(429, f"{waiting:,} texts are waiting", f"Ask again in {seconds} s, or for less at a time.")
        self.seconds = seconds


@dataclass(slots=True)
class Room:
    """How many texts may wait for the models of one server, and how fast they go."""

    most: int
    waiting: int = 0
    rate: float = 100.0
    """Texts a second, lately."""

    def enter(self, count: int) -> None:
        """Take the room of ``count`` texts; a lone request that is larger than all of it still gets in.

        Raises:
            FullError: there is no room.
        """
        if self.waiting and self.waiting + count > self.most:
            raise FullError(self.waiting, max(1, math.ceil(self.waiting / self.rate)))
        self.waiting += count

    def leave(self, count: int, seconds: float | None) -> None:
        """Give it back; ``seconds`` is how long the model took for them, None where it did not answer."""
        self.waiting -= count
        if seconds:
            self.rate += 0.2 * (count / seconds - self.rate)


@dataclass(frozen=True, slots=True)
class _Caller(Generic[Item, Answer]):
    items: Sequence[Item]
    answer: asyncio.Future[Sequence[Answer]]


@dataclass(slots=True)
class Batcher(Generic[Item, Answer]):
    """One model's work.

    Attributes:
        run: answers for items, in order; it is called in ``thread``.
        room: shared by the models of a server.
        thread: one thread, so that models do not fight for the processor.
        most: items of one batch; a request that has more is a batch of its own.
        sizes: told the size of each batch.
    """

    run: Run[Item, Answer]
    room: Room
    thread: ThreadPoolExecutor
    most: int = 256
    sizes: Callable[[int], None] = lambda _: None
    _callers: deque[_Caller[Item, Answer]] = field(default_factory=deque)
    _working: asyncio.Task[None] | None = None

    async def ask(self, items: Sequence[Item]) -> Sequence[Answer]:
        """The answers for items, in order.

        Raises:
            FullError: too much is waiting.
        """
        if not items:
            return []
        self.room.enter(len(items))
        caller: _Caller[Item, Answer] = _Caller(items, asyncio.get_running_loop().create_future())
        self._callers.append(caller)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await caller.answer

    async def _work(self) -> None:
        while self._callers:
            callers = self._next()
            count = sum(len(caller.items) for caller in callers)
            begin, answered = time.perf_counter(), False
            try:
                answered = await self._together(callers)
            finally:
                self.room.leave(count, time.perf_counter() - begin if answered else None)

    def _next(self) -> list[_Caller[Item, Answer]]:
        callers = [self._callers.popleft()]
        count = len(callers[0].items)
        while self._callers and count + len(self._callers[0].items) <= self.most:
            callers.append(self._callers.popleft())
            count += len(callers[-1].items)
        return callers

    async def _together(self, callers: Sequence[_Caller[Item, Answer]]) -> bool:
        """One call for all; where it fails, each alone, so that nobody suffers from another's text."""
        items = [item for caller in callers for item in caller.items]
        self.sizes(len(items))
        try:
            answers = await self._called(items)
        except Exception as error:  # noqa: BLE001  # a model's libraries raise what they like; the caller gets it
            if len(callers) > 1:
                return all([await self._together([caller]) for caller in callers])
            _settle(callers[0].answer, error)
            return False
        start = 0
        for caller in callers:
            _settle(caller.answer, answers[start : start + len(caller.items)])
            start += len(caller.items)
        return True

    async def _called(self, items: Sequence[Item]) -> Sequence[Answer]:
        return await asyncio.get_running_loop().run_in_executor(self.thread, self.run, items)


def _settle(future: asyncio.Future[Sequence[Answer]], outcome: Sequence[Answer] | Exception) -> None:
    """Whoever has gone away is owed nothing."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
