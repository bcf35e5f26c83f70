"""Looking at what an index really stores of documents, for those who do not trust the hash beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from hybrid_search.engine.analyzed import searched_texts
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.foreign import whole_source
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.engine.layout import (
    ANALYZED,
    DENSE,
    DOC_ID,
    END,
    FILTER,
    LATE,
    LATER,
    PASSAGE,
    SPARSE,
    START,
    TEXT,
    VECTORS,
    WORDS,
    user_fields,
)
from hybrid_search.engine.protocols import Request
from hybrid_search.fields import filter_values, with_taken_values
from hybrid_search.ingest.stages.images import has_image_model
from hybrid_search.records import Document, IndexSchema

PAGE = 500
"""Passages that are read at once, with their vectors: some 5 MB."""


def spoiled(connection: Connection, opened: OpenedIndex, documents: Sequence[Document]) -> set[str]:
    """The ids of documents that are stored otherwise than their hash says.

    A passage is spoiled when its text is not the piece of the document's text that it names, its fields are not the
    document's, or a vector is missing that the index has for every passage.
    """
    known = {document.id: document for document in documents}
    return {
        passage[DOC_ID]
        for passage in _passages(connection, opened.name, list(known))
        if not _is_sound(passage, known[passage[DOC_ID]], opened.schema)
    }


def _passages(connection: Connection, index: str, ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """All passages of documents, as they are stored, with their vectors."""
    after: list[Any] | None = None
    while True:
        body: dict[str, Any] = {
            "size": PAGE,
            "query": {"terms": {DOC_ID: ids}},
            "sort": [{DOC_ID: "asc"}, {PASSAGE: "asc"}],
            "_source": whole_source(connection.dialect),
        }
        if after is not None:
            body["search_after"] = after
        hits = connection.send(Request.json("POST", f"/{quote(index, safe='')}/_search", body))["hits"]["hits"]
        yield from (hit["_source"] for hit in hits)
        if len(hits) < PAGE:
            return
        after = hits[-1]["sort"]


def _is_sound(passage: Mapping[str, Any], document: Document, schema: IndexSchema) -> bool:
    return (
        _has_text(passage, document)
        and _has_fields(passage, document, schema)
        and (_has_vectors(passage, document, schema) or passage.get(VECTORS) == LATER)
    )


def _has_text(passage: Mapping[str, Any], document: Document) -> bool:
    """Whether a passage has its piece of the text; what was read in images stands behind that of the source."""
    start, end, text = passage.get(START, 0), passage.get(END, 0), passage.get(TEXT)
    piece = document.text[start:end]
    return text == piece or (bool(document.images) and end > len(document.text) and str(text).startswith(piece))


def _is_image(passage: Mapping[str, Any], document: Document, schema: IndexSchema) -> bool:
    return has_image_model(schema) and passage[PASSAGE] < len(document.images)


def _has_vectors(passage: Mapping[str, Any], document: Document, schema: IndexSchema) -> bool:
    if _is_image(passage, document, schema):
        return bool(passage.get(DENSE))
    may_lack = has_image_model(schema) and bool(document.images)  # the dense leg reads the images then
    has_dense = schema.dense is None or may_lack or bool(passage.get(DENSE))
    has_sparse = schema.sparse is None or passage.get(SPARSE) is not None
    return has_dense and has_sparse and (schema.late is None or bool(passage.get(LATE)))


def _has_fields(passage: Mapping[str, Any], document: Document, schema: IndexSchema) -> bool:
    stored = user_fields(passage)
    if schema.layout == 1:
        return _same(stored, with_taken_values(document.fields, schema))
    filters = user_fields({"fields": passage.get(FILTER, {})})
    searched = {name: passage[name] for name in (ANALYZED, WORDS) if name in passage}
    wanted = {} if _is_image(passage, document, schema) else searched_texts(document, passage[TEXT], schema)
    if not _same(searched, wanted):
        return False
    return _same(stored, document.fields) and _same(filters, filter_values(document.fields, schema))


def _same(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON."""
    return _json(left) == _json(right)


def _json(value: Any) -> bytes:
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(value, option=options)
