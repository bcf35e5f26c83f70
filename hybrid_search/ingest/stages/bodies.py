"""The stage that turns encoded passages into bulk bodies, each built once as bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from hybrid_search.ingest.stages.body_size import BodySize
from hybrid_search.ingest.work import Action, Batch, Body, EncodedDocument

MOST_ACTIONS = 1_000
"""Passages in a body, however small: what the load holds of small documents weighs many times what it sends."""

WORTH_A_REQUEST = 1_000_000
"""Bytes that a sender without work is given at once: bodies of 1 MB are taken about as fast as larger ones."""

LINGER = 2.0
"""Seconds after which a body is sent although it is not full, so that a slow encoder still makes steady progress."""


class Demand:
    """How many bodies are made and not yet settled: fewer than there are senders, and one of them is waiting."""

    def __init__(self, senders: int) -> None:
        self._senders = senders
        self._open = 0
        self._lock = threading.Lock()

    @property
    def is_unmet(self) -> bool:
        """Whether a sender has nothing to do."""
        return self._open < self._senders

    def made(self) -> None:
        """A body is on its way to a sender."""
        with self._lock:
            self._open += 1

    def settled(self) -> None:
        """A sender is done with a body."""
        with self._lock:
            self._open -= 1


def bodies(
    work: Iterable[Batch[EncodedDocument]],
    actions: Callable[[EncodedDocument], list[Action]],
    size: BodySize,
    demand: Demand,
    *,
    linger: float = LINGER,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Body]:
    """Collect the actions of whole documents until the next would pass ``size.limit`` or :data:`MOST_ACTIONS`.

    A body that is not full goes when a sender waits for it and it is worth a request, or when ``linger`` seconds are
    over: so the senders begin early, and what they work on is large when they are what all wait for.

    Together the bodies cover every document number once, those without actions included.
    """
    draft = _Draft(0, clock())
    broken: Exception | None = None
    try:
        for batch in work:
            for item in batch.items:
                more = actions(item)
                if draft.collected and not draft.has_room(more, size.limit):
                    demand.made()
                    yield draft.body()
                    draft = _Draft(draft.end, clock())
                draft.add(more, item.number + 1)
            draft.end = batch.end
            if clock() - draft.began >= linger or (demand.is_unmet and draft.length >= WORTH_A_REQUEST):
                demand.made()
                yield draft.body()
                draft = _Draft(draft.end, clock())
    except Exception as error:  # noqa: BLE001  # raised below, after the documents that came before it
        broken = error
    if draft.end > draft.first:
        demand.made()
        yield draft.body()
    if broken is not None:
        raise broken


def _length(actions: list[Action]) -> int:
    return sum(len(action.data) for action in actions)


class _Draft:
    """A body that is being filled."""

    def __init__(self, first: int, began: float) -> None:
        self.first = first
        self.end = first
        self.began = began
        self.length = 0
        self.collected: list[Action] = []

    def has_room(self, actions: list[Action], limit: int) -> bool:
        """Whether the draft is still a body with these actions too."""
        return len(self.collected) + len(actions) <= MOST_ACTIONS and self.length + _length(actions) <= limit

    def add(self, actions: list[Action], end: int) -> None:
        self.collected += actions
        self.length += _length(actions)
        self.end = end

    def body(self) -> Body:
        return Body(self.first, self.end, self.collected, self.length)
