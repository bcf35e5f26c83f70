"""Which texts go through the model together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Positions of texts, in groups of about the same length, longest first.

    A group costs (texts x longest) padded tokens and is kept within ``budget``; a text longer than that goes alone.
    Longest first, because running out of memory then happens at once and not after an hour.
    """
    group: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        if group and lengths[group[0]] * (len(group) + 1) > budget:
            yield group
            group = []
        group.append(position)
    if group:
        yield group
