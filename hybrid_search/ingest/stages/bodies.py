"""The stage that turns encoded passages into bulk bodies, each built once as bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from hybrid_search.ingest.stages.body_size import BodySize
from hybrid_search.ingest.work import Action, BadDocument, Batch, Body, Piece, Refusal, WrittenDocument

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
    work: Iterable[Batch[WrittenDocument]],
    size: BodySize,
    demand: Demand,
    *,
    linger: float = LINGER,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Body]:
    """Collect actions until the next would pass ``size.limit`` or :data:`MOST_ACTIONS`.

    A body that is not full goes when a sender waits for it and it is worth a request, or when ``linger`` seconds are
    over: so the senders begin early, and what they work on is large when they are what all wait for. A document whose
    actions are more than a body holds is cut between two of them.

    Together the bodies cover every document of every batch once, those without actions included. What broke a batch is
    raised after the body with all that came before it.
    """
    draft = _Draft(clock())
    broken: Exception | None = None
    try:
        for batch in work:
            covered = batch.first
            for item in batch.items:
                for actions in _portions(item.actions, size.limit):
                    if draft.collected and not draft.has_room(actions, size.limit):
                        yield _made(draft, demand)
                        draft = draft.next(clock())
                    draft.add(actions)
                draft.refuse(item.refused, batch.split)
                if item.is_end:
                    draft.ends(item, Piece(batch.split, covered, item.number + 1, item.document.position))
                    covered = item.number + 1
            draft.covers(batch, covered)
            broken = batch.broken
            if clock() - draft.began >= linger or (demand.is_unmet and draft.length >= WORTH_A_REQUEST):
                yield _made(draft, demand)
                draft = draft.next(clock())
    except Exception as error:  # noqa: BLE001  # raised below, after the documents that came before it
        broken = error
    if not draft.is_empty:
        yield _made(draft, demand)
    if broken is not None:
        raise broken


def _made(draft: _Draft, demand: Demand) -> Body:
    demand.made()
    return draft.body()


def _portions(actions: Sequence[Action], limit: int) -> Iterator[Sequence[Action]]:
    """The actions of one document in portions that each fit into a body."""
    begin = length = 0
    for n, action in enumerate(actions):
        if n > begin and (n - begin >= MOST_ACTIONS or length + len(action.data) > limit):
            yield actions[begin:n]
            begin, length = n, 0
        length += len(action.data)
    yield actions[begin:]


class _Draft:
    """A body that is being filled."""

    def __init__(self, began: float, number: int = 0, since: int | None = None) -> None:
        self.began = began
        self.length = 0
        self.collected: list[Action] = []
        self._number = number
        self._pieces: list[Piece] = []
        self._since = number if since is None else since
        self._open_since: int | None = since
        self._documents: set[str] = set()
        self._unchanged = 0
        self._bad: list[BadDocument] = []
        self._refused: list[Refusal] = []

    @property
    def is_empty(self) -> bool:
        return not (self.collected or self._unchanged or self._bad or self._pieces or self._refused)

    def has_room(self, actions: Sequence[Action], limit: int) -> bool:
        """Whether the draft is still a body with these actions too."""
        length = sum(len(action.data) for action in actions)
        return len(self.collected) + len(actions) <= MOST_ACTIONS and self.length + length <= limit

    def add(self, actions: Sequence[Action]) -> None:
        """Take actions of a document, which stays open until :meth:`ends`."""
        self.collected += actions
        self.length += sum(len(action.data) for action in actions)
        if self._open_since is None:
            self._open_since = self._number

    def refuse(self, refusal: Refusal | None, split: int) -> None:
        """Keep why a document of a split has no actions, where it was refused."""
        self._refused += [] if refusal is None else [replace(refusal, split=split)]

    def ends(self, item: WrittenDocument, piece: Piece) -> None:
        """The actions of a document are all taken; ``piece`` ends with it."""
        self._add(piece)
        self._documents.add(item.document.id)
        self._open_since = None

    def covers(self, batch: Batch[WrittenDocument], covered: int) -> None:
        """Every document of the batch was looked at; those from ``covered`` on have no actions."""
        if batch.end > covered:
            self._add(Piece(batch.split, covered, batch.end, batch.at))
        self._unchanged += batch.unchanged
        self._bad += [replace(bad, split=batch.split) for bad in batch.bad]

    def next(self, now: float) -> _Draft:
        """The draft after this one."""
        return _Draft(now, self._number + 1, self._open_since)

    def body(self) -> Body:
        return Body(
            number=self._number,
            pieces=self._pieces,
            actions=self.collected,
            size=self.length,
            since=self._since,
            documents=frozenset(self._documents),
            unchanged=self._unchanged,
            bad=self._bad,
            refused=self._refused,
        )

    def _add(self, piece: Piece) -> None:
        """Together with the piece before, where it goes on there."""
        last = self._pieces[-1] if self._pieces else None
        if last is not None and (last.split, last.end) == (piece.split, piece.first):
            self._pieces[-1] = replace(piece, first=last.first)
        else:
            self._pieces.append(piece)
