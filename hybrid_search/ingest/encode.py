"""The stage that gives passages their vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hybrid_search.encode.protocols import EncodedTexts, TextEncoder
from hybrid_search.ingest.work import Batch, ChunkedDocument, EncodedDocument
from hybrid_search.records import Document, EncodedPassage, Passage


class Encoding:
    """Encodes passages whose documents do not carry the vectors that the index wants.

    ``encoded`` counts the passages that were encoded.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self.encoded = 0

    def __call__(self, work: Iterable[Batch[ChunkedDocument]]) -> Iterator[Batch[EncodedDocument]]:
        """Batches with vectors, in order; one call of the encoder for all passages of a batch."""
        for batch in work:
            wanting = [passage for item in batch.items if self._needs(item.document) for passage in item.passages]
            vectors = self._encode(wanting) if wanting else EncodedTexts(None, None)
            yield Batch(batch.first, batch.end, list(self._join(batch.items, vectors)))

    def _needs(self, document: Document) -> bool:
        lacks_dense = self._encoder.dense is not None and document.dense is None
        lacks_sparse = self._encoder.sparse is not None and document.sparse is None
        return lacks_dense or lacks_sparse

    def _encode(self, passages: Sequence[Passage]) -> EncodedTexts:
        self.encoded += len(passages)
        return self._encoder.encode_documents([passage.text for passage in passages])

    def _join(self, items: Sequence[ChunkedDocument], vectors: EncodedTexts) -> Iterator[EncodedDocument]:
        at = 0
        for item in items:
            needs = self._needs(item.document)
            encoded = [
                self._with_vectors(passage, vectors, at + n if needs else None)
                for n, passage in enumerate(item.passages)
            ]
            at += len(item.passages) if needs else 0
            yield EncodedDocument(item.number, item.document, item.digest, encoded, item.stale)

    def _with_vectors(self, passage: Passage, vectors: EncodedTexts, at: int | None) -> EncodedPassage:
        dense, sparse = passage.document.dense, passage.document.sparse
        if dense is None and at is not None and vectors.dense is not None:
            dense = vectors.dense[at]
        if sparse is None and at is not None and vectors.sparse is not None:
            sparse = vectors.sparse[at]
        return EncodedPassage(
            passage,
            dense if self._encoder.dense is not None else None,
            sparse if self._encoder.sparse is not None else None,
        )
