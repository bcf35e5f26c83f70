"""The first stages: number documents, check them, know them by their content."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol
from unicodedata import is_normalized, normalize

import numpy as np
import orjson

from hybrid_search.errors import RecordError
from hybrid_search.fields import described_kinds, own_texts, value_at, with_taken_values
from hybrid_search.ingest.stages.checks import Strays, check_document, id_came_before
from hybrid_search.ingest.stages.spoken import Spoken
from hybrid_search.ingest.work import BadDocument, Batch, NumberedDocument
from hybrid_search.read.languages import language_of
from hybrid_search.records import Document, IndexSchema, ResumePoint
from hybrid_search.settings import ChunkingSettings

BATCH_DOCUMENTS = 128
BATCH_CHARACTERS = 1_000_000
MAX_DOCUMENT_BYTES = 1 << 26
"""64 MiB of text and fields, as JSON: what a line of a source may have; a program's documents are held to it too."""


class _TooLargeError(Exception):
    """Its argument is the size in bytes."""


class Numbers(Protocol):
    """A set of document numbers."""

    def __contains__(self, number: int) -> bool: ...


def numbered(
    documents: Iterable[Document], done: Numbers, seen: Callable[[str], bool], start: int = 0, split: int = 0
) -> Iterator[Batch[tuple[int, Document]]]:
    """Number the documents of a split from ``start`` and group those that are not ``done``, whose ids ``seen`` takes.

    One that is done and whose id came before in this run, so that ``seen`` says False, is handed on: the check says so.
    An error of the source comes with the batch of the documents before it.
    """
    first, end, characters = start, start, 0
    at: ResumePoint | None = None
    items: list[tuple[int, Document]] = []
    broken: Exception | None = None
    try:
        for end, document in enumerate(documents, start + 1):
            at = document.position
            if end - 1 in done and seen(document.id):
                continue
            items.append((end - 1, document))
            characters += len(document.text)
            if len(items) >= BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS:
                yield Batch(first, end, items, at=at, split=split)
                first, items, characters = end, [], 0
    except Exception as error:  # noqa: BLE001  # it is raised after the documents that came before it are loaded
        broken = error
    if end > first or broken is not None:
        yield Batch(first, end, items, broken=broken, at=at, split=split)


def with_language(document: Document, schema: IndexSchema) -> Document:
    """The document with its language in the field of the schema, where it says none and the text is long enough."""
    if not schema.detects_language or schema.language is None or value_at(document.fields, schema.language):
        return document
    code = language_of(document.text)
    return document if code is None else replace(document, fields={**document.fields, schema.language: code})


def composed(document: Document, schema: IndexSchema) -> Document:
    """The document as an index takes it: its language said, and its text in Unicode's composed form (NFC), as queries.

    Neither for an index of layout 1.

    File names and some keyboards write "é" as "e" and an accent; an index that holds both forms finds half.
    """
    document = with_language(document, schema)
    if schema.layout == 1 or all(map(_is_composed, (document.text, *document.texts.values()))):
        return document
    texts = {name: normalize("NFC", text) for name, text in document.texts.items()}
    return replace(document, text=normalize("NFC", document.text), texts=texts)


def _is_composed(text: str) -> bool:
    return text.isascii() or is_normalized("NFC", text)


class Checking:
    """The stage that checks documents: what is bad is set aside where ``keeps_bad``, else it ends the load."""

    def __init__(
        self,
        schema: IndexSchema,
        chunking: ChunkingSettings,
        is_new: Callable[[str], bool],
        *,
        keeps_bad: bool,
        look: Callable[[Document], Document] = lambda document: document,
    ) -> None:
        """Check for an index; ``look`` knows images by their bytes, and raises RecordError for what is none."""
        self._look = look
        self._schema = schema
        self._chunking = chunking
        self._is_new = is_new
        self._keeps_bad = keeps_bad
        self._strays = Strays()
        self._spoken = Spoken(schema)

    def notes(self) -> list[str]:
        """A sentence for each field of which values could not be read, and were let pass; and for unfitting models."""
        return [*self._strays.notes(), *self._spoken.notes()]

    def __call__(self, batch: Batch[tuple[int, Document]]) -> Batch[NumberedDocument]:
        """The good documents with their content hashes."""
        good: list[NumberedDocument] = []
        bad: list[BadDocument] = []
        for number, given in batch.items:
            document = composed(given, self._schema)
            try:
                document = self._look(document)
                good.append(NumberedDocument(number, document, self._digest(document)))
            except RecordError as error:
                if not self._keeps_bad:
                    return Batch(batch.first, number, good, broken=error, split=batch.split)
                self._is_new(document.id)  # the source has it, so a sync does not remove what was loaded of it before
                bad.append(BadDocument(error, document))
        self._spoken.look(item.document for item in good)
        return batch.turned_into(good, bad=bad)

    def _digest(self, document: Document) -> str:
        """The content hash; RecordError for a document that no index can hold, or whose id came before."""
        check_document(document, self._schema.dense)
        digest = content_hash(document, self._chunking, self._schema)
        if not self._is_new(document.id):
            raise id_came_before(document)
        self._strays.count(document, self._schema)
        return digest


def content_hash(document: Document, chunking: ChunkingSettings, schema: IndexSchema) -> str:
    """32 hexadecimal digits that change with everything that changes what is indexed for ``document``.

    Covers the text, the fields, carried vectors, the settings of the chunking, the texts that stand alone or head
    passages and, but for layout 1, which fields the index filters on, and as what; the models are compared by the
    fingerprints in the index. For layout 1 it is what release 0.1 computed. Raises RecordError for text or fields that
    JSON cannot hold.
    """
    try:
        content = _content(document, schema)
    except (TypeError, OverflowError) as error:
        raise RecordError(
            f"the document cannot be written as JSON: {error}",
            where=document.origin or f"document {document.id[:80]!r}",
            remedy="Correct the text's encoding or the value of the field",
        ) from error
    except _TooLargeError as error:
        raise RecordError(
            f"the document has {error.args[0]:,} bytes of text and fields, more than {MAX_DOCUMENT_BYTES:,}",
            where=document.origin or f"document {document.id[:80]!r}",
            remedy="Split it into documents of a chapter or a page, or leave large fields out",
        ) from None
    settings = f"{chunking.max_tokens} {chunking.overlap}"
    if document.images:
        content += f" {[image.digest for image in document.images]}"
    if texts := own_texts(document, schema):
        content += f" {schema.passage_title!r} {sorted(texts.items())}"
    if schema.layout > 1:
        settings += f" {sorted(described_kinds(schema).items())}"
    return hashlib.blake2b(f"{content} {settings}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _content(document: Document, schema: IndexSchema) -> str:
    digest = hashlib.blake2b(digest_size=16)
    fields = with_taken_values(document.fields, schema) if schema.layout == 1 else document.fields
    written = orjson.dumps([document.text, fields], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    if len(written) > MAX_DOCUMENT_BYTES:
        raise _TooLargeError(len(written))
    digest.update(written)
    if document.dense is not None:
        digest.update(np.ascontiguousarray(document.dense, dtype=np.float32).tobytes())
    if document.sparse is not None:
        # In the order that they come in: sorting would take as long again as writing them.
        digest.update(orjson.dumps([*document.sparse]))
        digest.update(array("d", document.sparse.values()))
    return digest.hexdigest()
