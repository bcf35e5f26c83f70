"""Comparing an index with its source: every document there, whole, with the same content, and no other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import refresh
from hybrid_search.ingest.stages.prepare import content_hash
from hybrid_search.ingest.state.indexed import document_ids, indexed_documents
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings

BATCH = 500
SHOWN = 20


@dataclass(slots=True)
class Group:
    """Documents that share a fault: how many, and the ids of the first few."""

    count: int = 0
    first: tuple[str, ...] = ()

    def add(self, id_: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first = (*self.first, id_)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found.

    Attributes:
        documents: in the source.
        missing: in the source, not in the index.
        stale: in the index with another content.
        partial: in the index with the right content, but passages are missing or of two versions.
        extra: in the index, not in the source.
    """

    documents: int
    missing: Group
    stale: Group
    partial: Group
    extra: Group

    @property
    def faults(self) -> dict[str, Group]:
        """The four groups by name."""
        return {"missing": self.missing, "stale": self.stale, "partial": self.partial, "extra": self.extra}

    @property
    def is_equal(self) -> bool:
        """Whether the index holds the source and nothing else."""
        return not any(group.count for group in self.faults.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"equal": self.is_equal, **asdict(self)}


def verify(
    documents: Iterable[Document], index: str, connection: Connection, chunking: ChunkingSettings
) -> VerifyReport:
    """Compare all documents of a source with an index, by content hash; no model is needed.

    Args:
        documents: the source, as it was loaded.
        index: an index, or an alias of one.
        connection: the cluster.
        chunking: the settings with which the source was loaded; other settings make every document stale.
    """
    refresh(connection, index)
    missing, stale, partial, extra = Group(), Group(), Group(), Group()
    count = 0
    with SourceIds() as seen:
        remaining = iter(documents)
        while batch := list(islice(remaining, BATCH)):
            held = indexed_documents(connection, index, [document.id for document in batch])
            for document in batch:
                count += 1
                seen.add(document.id)
                there, digest = held.get(document.id), content_hash(document, chunking)
                if there is None:
                    missing.add(document.id)
                elif digest not in there.digests:
                    stale.add(document.id)
                elif not there.is_whole(digest):
                    partial.add(document.id)
        for id_ in seen.missing(document_ids(connection, index)):
            extra.add(id_)
    return VerifyReport(count, missing, stale, partial, extra)
