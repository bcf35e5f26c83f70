"""What a load would do, without doing it: for a look before a sync."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.errors import counted
from hybrid_search.ingest.maintain.remove import Limit, Missing, missing_documents
from hybrid_search.ingest.stages.images import ImageLook
from hybrid_search.ingest.stages.overlap import side_by_side
from hybrid_search.ingest.stages.prepare import Checking, numbered
from hybrid_search.ingest.state.indexed import IndexedDocument, indexed_documents
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.ingest.work import Batch, NumberedDocument
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings, ImageSettings

ASKED = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """Documents that would be new, written again, left alone, taken from another source, left out; and those to go.

    ``excess`` says why too many records would be left out, None where no more would be than may.
    """

    source: str
    new: int
    changed: int
    unchanged: int
    foreign: int
    bad: int
    missing: Missing
    excess: str | None = None

    @property
    def documents(self) -> int:
        """Documents of the source that are not bad."""
        return self.new + self.changed + self.unchanged + self.foreign

    def refusal(self, *, takes_over: bool, skips_bad: bool, sync: Limit | None) -> str | None:
        """Why the load would not end well, None if it would; ``sync`` is the most that may go, None removes none."""
        if self.bad and not skips_bad:
            return f"{counted(self.bad, 'document is', 'documents are')} bad (--skip-bad)"
        if self.excess is not None:
            return f"{self.excess} (--max-bad)"
        if self.foreign and not takes_over:
            return f"{counted(self.foreign, 'document belongs', 'documents belong')} to other sources (--take-over)"
        if sync is not None and not sync.allows(self.missing.count, self.missing.of):
            return f"--sync would remove {self.missing}, more than {sync}, and so removes none (--max-removed)"
        return None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def planned(
    documents: Iterable[Document],
    opened: OpenedIndex | None,
    connection: Connection,
    chunking: ChunkingSettings,
    source: str,
    *,
    images: ImageSettings | None = None,
) -> Plan:
    """Compare a source with an index as a load would; ``opened`` is None where the index is still to be made.

    Raises:
        RecordError: a bad document, where the reader does not leave it out.
    """
    counts: dict[str, Any] = dict.fromkeys(("new", "changed", "unchanged", "foreign", "bad"), 0)
    if opened is None:
        counts["new"] = sum(1 for _ in documents)
        return Plan(source, missing=Missing(0, 0, ()), **counts)
    with SourceIds() as seen:
        look = ImageLook(images or ImageSettings(), opened.schema)
        check = Checking(opened.schema, chunking, seen.add, keeps_bad=True, look=look)
        for batch, held in side_by_side(_checked(documents, check, seen), _asking(connection, opened.name), ASKED):
            counts["bad"] += len(batch.bad)
            for item in batch.items:
                counts[_fate(item, held.get(item.document.id), source)] += 1
            if batch.broken is not None:
                raise batch.broken
        missing = missing_documents(connection, opened.name, source, seen.missing)
    return Plan(source, missing=missing, **counts)


Checked = Batch[NumberedDocument]


def _checked(documents: Iterable[Document], check: Checking, seen: SourceIds) -> Iterator[Checked]:
    return (check(batch) for batch in numbered(documents, Intervals(), seen.add))


def _asking(connection: Connection, index: str) -> Any:
    def asked(batch: Checked) -> tuple[Checked, dict[str, IndexedDocument]]:
        return batch, indexed_documents(connection, index, [item.document.id for item in batch.items])

    return asked


def _fate(item: NumberedDocument, there: IndexedDocument | None, source: str) -> str:
    if there is None:
        return "new"
    if there.sources - {source}:
        return "foreign"
    return "unchanged" if there.is_whole(item.digest) else "changed"
