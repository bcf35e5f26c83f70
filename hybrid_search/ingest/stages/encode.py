"""The stage that gives passages their vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.ingest.state.cache import CachedVectors, VectorCache, models_key
from hybrid_search.ingest.work import Batch, ChunkedDocument, EncodedDocument, Refusal
from hybrid_search.records import Document, EncodedPassage


class Encoding:
    """Encodes passages whose documents do not carry the vectors that the index wants.

    ``encoded`` counts the passages that were encoded rather than found in the cache. ``later`` leaves them without. A
    document with a passage that the encoder refuses is refused.
    """

    def __init__(self, encoder: TextEncoder, cache: VectorCache | None = None, *, later: bool = False) -> None:
        self._encoder = encoder
        self._cache = cache
        self._later = later
        self._models = models_key(encoder)
        self.encoded = 0
        self._refused: dict[str, str] = {}

    def __call__(self, batch: Batch[ChunkedDocument]) -> Batch[EncodedDocument]:
        """The batch with vectors; one call of the encoder for all of its passages."""
        texts = [p.for_models for item in batch.items if self._needs(item.document) for p in item.passages]
        vectors = iter(self._vectors(texts))
        items = [self._with_vectors(item, vectors) for item in batch.items]
        return batch.turned_into(items)

    def _needs(self, document: Document) -> bool:
        lacks_dense = self._encoder.dense is not None and document.dense is None
        lacks_sparse = self._encoder.sparse is not None and document.sparse is None
        lacks_tokens = getattr(self._encoder, "late", None) is not None
        return not self._later and (lacks_dense or lacks_sparse or lacks_tokens)

    def _vectors(self, texts: Sequence[str]) -> list[CachedVectors]:
        if self._cache is None:
            return self._encode(texts)
        known = self._cache.get(self._models, texts)
        missing = [text for text, vectors in zip(texts, known, strict=True) if vectors is None]
        if missing:
            computed = self._encode(missing)
            good = [pair for pair in zip(missing, computed, strict=True) if pair[0] not in self._refused]
            self._cache.put(self._models, [text for text, _ in good], [vectors for _, vectors in good])
            fresh = iter(computed)
            return [vectors or next(fresh) for vectors in known]
        return [vectors for vectors in known if vectors is not None]

    def _encode(self, texts: Sequence[str]) -> list[CachedVectors]:
        if not texts:
            return []
        self.encoded += len(texts)
        computed = self._encoder.encode_documents(texts)
        self._refused |= {texts[number]: why for number, why in computed.refused.items()}
        dense = [None] * len(texts) if computed.dense is None else computed.dense
        sparse = [None] * len(texts) if computed.sparse is None else computed.sparse
        late = [None] * len(texts) if computed.late is None else computed.late
        return [CachedVectors(*one) for one in zip(dense, sparse, late, strict=True)]

    def _with_vectors(self, item: ChunkedDocument, vectors: Iterator[CachedVectors]) -> EncodedDocument:
        """The item with what its document carries, else with the next of ``vectors`` for each passage."""
        document, needs = item.document, self._needs(item.document)
        encoded = []
        for passage in item.passages:
            found = next(vectors) if needs else CachedVectors(None, None)
            dense = found.dense if document.dense is None else document.dense
            sparse = found.sparse if document.sparse is None else document.sparse
            encoded.append(
                EncodedPassage(
                    passage,
                    None if self._encoder.dense is None else dense,
                    None if self._encoder.sparse is None else sparse,
                    found.late,
                )
            )
        return EncodedDocument(
            item.number, document, item.digest, encoded, item.total, item.stale, item.is_end, self._refusal(item)
        )

    def _refusal(self, item: ChunkedDocument) -> Refusal | None:
        """Why its document has no vectors: the first of its passages that has none."""
        if not self._refused or not self._needs(item.document):
            return None
        found = next((passage for passage in item.passages if passage.for_models in self._refused), None)
        if found is None:
            return None
        return Refusal(item.document, found.id, 0, "ModelError", self._refused[found.for_models])
