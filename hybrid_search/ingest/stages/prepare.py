"""The stages before the encoder: number documents, check them and cut them into passages."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import orjson

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.errors import RecordError
from hybrid_search.fields import filter_kinds, with_taken_values
from hybrid_search.ingest.stages.checks import check_document
from hybrid_search.ingest.stages.chunk import passages_of
from hybrid_search.ingest.work import Batch, ChunkedDocument
from hybrid_search.records import Document, IndexSchema, Passage
from hybrid_search.settings import ChunkingSettings

BATCH_DOCUMENTS = 128
BATCH_CHARACTERS = 1_000_000


class Numbers(Protocol):
    """A set of document numbers."""

    def __contains__(self, number: int) -> bool: ...


def numbered(
    documents: Iterable[Document], done: Numbers, seen: Callable[[str], object]
) -> Iterator[Batch[tuple[int, Document]]]:
    """Number the documents from 0 and group those that are not ``done``; the ids of the others go to ``seen``."""
    first, end, characters = 0, 0, 0
    items: list[tuple[int, Document]] = []
    broken: Exception | None = None
    try:
        for end, document in enumerate(documents, 1):
            if end - 1 in done:
                seen(document.id)
                continue
            items.append((end - 1, document))
            characters += len(document.text)
            if len(items) >= BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS:
                yield Batch(first, end, items)
                first, items, characters = end, [], 0
    except Exception as error:  # noqa: BLE001  # raised below, after the documents that came before it
        broken = error
    if end > first:
        yield Batch(first, end, items)
    if broken is not None:
        raise broken


def prepared(
    work: Iterable[Batch[tuple[int, Document]]],
    preparation: Preparation,
    takes_bad: Callable[[RecordError, Document], bool],
) -> Iterator[Batch[ChunkedDocument]]:
    """Check and cut documents; the first bad one that ``takes_bad`` does not take is raised, after those before it."""
    for batch in work:
        good: list[tuple[int, Document, str]] = []
        end, broken = batch.end, None
        for number, document in batch.items:
            try:
                good.append((number, document, preparation.check(document)))
            except RecordError as error:
                if not takes_bad(error, document):
                    end, broken = number, error
                    break
        cut = preparation.cut([document for _, document, _ in good])
        yield Batch(
            batch.first, end, [ChunkedDocument(*known, pieces) for known, pieces in zip(good, cut, strict=True)]
        )
        if broken is not None:
            raise broken


class Preparation:
    """Checks documents and cuts them into passages.

    A document that carries a vector stays whole: the vector stands for all of its text.
    """

    def __init__(
        self, encoder: TextEncoder, chunking: ChunkingSettings, schema: IndexSchema, is_new: Callable[[str], bool]
    ) -> None:
        self._encoder = encoder
        self._chunking = chunking
        self._schema = schema
        self._is_new = is_new

    def check(self, document: Document) -> str:
        """The content hash of a document; RecordError for one that no index can hold, or whose id came before."""
        check_document(document, self._encoder.dense)
        digest = content_hash(document, self._chunking, self._schema)
        if not self._is_new(document.id):
            raise RecordError(
                f"the id {document.id!r} has come before",
                where=document.origin,
                remedy="Give every document its own id: the later one would replace the earlier",
            )
        return digest

    def cut(self, documents: Sequence[Document]) -> list[Sequence[Passage]]:
        """The passages of each document; one without a vector needs the encoder's tokenizer."""
        texts = [document for document in documents if not document.carries_vectors]
        pieces = iter(self._cut_texts(texts) if texts else ())
        return [[whole(document)] if document.carries_vectors else next(pieces) for document in documents]

    def _cut_texts(self, documents: Sequence[Document]) -> list[list[Passage]]:
        limit = self._encoder.max_tokens if self._chunking.max_tokens is None else self._chunking.max_tokens
        overlap = min(self._chunking.overlap, limit - 1)
        return passages_of(documents, self._encoder.tokenizer, max_tokens=limit, overlap=overlap)


def whole(document: Document) -> Passage:
    """The document as one passage."""
    return Passage(document, 0, 0, len(document.text))


def content_hash(document: Document, chunking: ChunkingSettings, schema: IndexSchema) -> str:
    """32 hexadecimal digits that change with everything that changes what is indexed for ``document``.

    Covers the text, the fields, carried vectors, the settings of the chunking and, but for layout 1, which fields the
    index filters on, and as what; the models are compared by the fingerprints in the index. For layout 1 it is what
    release 0.1 computed. Raises RecordError for text or fields that JSON cannot hold.
    """
    try:
        content = _content(document, schema)
    except (TypeError, OverflowError) as error:
        raise RecordError(
            f"the document cannot be written as JSON: {error}",
            where=document.origin or f"document {document.id[:80]!r}",
            remedy="Correct the text's encoding or the value of the field",
        ) from error
    settings = f"{chunking.max_tokens} {chunking.overlap}"
    if schema.layout > 1:
        settings += f" {sorted(filter_kinds(schema).items())}"
    return hashlib.blake2b(f"{content} {settings}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _content(document: Document, schema: IndexSchema) -> str:
    digest = hashlib.blake2b(digest_size=16)
    fields = with_taken_values(document.fields, schema) if schema.layout == 1 else document.fields
    digest.update(orjson.dumps([document.text, fields], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS))
    if document.dense is not None:
        digest.update(np.ascontiguousarray(document.dense, dtype=np.float32).tobytes())
    if document.sparse is not None:
        # In the order that they come in: sorting would take as long again as writing them.
        digest.update(orjson.dumps([*document.sparse]))
        digest.update(array("d", document.sparse.values()))
    return digest.hexdigest()
