"""What has been settled: the one place where counts, dead letters, the journal and the progress report meet."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hybrid_search.errors import RecordError
from hybrid_search.ingest.report import IngestProgress
from hybrid_search.ingest.state.journal import Journal
from hybrid_search.ingest.state.letters import DeadLetters
from hybrid_search.ingest.work import Action, Body, Refusal
from hybrid_search.records import Document

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
    bytes: int = 0
    retried: int = 0


@dataclass(slots=True)
class Settled:
    """What became of the actions of one body."""

    passages: int = 0
    removed: int = 0
    bytes: int = 0
    retried: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    """How often each action met a 500."""

    def taken(self, action: Action) -> None:
        """Count an action that the engine took."""
        if action.removes:
            self.removed += 1
        else:
            self.passages += 1


class Ledger:
    """Books bodies in the order that makes a crash harmless: dead letters, then the journal, then the counts."""

    def __init__(
        self,
        dead_letters: DeadLetters | None = None,
        journal: Journal | None = None,
        progress: OnProgress | None = None,
        on_bad: OnBad | None = None,
    ) -> None:
        self._counts = Counts()
        self._refusals: list[Refusal] = []
        self._dead_letters = dead_letters
        self._journal = journal
        self._progress = progress
        self._on_bad = on_bad
        self._lock = threading.Lock()

    def settle(self, body: Body, settled: Settled) -> None:
        """Book a body of which every action was taken or refused for good."""
        documents = {action.document.id for action in body.actions}
        refused = {refusal.document.id for refusal in settled.refusals}
        with self._lock:
            if self._dead_letters is not None and settled.refusals:
                self._dead_letters.write(_one_per_document(settled.refusals))
            if self._journal is not None:
                self._journal.settled(body.first, body.end)
            self._count(settled, len(documents - refused), len(refused))
            self._counts.documents += body.end - body.first
            self._report(None)

    def skip(self, error: RecordError, document: Document) -> bool:
        """Book a document that no index can hold; False where nobody takes bad documents."""
        if self._on_bad is None:
            return False
        with self._lock:
            self._on_bad(error, document)
            self._counts.skipped += 1
        return True

    def unchanged(self, documents: int) -> None:
        """Book documents that the index already holds as they are."""
        with self._lock:
            self._counts.unchanged += documents

    def removed(self, passages: int) -> None:
        """Book passages that were deleted because the source does not have them."""
        with self._lock:
            self._counts.removed += passages

    def waiting(self, reason: str) -> None:
        """Say that a sender waits, and why."""
        with self._lock:
            self._report(reason)

    def totals(self) -> dict[str, Any]:
        """The sums, the first refusals and where all of them are, by the report's names."""
        path = None if self._dead_letters is None else self._dead_letters.path
        return {**asdict(self._counts), "refusals": tuple(self._refusals), "dead_letters": path}

    def _count(self, settled: Settled, indexed: int, refused: int) -> None:
        counts = self._counts
        counts.indexed += indexed
        counts.refused += refused
        counts.passages += settled.passages
        counts.removed += settled.removed
        counts.bytes += settled.bytes
        counts.retried += settled.retried
        room = SHOWN_REFUSALS - len(self._refusals)
        self._refusals += _one_per_document(settled.refusals)[: max(0, room)]

    def _report(self, waiting: str | None) -> None:
        counts = self._counts
        if self._progress is not None:
            self._progress(IngestProgress(counts.documents, counts.passages, counts.refused, waiting))


def _one_per_document(refusals: Sequence[Refusal]) -> list[Refusal]:
    """The first refusal of each document."""
    return list({refusal.document.id: refusal for refusal in reversed(refusals)}.values())[::-1]
