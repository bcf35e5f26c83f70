"""The stage that gives passages their vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hybrid_search.encode.protocols import TextEncoder, image_encoder
from hybrid_search.images import ImageSource
from hybrid_search.ingest.state.cache import CachedVectors, VectorCache, models_key
from hybrid_search.ingest.work import Batch, ChunkedDocument, EncodedDocument, Refusal
from hybrid_search.records import Document, EncodedPassage, Passage


class Encoding:
    """Encodes passages whose documents do not carry the vectors that the index wants.

    ``encoded`` counts the passages that were encoded rather than found in the cache. ``later`` leaves them without.
    Images have dense vectors alone. The texts beside them have only with ``text_vectors`` dense ones too: models such
    as CLIP put any two texts nearer to each other than a text to its image (arXiv:2203.02053), so that documents with a
    caption would stand before all that have none. A document with
    a passage that the encoder refuses is refused.
    """

    def __init__(
        self, encoder: TextEncoder, cache: VectorCache | None = None, *, later: bool = False, text_vectors: bool = False
    ) -> None:
        self._text_vectors = text_vectors
        self._images = image_encoder(encoder)
        self._encoder = encoder
        self._cache = cache
        self._later = later
        self._models = models_key(encoder)
        self.encoded = 0
        self._refused: dict[str, str] = {}

    def __call__(self, batch: Batch[ChunkedDocument]) -> Batch[EncodedDocument]:
        """The batch with vectors; one call of the encoder for all of its passages."""
        wanted = [p for item in batch.items if self._needs(item.document) for p in item.passages]
        vectors = iter(self._vectors([p.for_models for p in wanted if p.image is None]))
        images = iter(self._image_vectors([p for p in wanted if p.image is not None]))
        items = [self._with_vectors(item, vectors, images) for item in batch.items]
        return batch.turned_into(items)

    def _needs(self, document: Document) -> bool:
        lacks_dense = self._encoder.dense is not None and document.dense is None
        lacks_sparse = self._encoder.sparse is not None and document.sparse is None
        lacks_tokens = getattr(self._encoder, "late", None) is not None
        return not self._later and (lacks_dense or lacks_sparse or lacks_tokens)

    def _image_vectors(self, passages: Sequence[Passage]) -> list[CachedVectors]:
        """The vectors of the images of passages: those that an index has kept, else made of their pixels."""
        images = [p.document.images[p.image] for p in passages if p.image is not None]
        made = iter(self._made([image for image in images if image.kept is None]))
        return [next(made) if image.kept is None else CachedVectors(image.kept.vector, None) for image in images]

    def _made(self, images: Sequence[ImageSource]) -> list[CachedVectors]:
        """The vectors of images, by the cache where the bytes are known."""
        if self._images is None or not images:
            return []
        pixels = [image.decoded.take() for image in images if image.decoded is not None]
        keys = [_image_key(image) for image in images]
        is_kept = self._cache is not None and all(image.url is None for image in images)
        known = self._cache.get(self._models, keys) if self._cache is not None and is_kept else [None] * len(keys)
        missing = [n for n, one in enumerate(known) if one is None]
        made = dict(zip(missing, self._images.encode_images([pixels[n] for n in missing]), strict=True))
        self.encoded += len(missing)
        # An encoder whose process dies of an image says so by a row of NaN.
        without = {n for n in missing if np.isnan(made[n]).any()}
        self._refused |= {keys[n]: "the models' process died of its image" for n in without}
        found = [one or CachedVectors(made[n], None) for n, one in enumerate(known)]
        good = [n for n in missing if n not in without]
        if self._cache is not None and is_kept and good:
            self._cache.put(self._models, [keys[n] for n in good], [found[n] for n in good])
        return found

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

    def _without(self, passage: Passage) -> tuple[str, ...]:
        """The legs that are to have no vector of a passage."""
        if passage.image is not None:
            return ("sparse",)
        images = passage.document.images if self._images is not None else ()
        has_vectors = self._text_vectors or any(
            image.kept is not None and image.kept.beside_vectors for image in images
        )
        return ("dense",) if images and not has_vectors else ()

    def _with_vectors(
        self, item: ChunkedDocument, vectors: Iterator[CachedVectors], images: Iterator[CachedVectors]
    ) -> EncodedDocument:
        """The item with what its document carries, else with the next of ``vectors`` for each passage."""
        document, needs = item.document, self._needs(item.document)
        encoded = []
        for passage in item.passages:
            of_this = vectors if passage.image is None else images
            found, without = next(of_this) if needs else CachedVectors(None, None), self._without(passage)
            dense = found.dense if document.dense is None else document.dense
            sparse = found.sparse if document.sparse is None else document.sparse
            encoded.append(
                EncodedPassage(
                    passage,
                    None if self._encoder.dense is None or "dense" in without else dense,
                    None if self._encoder.sparse is None or "sparse" in without else sparse,
                    found.late,
                    without,
                )
            )
        return EncodedDocument(
            item.number, document, item.digest, encoded, item.total, item.stale, item.is_end, self._refusal(item)
        )

    def _refusal(self, item: ChunkedDocument) -> Refusal | None:
        """Why its document has no vectors: the first of its passages that has none."""
        if not self._refused or not self._needs(item.document):
            return None
        found = next((passage for passage in item.passages if _key(passage) in self._refused), None)
        if found is None:
            return None
        return Refusal(item.document, found.id, 0, "ModelError", self._refused[_key(found)])


def _key(passage: Passage) -> str:
    """By which what the models refuse is remembered."""
    return passage.for_models if passage.image is None else _image_key(passage.document.images[passage.image])


def _image_key(image: ImageSource) -> str:
    return f"\0image {image.digest}"
