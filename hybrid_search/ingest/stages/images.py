"""The stages for images: known by their bytes before anything is spent on them, decoded before they are encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from shutil import which
from typing import Self

from hybrid_search.errors import RecordError, SettingsError
from hybrid_search.images import DecodedImage, ImageSource
from hybrid_search.ingest.work import BadDocument, Batch, NumberedDocument
from hybrid_search.read.images.content import content_of, digest_of
from hybrid_search.read.images.decode import Decoding
from hybrid_search.read.images.decoders import Decoders
from hybrid_search.records import Document, IndexSchema
from hybrid_search.settings import ImageSettings

TOGETHER = 32
"""Images that are in memory decoded at once, some 3 MB each."""


def has_image_model(schema: IndexSchema) -> bool:
    """Whether the dense model of an index reads images: its fingerprint has how they are prepared then."""
    return schema.dense is not None and "images" in schema.dense.extra


class ImageLook:
    """Gives the images of a document their digests; where nothing is made of images, the document goes without.

    A digest covers the bytes, and all settings that change what is written.
    """

    def __init__(self, settings: ImageSettings, schema: IndexSchema) -> None:
        self._settings = settings
        self._is_wanted = has_image_model(schema) or settings.thumbnails > 0 or settings.ocr is not None
        own = settings.thumbnails, settings.text_vectors, settings.ocr, settings.longest
        self._how = " ".join(map(str, own))

    def __call__(self, document: Document) -> Document:
        """The document as a load takes it. RecordError: an image is not there, too large, or may not be asked for."""
        if not document.images:
            return document
        if not self._is_wanted or document.carries_vectors:
            return replace(document, images=())
        where = document.origin or f"document {document.id[:80]!r}"
        known = [
            replace(image, digest=f"{digest_of(image, self._settings, where)} {self._how}") for image in document.images
        ]
        return replace(document, images=tuple(known))


class ImageDecoding:
    """The stage that decodes; a document with an image that cannot be is bad, as one without text is."""

    def __init__(self, settings: ImageSettings, *, keeps_bad: bool) -> None:
        self._settings = settings
        self._how = Decoding.of(settings)
        self._keeps_bad = keeps_bad
        self._own: Decoders | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, if there was an image."""
        if self._own is not None:
            self._own.close()

    @property
    def _decoders(self) -> Decoders:
        self._own = self._own or Decoders(self._settings.workers)
        return self._own

    def __call__(self, batch: Batch[NumberedDocument]) -> Batch[NumberedDocument]:
        """The documents with their images decoded, and what was read in them below their texts."""
        if not any(item.document.images for item in batch.items):
            return batch
        good: list[NumberedDocument] = []
        bad = [*batch.bad]
        found = self._decoders.side_by_side(self._decoded, batch.items)
        for item, made in zip(batch.items, found, strict=True):
            if isinstance(made, NumberedDocument):
                good.append(made)
            elif self._keeps_bad:
                bad.append(BadDocument(made, item.document))
            else:
                end = max(batch.first, item.number)
                return Batch(batch.first, end, good, batch.unchanged, bad, made, split=batch.split)
        return batch.turned_into(good, bad=bad)

    def _decoded(self, item: NumberedDocument) -> NumberedDocument | RecordError:
        document = item.document
        where = document.origin or f"document {document.id[:80]!r}"
        try:
            made = [self._one(image, where) for image in document.images]
        except RecordError as error:
            return error
        images = tuple(replace(image, decoded=one) for image, one in zip(document.images, made, strict=True))
        text = "\n".join([document.text, *(one.text for one in made if one.text)])
        return replace(item, document=replace(document, images=images, text=text.strip() if made else document.text))

    def _one(self, image: ImageSource, where: str) -> DecodedImage:
        return self._decoders.decode(content_of(image, self._settings, where), self._how, where)


def check_images(settings: ImageSettings, *, later: bool, schema: IndexSchema) -> None:
    """Refuse what could not work, before the first image.

    Raises:
        SettingsError: text is to be read in images and tesseract is not there; images are to be encoded later.
    """
    if settings.ocr is not None and (find_spec("pytesseract") is None or which("tesseract") is None):
        remedy = "Install tesseract, and run: pip install pytesseract; or leave it out"
        raise SettingsError("needs tesseract, which is not installed", where="images.ocr", remedy=remedy)
    if later and has_image_model(schema):
        raise SettingsError(
            "is for texts, which are stored: images are not, and their vectors are made when they are loaded",
            where="--vectors later",
            remedy="Load with vectors now",
        )


def few(batch: Batch[NumberedDocument]) -> Iterator[Batch[NumberedDocument]]:
    """The batch in batches of about :data:`TOGETHER` images, if it has more."""
    first, images = batch.first, 0
    items: list[NumberedDocument] = []
    for item in batch.items:
        more = len(item.document.images)
        if items and images + more > TOGETHER:
            yield Batch(first, item.number, items, split=batch.split)
            first, items, images = item.number, [], 0
        items.append(item)
        images += more
    yield replace(batch, first=first, items=items)


def decoded_first(
    documents: Sequence[Document], settings: ImageSettings, schema: IndexSchema, *, skips: bool
) -> list[Document]:
    """Some documents with their images decoded, to see that it works; of bad ones the rest, where they are skipped.

    Raises:
        RecordError: an image that cannot be decoded, unless such are skipped.
    """
    look, found = ImageLook(settings, schema), list[Document]()
    with ImageDecoding(settings, keeps_bad=skips) as stage:
        for document in documents:
            try:
                known = look(document)
            except RecordError:
                if not skips:
                    raise
                continue
            batch = stage(Batch(0, 1, [NumberedDocument(0, known, "")]))
            if batch.broken is not None:
                raise batch.broken
            found += [item.document for item in batch.items]
    return found
