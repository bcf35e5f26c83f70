"""Searching an index that somebody else owns: their documents as passages of this package.

Every engine document is a document, and its passages with vectors lie in it. A hit of the dense or sparse leg says
which of them was found; what words have found stands for the whole document, which is shown by its first passage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hybrid_search.attachment import Attachment
from hybrid_search.engine import layout
from hybrid_search.engine.attached import owners_part, text_of
from hybrid_search.engine.foreign import whole_source
from hybrid_search.engine.nested import best_place
from hybrid_search.engine.protocols import Dialect
from hybrid_search.records import IndexSchema

Body = dict[str, Any]

SHOWN = 4_000
"""Characters of a document without vectors that are shown of it, and that a reranker reads."""


def attached_passage_id(hit: Mapping[str, Any]) -> str:
    """``id#n`` of a hit, where n is the place of the passage that was found."""
    return f"{hit['_id']}#{best_place(hit, layout.ATTACHED_PASSAGES)}"


def document_fetch(passage_ids: Sequence[str], schema: IndexSchema, dialect: Dialect, *, vectors: bool) -> Body:
    """What a search asks for to get the documents of these passages, with our vectors where they are wanted."""
    ids = list(dict.fromkeys(passage_id.rpartition("#")[0] for passage_id in passage_ids))
    inner = [field.path for field in (layout.dense_field(schema), layout.sparse_field(schema))]
    source = whole_source(dialect) if vectors else {"excludes": inner}
    return {"query": {"ids": {"values": ids}}, "size": len(ids), "_source": source}


def as_passages(
    hits: Iterable[Mapping[str, Any]], passage_ids: Sequence[str], schema: IndexSchema
) -> dict[str, dict[str, Any]]:
    """What is stored of passages, in the layout of this package, by their ids."""
    attached = schema.attached or Attachment(())
    wanted: dict[str, list[str]] = {}
    for passage_id in passage_ids:
        wanted.setdefault(passage_id.rpartition("#")[0], []).append(passage_id)
    found = {}
    for hit in hits:
        document = hit["_id"].rpartition("#")[0]
        source = hit.get("_source")
        if isinstance(source, Mapping):
            for passage_id in wanted.get(document, ()):
                found[passage_id] = _passage(document, int(passage_id.rpartition("#")[2]), source, attached)
    return found


def _passage(document: str, number: int, source: Mapping[str, Any], attached: Attachment) -> dict[str, Any]:
    text, passages = text_of(source, attached.texts), _passages(source)
    own = passages[number] if number < len(passages) else {}
    start, end = int(own.get(layout.START, 0)), int(own.get(layout.END, min(len(text), SHOWN)))
    fields = {layout.escape(name): value for name, value in owners_part(source).items()}
    stored = {
        layout.DOC_ID: document,
        layout.PASSAGE: number,
        layout.START: start,
        layout.END: end,
        layout.TEXT: text[start:end],
        layout.FIELDS: fields,
        layout.PASSAGES: max(1, len(passages)),
    }
    if attached.dense is not None and attached.dense in own:
        stored[layout.DENSE] = own[attached.dense]
    if attached.sparse is not None and attached.sparse in own:
        stored[layout.SPARSE] = own[attached.sparse]
    return stored


def passages_in(source: Mapping[str, Any]) -> int:
    """How many passages of a document have vectors."""
    return len(_passages(source))


def _passages(source: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    ours = source.get(layout.ATTACHED)
    found = ours.get("passages") if isinstance(ours, Mapping) else None
    return [found] if isinstance(found, Mapping) else (found or [])
