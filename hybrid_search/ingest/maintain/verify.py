"""Comparing an index with its source: every document there, whole, with the same content, and no other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import OpenedIndex, open_index, refresh
from hybrid_search.engine.layout import SOURCE
from hybrid_search.errors import SettingsError
from hybrid_search.ingest.maintain.stored import spoiled
from hybrid_search.ingest.patience import RetryPolicy, patient
from hybrid_search.ingest.stages.images import ImageLook
from hybrid_search.ingest.stages.overlap import side_by_side
from hybrid_search.ingest.stages.prepare import composed, content_hash
from hybrid_search.ingest.state.indexed import IndexedDocument, document_ids, indexed_documents, source_names
from hybrid_search.ingest.state.lease import mend
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings, ImageSettings

BATCH = 2_000
CHARACTERS = 1_000_000
"""A batch ends after as many, so that long documents in flight fit into memory."""

ASKED = 4
"""Batches that the engine is asked about at once."""

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
        edited: what is stored was changed in the index itself, or a vector is missing; only looked for when ``deep``.
        extra: in the index, not in the source.
        unknown: documents that release 0.1 wrote: whether their last passages are there cannot be known.
        deep: whether the stored content was looked at, not only the hash beside it.
        mended: whether index settings that a killed load had left were restored.
    """

    documents: int
    missing: Group
    stale: Group
    partial: Group
    edited: Group
    extra: Group
    unknown: int = 0
    deep: bool = False
    mended: bool = False

    @property
    def faults(self) -> dict[str, Group]:
        """The groups by name."""
        names = ("missing", "stale", "partial", "edited", "extra")
        return {name: getattr(self, name) for name in names}

    @property
    def is_equal(self) -> bool:
        """Whether the index holds the source and nothing else."""
        return not any(group.count for group in self.faults.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"equal": self.is_equal, **asdict(self)}


def verify(
    documents: Iterable[Document],
    index: str,
    connection: Connection,
    chunking: ChunkingSettings,
    *,
    source: str | None = None,
    deep: bool = False,
    retry: RetryPolicy | None = None,
    images: ImageSettings | None = None,
) -> VerifyReport:
    """Compare all documents of a source with an index; no model is needed.

    By default the engine's word is taken for the content: the hash that was written with every passage, how many
    passages the document has, and how many are there. ``deep`` reads the text and the fields of every passage and
    looks whether its vectors are there; it costs as much as reading the index whole.

    Raises SettingsError for a source of which the index holds nothing.

    Args:
        documents: the source, as it was loaded.
        index: an index, or an alias of one.
        connection: the cluster.
        chunking: the settings with which the source was loaded; other settings make every document stale.
        source: its name: documents of other sources are not extra; None if the index holds nothing else.
        deep: see above.
        retry: how long a busy or silent engine is waited for.
        images: the settings with which images were loaded.
    """
    connection = patient(connection, retry)
    refresh(connection, index)
    opened = open_index(connection, index)
    _check_source(connection, opened, source)
    comparison = _Comparison(opened, connection, chunking, deep=deep)
    mended = mend(connection, opened.name)
    extra = Group()
    look = ImageLook(images or ImageSettings(), opened.schema)
    found = (composed(look(document), opened.schema) for document in documents)
    with SourceIds() as seen:
        for batch, held, edited in side_by_side(_batches(found), comparison.asked, ASKED):
            for document in batch:
                seen.add(document.id)
                comparison.book(document, held.get(document.id), edited)
        of_source = None if source is None else {"term": {SOURCE: source}}
        for id_ in seen.missing(document_ids(connection, opened.name, of_source)):
            extra.add(id_)
    return comparison.report(extra, mended=mended)


def _check_source(connection: Connection, opened: OpenedIndex, source: str | None) -> None:
    known = source_names(connection, opened.name)
    if source is not None and known and source not in known:
        raise SettingsError(
            f"the index holds nothing of a source {source!r}",
            where="--source",
            remedy=f"It holds: {', '.join(known)}",
        )


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if len(batch) >= BATCH or characters >= CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


Asked = tuple[Sequence[Document], dict[str, IndexedDocument], frozenset[str]]
"""Documents, what the index holds of them, and the ids of those whose stored content is not what it says."""


class _Comparison:
    """What was found so far."""

    def __init__(self, opened: OpenedIndex, connection: Connection, chunking: ChunkingSettings, *, deep: bool) -> None:
        self._opened = opened
        self._connection = connection
        self._chunking = chunking
        self._deep = deep
        self._count = self._unknown = 0
        self._missing, self._stale, self._partial, self._edited = Group(), Group(), Group(), Group()

    def asked(self, batch: Sequence[Document]) -> Asked:
        """Ask the engine about a batch."""
        held = indexed_documents(self._connection, self._opened.name, [document.id for document in batch])
        edited = frozenset(spoiled(self._connection, self._opened, batch)) if self._deep else frozenset()
        return batch, held, edited

    def book(self, document: Document, there: IndexedDocument | None, edited: frozenset[str]) -> None:
        """Judge one document."""
        self._count += 1
        digest = content_hash(document, self._chunking, self._opened.schema)
        if there is None:
            self._missing.add(document.id)
        elif digest not in there.digests:
            self._stale.add(document.id)
        elif not there.is_whole(digest):
            self._partial.add(document.id)
        elif document.id in edited:
            self._edited.add(document.id)
        self._unknown += there is not None and there.expected is None

    def report(self, extra: Group, *, mended: bool) -> VerifyReport:
        return VerifyReport(
            documents=self._count,
            missing=self._missing,
            stale=self._stale,
            partial=self._partial,
            edited=self._edited,
            extra=extra,
            unknown=self._unknown,
            deep=self._deep,
            mended=mended,
        )
