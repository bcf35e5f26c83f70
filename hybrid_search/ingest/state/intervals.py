"""A set of whole numbers kept as ranges: small however many documents are loaded, if they are loaded in order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator


class Intervals:
    """Numbers in disjoint half-open ranges ``first`` to ``end - 1``, ascending."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number < self._ends[at]

    def __len__(self) -> int:
        """How many numbers are in the set."""
        return sum(end - first for first, end in self)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The ranges ``(first, end)``."""
        return iter(zip(self._firsts, self._ends, strict=True))

    @property
    def prefix(self) -> int:
        """The first number from 0 on that is not in the set."""
        return self._ends[0] if self._firsts[:1] == [0] else 0

    def add(self, first: int, end: int) -> None:
        """Add the numbers ``first`` to ``end - 1``, joining ranges that touch."""
        if end <= first:
            return
        left = bisect_right(self._firsts, first)
        if left and self._ends[left - 1] >= first:
            left -= 1
            first = self._firsts[left]
        right = left
        while right < len(self._firsts) and self._firsts[right] <= end:
            end = max(end, self._ends[right])
            right += 1
        self._firsts[left:right] = [first]
        self._ends[left:right] = [end]
