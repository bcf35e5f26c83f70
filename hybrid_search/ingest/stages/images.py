"""The stages for images: known by their bytes before anything is spent on them, decoded before they are encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from shutil import which
from typing import Self

from hybrid_search.errors import RecordError, SettingsError
from hybrid_search.images import DecodedImage, ImageSource, KeptImage
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
        self._schema = schema
        self._is_wanted = has_image_model(schema) or settings.thumbnails > 0 or settings.ocr is not None
        own = settings.thumbnails, settings.text_vectors, settings.ocr, settings.longest
        self._how = " ".join(map(str, own))

    def __call__(self, document: Document) -> Document:
        """The document as a load takes it.

        Raises:
            RecordError: an image is not there, too large, or may not be asked for; another index has kept it, whose
                model is another; or the document carries vectors besides.
        """
        if not document.images:
            return document
        where = document.origin or f"document {document.id[:80]!r}"
        wanted = [image for image in document.images if self._is_used(image)]
        if wanted and document.carries_vectors and has_image_model(self._schema):
            raise RecordError(
                "the document carries vectors, which stand for all of it, and has images",
                where=where,
                remedy="Leave out its vectors, or its images",
            )
        return replace(document, images=tuple(self._known(image, where) for image in wanted))

    def _is_used(self, image: ImageSource) -> bool:
        return self._is_wanted or (image.kept is not None and image.kept.thumbnail != b"")

    def _known(self, image: ImageSource, where: str) -> ImageSource:
        """The image with its digest."""
        if image.kept is not None:
            _check_kept(image.kept, self._schema, where)
            return replace(image, digest=image.kept.digest)
        return replace(image, digest=f"{digest_of(image, self._settings, where)} {self._how}")


def _check_kept(image: KeptImage, schema: IndexSchema, where: str) -> None:
    """Refuse what an index has kept of an image where another model would have to read the image itself."""
    if not has_image_model(schema) or schema.dense is None:
        return
    if image.model is None or image.vector is None:
        unlike = ["it has no vector"]
    else:
        unlike = schema.dense.difference(image.model)
    if unlike:
        raise RecordError(
            f"the document was read out of an index of another model than this one: {unlike[0]}",
            where=where,
            remedy="Give its images anew, as files or bytes, or load their source: hybrid-search reindex",
        )


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
        if not any(image.kept is None for item in batch.items for image in item.document.images):
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
            made = [None if image.kept is not None else self._one(image, where) for image in document.images]
        except RecordError as error:
            return error
        images = tuple(replace(image, decoded=one) for image, one in zip(document.images, made, strict=True))
        read = [one.text for one in made if one is not None and one.text]
        own = [document.text] if document.text.strip() else []
        text = "\n".join([*own, *read]) if read else document.text  # behind it: passages name places in it
        return replace(item, document=replace(document, images=images, text=text))

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
