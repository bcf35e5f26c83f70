"""Which texts go through the model together, and how many tokens at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)

USUAL = 32
"""The default of ``batch_size``: there the search for the best number begins. Any other was chosen, and stays."""

CPU_SIZES = (1.0, 0.5, 2.0)
GPU_SIZES = (1.0, 0.5, 2.0, 4.0)
"""Sizes of a pass that are tried, in parts of the usual one."""

TRIES = 2
"""Full passes of each size; the fastest of them counts."""

FULL = 0.75
"""The share of a size that a pass must fill to tell something about it."""

TOKENIZED = 1024
"""Texts that are tokenized together, while those before them go through the model."""

NO_MEMORY = ("out of memory", "failed to allocate", "bad_alloc", "bad allocation", "can't allocate memory")
"""What libraries say that have no class of their own for it."""


def batches(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Positions of texts, in groups of about the same length, longest first.

    A group costs (texts x longest) padded tokens and is kept within ``budget``; a text longer than that goes alone.
    Longest first, because running out of memory then happens at once and not after an hour.
    """
    waiting = _longest_first(lengths)
    while waiting:
        group, waiting = _first(waiting, lengths, budget)
        yield group


class TokenBudget:
    """How many tokens go through one model together on one device; safe to share between threads.

    The best number is found on the way: the first full passes of a load are of several sizes, and the one that took
    least time a token stays. A pass that runs out of memory halves it for good.

    Args:
        usual: padded tokens of a pass, with which the search begins.
        sizes: parts of it that are tried; ``(1.0,)`` where the user has said the number.
        wait: until the device has done a pass; called while sizes are tried, or the clock would measure how fast
            passes are handed over.
    """

    def __init__(
        self, usual: int, sizes: Sequence[float] = CPU_SIZES, *, wait: Callable[[], None] = lambda: None
    ) -> None:
        self._wait = wait
        self._sizes = [max(1, int(usual * size)) for size in sizes]
        self._best: dict[int, list[float]] = {size: [] for size in self._sizes}
        self._limit: int | None = None
        self._lock = threading.Lock()
        self.tokens = 0
        self.padded = 0

    @property
    def padding(self) -> float:
        """The share of all tokens that went through the model and were padding."""
        return 1 - self.tokens / self.padded if self.padded else 0.0

    @property
    def tokens_now(self) -> int:
        """Padded tokens of the next pass."""
        with self._lock:
            size = next((size for size, times in self._best.items() if len(times) < TRIES), None)
            if size is None:
                size = min(self._sizes, key=lambda one: min(self._best[one]))
            return size if self._limit is None else min(size, self._limit)

    def settle(self) -> None:
        """Wait for the device, as long as times are compared."""
        if len(self._sizes) > 1 and any(len(times) < TRIES for times in self._best.values()):
            self._wait()

    def took(self, tokens: int, padded: int, seconds: float) -> None:
        """Count a pass; one that was full tells something about its size."""
        with self._lock:
            self.tokens += tokens
            self.padded += padded
            filled = [size for size in self._sizes if FULL * size <= padded <= size and len(self._best[size]) < TRIES]
            for size in filled[:1]:
                self._best[size].append(seconds / padded)

    def halve(self, padded: int) -> None:
        """So many tokens were too many."""
        with self._lock:
            self._limit = max(1, padded // 2)
            for size in self._sizes:  # what no longer fits is not waited for
                if size > self._limit:
                    self._best[size] = self._best[size] or [float("inf")] * TRIES


def packed(
    lengths: Sequence[int], budget: TokenBudget, forward: Callable[[list[int]], T]
) -> Iterator[tuple[list[int], T]]:
    """The passes over texts of these lengths, longest first, with the positions of the texts of each.

    Args:
        lengths: in tokens.
        budget: says how many go together, and learns how long that took.
        forward: a pass over the texts of some positions.

    Raises:
        MemoryError, RuntimeError: there is not even memory for one text.
    """
    waiting = _longest_first(lengths)
    while waiting:
        group, rest = _first(waiting, lengths, budget.tokens_now)
        padded = lengths[group[0]] * len(group)
        begun = time.perf_counter()
        try:
            result = forward(group)
            budget.settle()
        except (MemoryError, RuntimeError) as error:
            if len(group) == 1 or not ran_out_of_memory(error):
                raise
            budget.halve(padded)
            continue
        budget.took(sum(lengths[row] for row in group), padded, time.perf_counter() - begun)
        waiting = rest
        yield group, result


def ahead(make: Callable[[int], T], starts: Sequence[int]) -> Iterator[tuple[int, T]]:
    """What ``make`` gives for each start; the next is made in a thread while this one is used."""
    if len(starts) < 2:
        yield from ((start, make(start)) for start in starts)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="hybrid-search-tokens") as thread:
        coming = thread.submit(make, starts[0])
        for start, following in zip(starts, [*starts[1:], None], strict=True):
            made = coming.result()
            if following is not None:
                coming = thread.submit(make, following)
            yield start, made


def behind(items: Iterable[T], depth: int) -> Iterator[T]:
    """The items, each handed out when ``depth`` further ones are there."""
    waiting: list[T] = []
    for item in items:
        waiting.append(item)
        if len(waiting) > depth:
            yield waiting.pop(0)
    yield from waiting


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller pass could do what this one could not."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in NO_MEMORY)


def once(texts: Sequence[H]) -> tuple[Sequence[H], Sequence[int]]:
    """The texts, or pairs of them, without repetitions, and for each of them its place among those."""
    places: dict[H, int] = {}
    rows = [places.setdefault(text, len(places)) for text in texts]
    return (texts if len(places) == len(texts) else list(places)), rows


def _longest_first(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda position: -lengths[position])


def _first(waiting: list[int], lengths: Sequence[int], budget: int) -> tuple[list[int], list[int]]:
    """As many of the first as go together, at least one, and the others."""
    longest = lengths[waiting[0]]
    most = max(1, budget // longest if longest else len(waiting))
    return waiting[:most], waiting[most:]
