"""What has been settled: the one place where counts, dead letters, the journal and the progress report meet."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from hybrid_search.errors import RecordError
from hybrid_search.ingest.report import IngestProgress
from hybrid_search.ingest.state.letters import DeadLetters
from hybrid_search.ingest.work import Action, Body, Refusal
from hybrid_search.records import Document, ResumePoint

SHOWN_REFUSALS = 20

OnBad = Callable[[RecordError, Document], None]
OnProgress = Callable[[IngestProgress], None]


@dataclass(slots=True)
class Counts:
    """Sums over all bodies; the names are those of the report."""

    documents: int = 0
    indexed: int = 0
    unchanged: int = 0
    skipped: int = 0
    refused: int = 0
    passages: int = 0
    removed: int = 0
    superseded: int = 0
    bytes: int = 0
    retried: int = 0


@dataclass(slots=True)
class Settled:
    """What became of the actions of one body; ``superseded`` by a newer load are those that are not overwritten."""

    passages: int = 0
    removed: int = 0
    superseded: int = 0
    bytes: int = 0
    retried: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    by_split: Counter[int] = field(default_factory=Counter)
    """The passages that were taken, by the split of their document."""
    failures: Counter[str] = field(default_factory=Counter)
    """How often each action met a 500."""

    def taken(self, action: Action) -> None:
        """Count an action that the engine took."""
        if action.removes:
            self.removed += 1
        else:
            self.passages += 1
            self.by_split[action.split] += 1


class Record(Protocol):
    """What remembers the settled documents of each split: a journal, or the part of a process in a shared load."""

    @property
    def loads(self) -> frozenset[int]:
        """The numbers of the loads that are continued."""
        ...

    def wrote(self, load: int, passages: int, part: int) -> None:
        """The engine has taken passages of a body."""
        ...

    def set_aside(self, part: int) -> None:
        """A document can be in no index, and is kept with the bad records."""
        ...

    def refuse(self, part: int, documents: int) -> None:
        """So many documents were refused, and are in the dead-letter file."""
        ...

    def settled(self, first: int, end: int, at: ResumePoint | None, part: int) -> bool:
        """The documents ``first`` to ``end - 1`` are settled."""
        ...


class Ledger:
    """Books bodies in the order that makes a crash harmless: what was refused or bad, then the journal, then counts.

    Attributes:
        load: the number of the load, once it has one.
        expected: about how many documents there will be.
        look: seconds in which each stage has worked, and what waits behind each.
        slowed: refusals in a row for which senders slow down.
    """

    def __init__(
        self,
        dead_letters: DeadLetters | None = None,
        journal: Record | None = None,
        progress: OnProgress | None = None,
        on_bad: OnBad | None = None,
    ) -> None:
        self.load = 0
        self.expected: Callable[[], int | None] = lambda: None
        self.look: Callable[[], tuple[dict[str, float], dict[str, int]]] = lambda: ({}, {})
        self.slowed: Callable[[], int] = lambda: 0
        self._counts = Counts()
        self._refusals: list[Refusal] = []
        self._dead_letters = dead_letters
        self._journal = journal
        self._progress = progress
        self._on_bad = on_bad
        self._lock = threading.Lock()
        self._settled: set[int] = set()
        self._waiting: list[Body] = []
        self._refused_parts: set[str] = set()

    @property
    def keeps_bad(self) -> bool:
        """Whether documents that no index can hold are kept somewhere, so that they need not end the load."""
        return self._on_bad is not None

    @property
    def resumed(self) -> frozenset[int]:
        """The numbers of the loads that are continued."""
        return frozenset() if self._journal is None else self._journal.loads

    def record(self, splits: Record) -> None:
        """Tell ``splits`` of what is settled from now on."""
        self._journal = splits

    def settle(self, body: Body, settled: Settled) -> None:
        """Book a body of which every action was taken or refused for good.

        A document that ends in it and began in an earlier body is settled with the last of its bodies.
        """
        with self._lock:
            for bad in body.bad:
                if self._on_bad is not None:
                    self._on_bad(bad.error, bad.document)
                if self._journal is not None:
                    self._journal.set_aside(bad.split)
            if self._dead_letters is not None and settled.refusals:
                self._dead_letters.write(_one_per_document(settled.refusals))
            refused = [one for one in _one_per_document(settled.refusals) if one.document.id not in self._refused_parts]
            if self._journal is not None:
                for split, documents in Counter(one.split for one in refused).items():
                    self._journal.refuse(split, documents)
                for split in sorted({*settled.by_split, *(piece.split for piece in body.pieces)}):
                    self._journal.wrote(self.load, settled.by_split[split], split)
            self._write_journal(body)
            self._count(body, settled, refused)
            self._report(None)

    def removed(self, passages: int) -> None:
        """Book passages that were deleted because the source does not have them."""
        with self._lock:
            self._counts.removed += passages

    def waiting(self, reason: str) -> None:
        """Say that somebody waits for the engine, and why."""
        with self._lock:
            self._report(reason)

    def totals(self) -> dict[str, Any]:
        """The sums, the first refusals and where all of them are, by the report's names."""
        path = None if self._dead_letters is None else self._dead_letters.path
        return {**asdict(self._counts), "refusals": tuple(self._refusals), "dead_letters": path}

    def _write_journal(self, body: Body) -> None:
        self._settled.add(body.number)
        self._waiting.append(body)
        ready = [one for one in self._waiting if self._settled.issuperset(range(one.since, one.number))]
        for one in ready:
            self._waiting.remove(one)
            for piece in one.pieces:
                if self._journal is not None and piece.end > piece.first:
                    self._journal.settled(piece.first, piece.end, piece.at, piece.split)

    def _count(self, body: Body, settled: Settled, refusals: Sequence[Refusal]) -> None:
        refused = {refusal.document.id for refusal in refusals}
        counts = self._counts
        counts.documents += sum(piece.end - piece.first for piece in body.pieces)
        counts.indexed += len(body.documents - refused - self._refused_parts)
        counts.unchanged += body.unchanged
        counts.skipped += len(body.bad)
        counts.refused += len(refused)
        counts.passages += settled.passages
        counts.removed += settled.removed
        counts.superseded += settled.superseded
        counts.bytes += settled.bytes
        counts.retried += settled.retried
        self._refused_parts = (self._refused_parts | refused) - body.documents
        room = SHOWN_REFUSALS - len(self._refusals)
        self._refusals += refusals[: max(0, room)]

    def _report(self, waiting: str | None) -> None:
        counts = self._counts
        if self._progress is not None:
            known = (counts.documents, counts.passages, counts.refused)
            self._progress(IngestProgress(*known, waiting, self.expected(), *self.look(), self.slowed()))


def _one_per_document(refusals: Sequence[Refusal]) -> list[Refusal]:
    """The first refusal of each document."""
    return list({refusal.document.id: refusal for refusal in reversed(refusals)}.values())[::-1]
