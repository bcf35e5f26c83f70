"""Documents put together again from their passages.

A passage is a piece of its document's text, and no passage has the white space between two of them, so each says what
follows it (:func:`hybrid_search.engine.bulk.index_action`). What an earlier release wrote does not say it: spaces take
the place there, as many as there were characters, and what followed the last passage is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hybrid_search.engine.layout import (
    AFTER,
    ANALYZED,
    BEFORE,
    DENSE,
    DOC_ID,
    END,
    LOAD,
    PASSAGE,
    PASSAGES,
    SPARSE,
    START,
    STATE,
    STORED,
    TEXT,
    WORDS,
    thumbnail_in,
    unescape,
    user_fields,
    word_key,
)
from hybrid_search.images import ImageSource, KeptImage
from hybrid_search.ingest.stages.images import has_image_model
from hybrid_search.records import Document, IndexSchema, SparseVector
from hybrid_search.search.similar_held import dense_of

Stored = Mapping[str, Any]

READ = (*STORED, PASSAGES, LOAD, STATE)
"""What is read of each passage, beside texts that stand alone, and vectors."""

READ_FIRST = (DOC_ID, PASSAGE, START, END, TEXT)
"""What every passage has."""

VECTORS = (DENSE, SPARSE)


@dataclass(frozen=True, slots=True)
class Restored:
    """A document, and whether all its passages were there: one that is written at this moment may lack some."""

    document: Document
    is_whole: bool


def read_of(schema: IndexSchema, *, vectors: bool) -> list[str]:
    """The names of what is read of each passage."""
    words = (WORDS, f"{ANALYZED}.*.{WORDS}") if schema.text_fields else ()
    of_images = (DENSE,) if has_image_model(schema) else ()
    return [*READ, *words, *(VECTORS if vectors else of_images)]


def restored_of(passages: Iterable[Stored], schema: IndexSchema, *, vectors: bool = False) -> Iterator[Restored]:
    """The documents of passages that come in the order of documents and of their numbers."""
    for id_, found in groupby(passages, key=lambda passage: str(passage[DOC_ID])):
        yield restored(id_, list(found), schema, vectors=vectors)


def restored(id_: str, passages: Sequence[Stored], schema: IndexSchema, *, vectors: bool = False) -> Restored:
    """The document of these passages, in order; of several versions the newest that is whole, else the newest."""
    versions: dict[int, list[Stored]] = {}
    for passage in passages:
        versions.setdefault(passage.get(LOAD) or 0, []).append(passage)
    newest = sorted(versions.items(), reverse=True)
    whole = [found for _, found in newest if _is_whole(found)]
    found = whole[0] if whole else newest[0][1]
    texts = [passage for passage in found if not _is_image(passage, schema)]
    with_vectors = vectors and len(found) == len(texts) == 1
    document = Document(
        id_,
        text_of(texts) if texts else "",
        user_fields(found[0]),
        dense_of(found[0].get(DENSE)) if with_vectors else None,
        _sparse_of(found[0]) if with_vectors else None,
        texts=_texts(texts[0], schema) if texts else {},
        images=_images(found, schema),
    )
    return Restored(document, bool(whole))


def _is_image(passage: Stored, schema: IndexSchema) -> bool:
    """Whether a passage is an image: no text is empty."""
    return has_image_model(schema) and passage[TEXT] == ""


def _images(passages: Sequence[Stored], schema: IndexSchema) -> tuple[ImageSource, ...]:
    """What the index has of the document's images; of those that no model reads the thumbnail of the first."""
    if not has_image_model(schema):
        thumbnail = thumbnail_in(passages[0])
        return (ImageSource(kept=KeptImage(thumbnail=thumbnail)),) if thumbnail else ()
    beside = any(DENSE in passage for passage in passages if not _is_image(passage, schema))
    return tuple(
        ImageSource(kept=KeptImage(schema.dense, dense_of(passage.get(DENSE)), thumbnail_in(passage), beside))
        for passage in passages
        if _is_image(passage, schema)
    )


def _is_whole(passages: Sequence[Stored]) -> bool:
    """Whether these passages of one load are all that it has written; release 0.1 did not say how many."""
    said = passages[0].get(PASSAGES)
    return len(passages) == int(passages[-1][PASSAGE] + 1 if said is None else said)


def text_of(passages: Sequence[Stored]) -> str:
    """The text that was cut into these passages, which may overlap."""
    pieces = [_around(passages[0], BEFORE)]
    length, after = len(pieces[0]), ""
    for passage in passages:
        gap = passage[START] - length
        if gap > 0:
            pieces.append(after if len(after) == gap else " " * gap)
        if passage[END] > length:
            pieces.append(passage[TEXT][max(0, -gap) :])
            length, after = passage[END], _around(passage, AFTER)
    return "".join([*pieces, after])


def _around(passage: Stored, side: str) -> str:
    space: str = (passage.get(STATE) or {}).get(side, "")
    return space


def _sparse_of(passage: Stored) -> SparseVector | None:
    weights = passage.get(SPARSE)
    return None if weights is None else {unescape(term): float(weight) for term, weight in weights.items()}


def _texts(passage: Stored, schema: IndexSchema) -> dict[str, str]:
    """The texts that stand alone, and are no fields: those that were put into the searched text only."""
    held = [passage.get(WORDS) or {}, *(one.get(WORDS, {}) for one in (passage.get(ANALYZED) or {}).values())]
    words = {key: text for found in held for key, text in found.items()}
    fields = user_fields(passage)
    named = {one.name: words.get(word_key(one.name)) for one in schema.text_fields if one.name not in fields}
    return {name: text for name, text in named.items() if text is not None}
