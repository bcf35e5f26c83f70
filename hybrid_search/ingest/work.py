"""What the stages of the ingest hand to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hybrid_search.records import Document, EncodedPassage, Passage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What is to be done for the documents ``first`` to ``end - 1`` of the source, counted from 0.

    Documents that need nothing (they are loaded already) are counted but not among ``items``.
    """

    first: int
    end: int
    items: Sequence[T]


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document cut into passages; ``number`` counts from 0 in the source, ``digest`` is its content hash.

    ``stale`` names passages that an earlier version of the document left in the index.
    """

    number: int
    document: Document
    digest: str
    passages: Sequence[Passage]
    stale: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """A document whose passages have their vectors."""

    number: int
    document: Document
    digest: str
    passages: Sequence[EncodedPassage]
    stale: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a bulk body: ``data`` with its newlines, the engine's ``id`` and the document it is for.

    ``removes`` marks the deletion of a stale passage.
    """

    id: str
    data: bytes
    document: Document
    removes: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """Actions that are sent together, covering the source's documents ``first`` to ``end - 1`` completely."""

    first: int
    end: int
    actions: Sequence[Action]
    size: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that the engine or a check refused for good, and why.

    ``status`` is 0 where the document was never sent; ``type`` is the engine's error type or our error's name.
    ``item`` is the id of the passage that was refused.
    """

    document: Document
    item: str
    status: int
    type: str
    reason: str

    def as_json(self) -> dict[str, str | int]:
        """Plain values without the document."""
        return {
            "id": self.document.id,
            "item": self.item,
            "status": self.status,
            "type": self.type,
            "reason": self.reason,
        }
