"""The stage that turns encoded passages into bulk bodies, each built once as bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from hybrid_search.ingest.body_size import BodySize
from hybrid_search.ingest.work import Action, Batch, Body, EncodedDocument

LINGER = 2.0
"""Seconds after which a body is sent although it is not full, so that a slow encoder still makes steady progress."""


def bodies(
    work: Iterable[Batch[EncodedDocument]],
    actions: Callable[[EncodedDocument], list[Action]],
    size: BodySize,
    *,
    linger: float = LINGER,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Body]:
    """Collect the actions of whole documents until the next would pass ``size.limit``, or ``linger`` seconds are over.

    Together the bodies cover every document number once, those without actions included.
    """
    draft = _Draft(0, clock())
    for batch in work:
        for item in batch.items:
            more = actions(item)
            length = sum(len(action.data) for action in more)
            if draft.collected and draft.length + length > size.limit:
                yield draft.body(item.number)
                draft = _Draft(item.number, clock())
            draft.collected += more
            draft.length += length
        draft.end = batch.end
        if clock() - draft.began >= linger:
            yield draft.body(batch.end)
            draft = _Draft(batch.end, clock())
    if draft.end > draft.first:
        yield draft.body(draft.end)


class _Draft:
    """A body that is being filled."""

    def __init__(self, first: int, began: float) -> None:
        self.first = first
        self.end = first
        self.began = began
        self.length = 0
        self.collected: list[Action] = []

    def body(self, end: int) -> Body:
        return Body(self.first, end, self.collected, self.length)
