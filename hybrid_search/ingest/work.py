"""What the stages of the ingest hand to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from hybrid_search.errors import RecordError
from hybrid_search.ingest.state.indexed import IndexedDocument
from hybrid_search.records import Document, EncodedPassage, Passage, ResumePoint

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BadDocument:
    """A document that no index can hold, why, and the split that it is from."""

    error: RecordError
    document: Document
    split: int = 0


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What is to be done for the documents ``first`` to ``end - 1`` of a split, counted from 0.

    Attributes:
        first: number of the first document.
        end: number after the last one.
        items: what is left to do; documents that need nothing are counted but not among them.
        unchanged: how many of the documents the index holds as they are.
        bad: those that no index can hold.
        broken: what ends the load after this batch; the items before it are still loaded.
        at: where reading goes on behind the last document, None where the split cannot go on.
        split: which of the source's splits it is from.
    """

    first: int
    end: int
    items: Sequence[T]
    unchanged: int = 0
    bad: Sequence[BadDocument] = ()
    broken: Exception | None = None
    at: ResumePoint | None = None
    split: int = 0

    def turned_into(self, items: Sequence[R], **more: Any) -> Batch[R]:
        """The same batch with what a stage has made of its items; ``more`` are other fields that change."""
        return replace(self, items=items, **more)  # type: ignore[arg-type, return-value]  # of another type


@dataclass(frozen=True, slots=True)
class NumberedDocument:
    """A document, its place in its split counted from 0, its content hash, and what the index holds of it."""

    number: int
    document: Document
    digest: str
    held: IndexedDocument | None = None


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document, or a part of a long one, cut into passages.

    Attributes:
        number: its place in its split, counted from 0.
        document: the whole document.
        digest: its content hash.
        passages: those of this part.
        total: how many passages the document has.
        stale: ids of passages that an earlier version of the document left in the index.
        is_end: whether no part follows.
    """

    number: int
    document: Document
    digest: str
    passages: Sequence[Passage]
    total: int
    stale: Sequence[str] = ()
    is_end: bool = True


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """The same, its passages with their vectors; ``refused`` says that a passage has none, and why."""

    number: int
    document: Document
    digest: str
    passages: Sequence[EncodedPassage]
    total: int
    stale: Sequence[str] = ()
    is_end: bool = True
    refused: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a bulk body: ``data`` with its newlines, the engine's ``id`` and the document it is for.

    ``removes`` marks the deletion of a stale passage; ``split`` is that of the document.
    """

    id: str
    data: bytes
    document: Document
    removes: bool = False
    split: int = 0


@dataclass(frozen=True, slots=True)
class WrittenDocument:
    """The actions of a document, or of a part of it; ``is_end`` says whether no part follows.

    One that was ``refused`` has none.
    """

    number: int
    document: Document
    actions: Sequence[Action]
    is_end: bool = True
    refused: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """The documents ``first`` to ``end - 1`` of a split, and where reading goes on behind them, if that is known."""

    split: int
    first: int
    end: int
    at: ResumePoint | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """Actions that are sent together, covering the documents of some pieces completely.

    Attributes:
        number: counts the bodies of a load from 0.
        pieces: documents that end in it, by split, each with those of the bodies before it that are left open.
        actions: what is sent.
        size: bytes of all actions.
        since: number of the first body with a part of a document that ends here; they are settled together.
        documents: ids of those that end here.
        unchanged: documents that needed nothing.
        bad: documents that no index can hold.
        refused: documents that were refused before anything of them was sent.
    """

    number: int
    pieces: Sequence[Piece]
    actions: Sequence[Action]
    size: int
    since: int
    documents: frozenset[str]
    unchanged: int = 0
    bad: Sequence[BadDocument] = ()
    refused: Sequence[Refusal] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that the engine or a check refused for good, and why.

    ``status`` is 0 where the document was never sent; ``type`` is the engine's error type or our error's name.
    ``item`` is the id of the passage that was refused, ``split`` that of the document.
    """

    document: Document
    item: str
    status: int
    type: str
    reason: str
    split: int = 0

    def as_json(self) -> dict[str, str | int]:
        """Plain values without the document."""
        return {
            "id": self.document.id,
            "item": self.item,
            "status": self.status,
            "type": self.type,
            "reason": self.reason,
        }
