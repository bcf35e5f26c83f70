"""Putting documents by loads of a few thousand, each looked at once more when it has ended.

A load replaces a document passage by passage. Two that put the same one at the same time may leave passages of both,
as when the later has fewer; whoever ends last sees it and leaves those of the later load alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import refresh
from hybrid_search.engine.layout import DOC_ID, LOAD
from hybrid_search.errors import EngineError, IngestError, RecordError
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.bulk_mode import BulkMode
from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.maintain.remove import delete_where
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.state.indexed import IndexedDocument, indexed_documents
from hybrid_search.records import Document
from hybrid_search.settings import Settings

BATCH = 2_000
CHARACTERS = 8_000_000
"""Documents, and characters of their texts, that are put by one load and are in memory together."""

BRIEF = 500
"""Documents for which the settings of the index are not changed: that takes as long as writing so many."""

ROUNDS = 10
"""How often a document is put again that others change at the same time."""


class Putting:
    """Puts documents into an index, which is made if it is not there."""

    def __init__(
        self, connection: Connection, index: str, encoder: TextEncoder, settings: Settings, source: str
    ) -> None:
        self._connection = connection
        self._index = index
        self._encoder = encoder
        self._settings = settings
        self._source = source

    def put(self, documents: Sequence[Document]) -> IngestReport:
        """Put documents of different ids; see :meth:`~hybrid_search.documents.client.DocumentClient.put`."""
        try:
            report = self._load(documents)
        except BaseException:
            with suppress(EngineError):
                refresh(self._connection, self._index)  # what was written before is there, and is found
            raise
        known = {document.id: document for document in documents}
        for _ in range(ROUNDS):
            broken = self._broken([*known], report.load)
            if not broken:
                return report
            report = merged([report, self._load([known[id_] for id_ in broken])], self._index)
        raise IngestError(
            f"the document {broken[0]!r} is changed by others again and again",
            where=f"{self._connection.where}/{self._index}",
            remedy="Put it once more when they have ended",
        )

    def _load(self, documents: Sequence[Document]) -> IngestReport:
        options = LoadOptions(bulk=BulkMode.OFF if len(documents) <= BRIEF else BulkMode.AUTO)
        return index_documents(
            documents,
            self._index,
            self._connection,
            self._encoder,
            self._settings,
            source=self._source,
            options=options,
        )

    def _broken(self, ids: Sequence[str], load: int) -> list[str]:
        """Those that have not all their passages though no later load writes them; what is older than the rest goes."""
        held = indexed_documents(self._connection, self._index, ids)
        mixed = {id_: one for id_, one in held.items() if not _is_one(one)}
        for id_, one in mixed.items():
            older: list[dict[str, Any]] = [{"term": {DOC_ID: id_}}, {"range": {LOAD: {"lt": one.load}}}]
            delete_where(self._connection, self._index, {"bool": {"filter": older}})
        left = indexed_documents(self._connection, self._index, [*mixed])
        return [id_ for id_, one in left.items() if not _is_one(one) and one.load <= load]


def _is_one(held: IndexedDocument) -> bool:
    """Whether the passages are those of one version, and all of them."""
    return len(held.digests) == 1 and held.is_whole(next(iter(held.digests)))


def batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents in batches without an id twice: the later one stays.

    Raises:
        RecordError: what is no document.
    """
    batch: dict[str, Document] = {}
    characters = 0
    for number, document in enumerate(documents):
        _check(document, number)
        batch.pop(document.id, None)
        batch[document.id] = document
        characters += len(document.text)
        if len(batch) >= BATCH or characters >= CHARACTERS:
            yield [*batch.values()]
            batch, characters = {}, 0
    if batch:
        yield [*batch.values()]


def _check(document: object, number: int) -> None:
    if not isinstance(document, Document):
        what, remedy = f"a {type(document).__name__} is no document", "Give hybrid_search.Document(id, text, fields)"
    elif not isinstance(document.id, str):
        what, remedy = f"the id is {document.id!r:.60}, no string", "Give str(id)"
    elif not isinstance(document.text, str):
        what, remedy = f"the text is {document.text!r:.60}, no string", "Give a string"
    else:
        return
    raise RecordError(what, where=f"document {number}", remedy=remedy)


def merged(reports: Sequence[IngestReport], index: str) -> IngestReport:
    """One report of several loads, of which the last names the load."""
    if not reports:
        return IngestReport(index)
    counts = [field.name for field in fields(IngestReport) if field.type in {"int", "float"} and field.name != "load"]
    summed = {name: sum(getattr(report, name) for report in reports) for name in counts}
    stages = {stage for report in reports for stage in report.busy}
    busy = {stage: sum(report.busy.get(stage, 0.0) for report in reports) for stage in stages}
    notes = tuple(dict.fromkeys(note for report in reports for note in report.notes))
    return replace(reports[-1], busy=busy, notes=notes, **summed)
