"""The stage that cuts documents into passages, and hands on so many of them at a time as memory should hold."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hybrid_search.encode import PRECOMPUTED
from hybrid_search.encode.protocols import TextEncoder, image_encoder
from hybrid_search.fields import own_text
from hybrid_search.ingest.stages.chunk import passages_of
from hybrid_search.ingest.work import Batch, ChunkedDocument, NumberedDocument
from hybrid_search.records import Document, Passage
from hybrid_search.settings import ChunkingSettings

log = logging.getLogger(__name__)

PART = 256
"""Passages of one document that are encoded and written together."""

PORTION = 1024
"""Passages of a batch that are encoded together: a document of 50 MB has some 50,000, with vectors of 200 MB."""

CHARACTERS = 1_000_000
"""Of a part and of a portion at most, but for a single passage: a tokenizer holds some 200 bytes for each."""

LONGEST = 8_192
"""Tokens of a passage, some 40,000 characters, where neither the settings nor the models limit it: papers stay whole,
and one document cannot fill the memory."""


class Chunking:
    """The stage that cuts documents into passages; of a long document it makes parts of :data:`PART` passages."""

    def __init__(self, encoder: TextEncoder, chunking: ChunkingSettings, title: str | None = None) -> None:
        """Cut for ``encoder``; ``title`` is the field that models read before every passage."""
        self._encoder = encoder
        self._chunking = chunking
        self._title = title
        self._reads_images = image_encoder(encoder) is not None
        self._cut_short = self._made = self._longest = 0
        if self._is_too_wide:
            log.warning("%s; longer passages are cut there when they are encoded", self._widths())

    def note(self) -> str | None:
        """How many passages the model has read in part, where the settings let them be longer than it reads."""
        if not self._cut_short:
            return None
        return (
            f"{self._widths()}: the ends of {self._cut_short:,} of {self._made:,} passages are in no vector, the "
            f"longest has {self._longest:,} tokens; set chunking.max_tokens to {self._encoder.max_tokens:,}, or leave "
            "it out"
        )

    def __call__(self, batch: Batch[NumberedDocument]) -> Batch[ChunkedDocument]:
        """The documents with their passages; without those that release 0.1 loaded just so."""
        cut = zip(batch.items, self._passages([item.document for item in batch.items]), strict=True)
        changed = [(item, pieces) for item, pieces in cut if not _is_held(item, pieces)]
        parts = [part for item, pieces in changed for part in _parts(item, pieces)]
        return batch.turned_into(parts, unchanged=batch.unchanged + len(batch.items) - len(changed))

    def _passages(self, documents: Sequence[Document]) -> list[Sequence[Passage]]:
        """The passages of each document, its images first; one that carries vectors needs no tokenizer."""
        texts = [document for document in documents if _is_cut(document)]
        pieces = iter(self._cut(texts) if texts else ())
        return [self._with_images(one, next(pieces) if _is_cut(one) else ()) for one in documents]

    def _with_images(self, document: Document, pieces: Sequence[Passage]) -> Sequence[Passage]:
        if document.carries_vectors:
            return [whole(document)]
        if not document.images or not self._reads_images:
            return pieces or [whole(document)]
        count = len(document.images)
        images = [Passage(document, number, 0, 0, image=number) for number in range(count)]
        return [*images, *(replace(piece, number=piece.number + count) for piece in pieces)]

    def _cut(self, documents: Sequence[Document]) -> list[list[Passage]]:
        limit = (
            min(self._encoder.max_tokens, LONGEST) if self._chunking.max_tokens is None else self._chunking.max_tokens
        )
        overlap = min(self._chunking.overlap, limit - 1)
        titles = None if self._title is None else [own_text(document, self._title) for document in documents]
        cut = passages_of(documents, self._encoder.tokenizer, max_tokens=limit, overlap=overlap, titles=titles)
        if self._is_too_wide:
            self._measure([passage.for_models for passages in cut for passage in passages])
        return cut

    @property
    def _is_too_wide(self) -> bool:
        wanted = self._chunking.max_tokens
        return wanted is not None and bool(self._models()) and wanted > self._encoder.max_tokens

    def _models(self) -> list[str]:
        """Names of the models that read passages; vectors that come with documents are not cut."""
        both = (self._encoder.dense, self._encoder.sparse)
        return [model.name for model in both if model is not None and model.kind != PRECOMPUTED]

    def _widths(self) -> str:
        reads = f"the model reads {self._encoder.max_tokens:,} of a passage ({' and '.join(self._models())})"
        return f"chunking.max_tokens is {self._chunking.max_tokens:,}, and {reads}"

    def _measure(self, texts: Sequence[str]) -> None:
        lengths = [len(spans) for spans in self._encoder.tokenizer.spans(texts)]
        self._made += len(lengths)
        self._cut_short += sum(length > self._encoder.max_tokens for length in lengths)
        self._longest = max([self._longest, *lengths])


def _is_cut(document: Document) -> bool:
    return not document.carries_vectors and bool(document.text.strip() or not document.images)


def whole(document: Document) -> Passage:
    """The document as one passage: a vector that it carries stands for all of its text."""
    return Passage(document, 0, 0, len(document.text))


def _is_held(item: NumberedDocument, pieces: Sequence[Passage]) -> bool:
    held = item.held
    return (
        held is not None
        and held.expected is None
        and not held.sources
        and held.is_whole(item.digest)
        and held.passages == len(pieces)
    )


def _parts(item: NumberedDocument, pieces: Sequence[Passage]) -> Iterator[ChunkedDocument]:
    highest = -1 if item.held is None else item.held.highest
    stale = [f"{item.document.id}#{number}" for number in range(len(pieces), highest + 1)]
    for begin, end in _ranges(pieces):
        is_end = end == len(pieces)
        yield ChunkedDocument(
            number=item.number,
            document=item.document,
            digest=item.digest,
            passages=pieces[begin:end],
            total=len(pieces),
            stale=stale if is_end else (),
            is_end=is_end,
        )


def _ranges(pieces: Sequence[Passage]) -> Iterator[tuple[int, int]]:
    """Where the parts of a document begin and end: at most :data:`PART` passages and :data:`CHARACTERS` characters."""
    begin = size = 0
    for number, piece in enumerate(pieces):
        length = piece.end - piece.start
        if number > begin and (number - begin == PART or size + length > CHARACTERS):
            yield begin, number
            begin, size = number, 0
        size += length
    yield begin, len(pieces)


def portions(batch: Batch[ChunkedDocument]) -> Iterator[Batch[ChunkedDocument]]:
    """The batch in batches of about :data:`PORTION` passages; a document belongs to the one with its last part."""
    first, size, characters = batch.first, 0, 0
    items: list[ChunkedDocument] = []
    for item in batch.items:
        length = sum(piece.end - piece.start for piece in item.passages)
        if items and (size + len(item.passages) > PORTION or characters + length > CHARACTERS):
            end = items[-1].number + items[-1].is_end
            yield Batch(first, max(first, end), items, split=batch.split)
            first, items, size, characters = max(first, end), [], 0, 0
        items.append(item)
        size += len(item.passages)
        characters += length
    yield replace(batch, first=first, items=items)
