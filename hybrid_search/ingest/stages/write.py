"""The stage that turns encoded documents into the lines of bulk actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hybrid_search.engine.bulk import delete_action, index_action
from hybrid_search.engine.protocols import Dialect
from hybrid_search.errors import RecordError
from hybrid_search.ingest.work import Action, BadDocument, Batch, EncodedDocument, WrittenDocument
from hybrid_search.records import EncodedPassage, IndexSchema, Provenance


@dataclass(frozen=True, slots=True)
class Writing:
    """Writes for one load into one index.

    Attributes:
        index: the index.
        dialect: that of the engine.
        schema: what the index holds.
        source: the name of the source.
        load: the number of the load.
        sends: shown the first passage of every document.
        keeps_bad: whether a document that cannot be written is set aside; else it ends the load.
    """

    index: str
    dialect: Dialect
    schema: IndexSchema
    source: str
    load: int
    sends: Callable[[EncodedPassage], None]
    keeps_bad: bool

    def __call__(self, batch: Batch[EncodedDocument]) -> Batch[WrittenDocument]:
        """The batch as actions: a document's passages, and the removal of those that it no longer has."""
        good: list[WrittenDocument] = []
        bad: list[BadDocument] = [*batch.bad]
        for item in batch.items:
            try:
                good.append(self._written(item, batch.split))
            except RecordError as error:
                if not self.keeps_bad:
                    end = max(batch.first, item.number)
                    return Batch(batch.first, end, good, batch.unchanged, bad, error, split=batch.split)
                bad.append(BadDocument(error, item.document))
        return batch.turned_into(good, bad=bad)

    def _written(self, item: EncodedDocument, split: int) -> WrittenDocument:
        if item.refused is not None:
            return WrittenDocument(item.number, item.document, (), item.is_end, item.refused)
        provenance = Provenance(self.source, self.load, item.digest, item.total)
        actions = [
            Action(
                encoded.passage.id,
                index_action(self.index, encoded, self.dialect, self.schema, provenance),
                item.document,
                split=split,
            )
            for encoded in item.passages
        ]
        for encoded in item.passages[:1]:
            self.sends(encoded)
        removals = [
            Action(id_, delete_action(self.index, id_, self.load), item.document, removes=True, split=split)
            for id_ in item.stale
        ]
        return WrittenDocument(item.number, item.document, actions + removals, item.is_end)
