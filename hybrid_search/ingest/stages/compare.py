"""The stage that leaves out documents that the index already holds as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hybrid_search.errors import IngestError
from hybrid_search.ingest.state.indexed import IndexedDocument
from hybrid_search.ingest.work import Batch, NumberedDocument

SHOWN = 5

Held = Callable[[Sequence[str]], Mapping[str, IndexedDocument]]
"""What the index holds of the documents with some ids."""


class Comparison:
    """Compares documents with what the index holds of them, and refuses to overwrite those of another source.

    Documents that release 0.1 loaded say no source: they are taken over when they change, and left alone when not.
    """

    def __init__(self, held: Held, source: str, *, take_over: bool, where: str) -> None:
        self._held = held
        self._source = source
        self._take_over = take_over
        self._where = where

    def __call__(self, batch: Batch[NumberedDocument]) -> Batch[NumberedDocument]:
        """What is new, different, incomplete, or of another source that is taken over."""
        held = self._held([item.document.id for item in batch.items])
        known = [replace(item, held=held.get(item.document.id)) for item in batch.items]
        foreign = [item for item in known if self._is_foreign(item)]
        if foreign and not self._take_over:
            return Batch(batch.first, batch.first, [], broken=self._clash(foreign))
        kept = [item for item in known if self._is_foreign(item) or not _is_held(item)]
        return replace(batch, items=kept, unchanged=batch.unchanged + len(known) - len(kept))

    def _is_foreign(self, item: NumberedDocument) -> bool:
        return item.held is not None and bool(item.held.sources - {self._source})

    def _clash(self, foreign: Sequence[NumberedDocument]) -> IngestError:
        ids = ", ".join(item.document.id for item in foreign[:SHOWN])
        owners = sorted({owner for item in foreign if item.held for owner in item.held.sources - {self._source}})
        return IngestError(
            f"{len(foreign)} of the next documents belong to the source {', '.join(map(repr, owners))}"
            f" ({ids}{' ...' if len(foreign) > SHOWN else ''}), this is {self._source!r}",
            where=self._where,
            remedy=f"If it is the same source, say --source {owners[0]}; to let this one own them, --take-over",
        )


def _is_held(item: NumberedDocument) -> bool:
    """Whether the index holds it whole; what release 0.1 wrote is decided once the number of passages is known."""
    return item.held is not None and item.held.expected is not None and item.held.is_whole(item.digest)
