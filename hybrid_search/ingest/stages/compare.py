"""The stage that leaves out documents that the index already holds as they are."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from hybrid_search.errors import IngestError
from hybrid_search.ingest.stages.checks import id_came_before
from hybrid_search.ingest.state.indexed import IndexedDocument
from hybrid_search.ingest.work import BadDocument, Batch, NumberedDocument

SHOWN = 5

TOGETHER = 1_024
"""Documents that the index is asked about at once: the cost of a request is then small beside theirs."""

CHARACTERS = 1_000_000
"""Long documents are asked about in smaller groups, so that those in flight fit into memory."""

Checked = Batch[NumberedDocument]
Held = Callable[[Sequence[str]], Mapping[str, IndexedDocument]]
"""What the index holds of the documents with some ids."""


class Comparison:
    """Compares documents with what the index holds of them, and refuses to overwrite those of another source.

    Documents that release 0.1 loaded say no source: they are taken over when they change, and left alone when not.
    """

    def __init__(
        self,
        held: Held,
        source: str,
        *,
        take_over: bool,
        where: str,
        resumed: Container[int] = (),
        keeps_bad: bool = False,
    ) -> None:
        """Compare for one load.

        Args:
            held: asks the index.
            source: the name of the source.
            take_over: whether documents of other sources are replaced.
            where: the index, for messages.
            resumed: numbers of the loads that are continued, whose documents are not read again.
            keeps_bad: whether a document that is bad is set aside; else it ends the load.
        """
        self._held = held
        self._source = source
        self._take_over = take_over
        self._where = where
        self._resumed = resumed
        self._keeps_bad = keeps_bad

    def __call__(self, batch: Checked) -> Checked:
        """What is new, different, incomplete, or of another source that is taken over."""
        return self.together([batch])[0]

    def together(self, batches: Sequence[Checked]) -> list[Checked]:
        """The same of several batches, with one question to the index."""
        held = self._held([item.document.id for batch in batches for item in batch.items])
        return [self._compared(batch, held) for batch in batches]

    def _compared(self, batch: Checked, held: Mapping[str, IndexedDocument]) -> Checked:
        known = [replace(item, held=held.get(item.document.id)) for item in batch.items]
        foreign = [item for item in known if self._is_foreign(item)]
        if foreign and not self._take_over:
            return Batch(batch.first, batch.first, [], broken=self._clash(foreign), split=batch.split)
        repeated = [item for item in known if self._came_before(item)]
        if repeated and not self._keeps_bad:
            end, error = repeated[0].number, id_came_before(repeated[0].document)
            return self._left(replace(batch, end=end, broken=error, at=None), [i for i in known if i.number < end])
        bad = [BadDocument(id_came_before(item.document), item.document) for item in repeated]
        return self._left(
            replace(batch, bad=[*batch.bad, *bad]), [item for item in known if not self._came_before(item)]
        )

    def _left(self, batch: Checked, items: Sequence[NumberedDocument]) -> Checked:
        """The batch with those of ``items`` that the index does not hold as they are."""
        kept = [item for item in items if self._is_foreign(item) or not _is_held(item)]
        return replace(batch, items=kept, unchanged=batch.unchanged + len(items) - len(kept))

    def _came_before(self, item: NumberedDocument) -> bool:
        """Whether the id was in the part of the source that is not read again: loaded by it, with another content."""
        held = item.held
        return held is not None and held.load in self._resumed and item.digest not in held.digests

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


def grouped(batches: Iterable[Checked]) -> Iterator[list[Checked]]:
    """Batches in groups of about :data:`TOGETHER` documents; a broken batch is the last of its group."""
    group: list[Checked] = []
    documents = characters = 0
    for batch in batches:
        group.append(batch)
        documents += len(batch.items)
        characters += sum(len(item.document.text) for item in batch.items)
        if documents >= TOGETHER or characters >= CHARACTERS or batch.broken is not None:
            yield group
            group, documents, characters = [], 0, 0
    if group:
        yield group


def _is_held(item: NumberedDocument) -> bool:
    """Whether the index holds it whole; what release 0.1 wrote is decided once the number of passages is known."""
    return item.held is not None and item.held.expected is not None and item.held.is_whole(item.digest)
