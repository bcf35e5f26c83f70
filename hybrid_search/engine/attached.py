"""Our part of documents that somebody else owns: its mapping, what it is called, and what a document's text is.

    {"title": "...", "body": "...",
     "hybrid_search": {"models": "...", "digest": "...", "passages": [{"start": 0, "end": 812, "dense": ...}]}}

Everything is under one name, so that it can be taken away again. ``digest`` is of the text that the vectors are of, so
that a change of the document's other fields encodes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from hybrid_search.engine import layout
from hybrid_search.engine.protocols import Dialect
from hybrid_search.errors import IndexMismatchError
from hybrid_search.fields import values_at, words_in
from hybrid_search.records import Fingerprint, IndexSchema

Body = dict[str, Any]

ATTACHED_VERSION = 3
"""Schema version of indices that are attached: one that knows nothing of them refuses it."""


def models_mark(dense: Fingerprint | None, sparse: Fingerprint | None) -> str:
    """16 hexadecimal digits for what makes vectors interchangeable."""
    unnamed = [None if one is None else replace(one, name="") for one in (dense, sparse)]
    return hashlib.blake2b(msgspec.json.encode(unnamed, order="deterministic"), digest_size=8).hexdigest()


def owners_part(source: Mapping[str, Any]) -> dict[str, Any]:
    """A document as its owner wrote it."""
    return {name: value for name, value in source.items() if name != layout.ATTACHED}


def text_of(source: Mapping[str, Any], fields: Sequence[str]) -> str:
    """What models read of a document: its text fields that are not empty, a line each."""
    parts = (words_in(values_at(source, name)) for name in fields)
    return "\n".join(part for part in parts if part.strip())


def text_digest(text: str) -> str:
    """What is kept beside vectors to know whether they are of this text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def attached_properties(schema: IndexSchema, dialect: Dialect) -> Body:
    """The mapping of our part, to be added to that of the owner.

    Raises:
        UnsupportedError: this version lacks the schema's ``dense_index`` or ``sparse_index``.
    """
    attached = schema.attached
    if attached is None:
        raise ValueError("the schema is not that of an attached index")
    own = dialect.index_body(replace(schema, attached=None))["mappings"]["properties"]
    place = {"type": "integer", "index": False, "doc_values": False}
    passage: Body = {layout.START: place, layout.END: place}
    if attached.dense is not None:
        passage[attached.dense] = own[layout.DENSE] if attached.has_graph else _without_graph(schema)
    if attached.sparse is not None:
        passage[attached.sparse] = own[layout.SPARSE]
    inside = {
        "models": {"type": "keyword"},
        "digest": {"type": "keyword", "index": False, "doc_values": False},
        "passages": {"type": "nested", "dynamic": "strict", "properties": passage},
    }
    return {layout.ATTACHED: {"type": "object", "dynamic": "strict", "properties": inside}}


def refuse_attached(schema: IndexSchema, where: str, what: str = "its owner writes its documents") -> None:
    """Raise IndexMismatchError for an index that somebody else owns, to which vectors are attached."""
    if schema.attached is not None:
        raise IndexMismatchError(
            f"vectors are attached to this index, and {what}",
            where=where,
            remedy="Search it, give new documents vectors by: hybrid-search attach; or copy it into an index of ours: "
            "hybrid-search index es:INDEX or os:INDEX",
        )


def attached_faults(schema: IndexSchema, properties: Mapping[str, Any]) -> Iterator[str]:
    """Where a mapping lacks what an attached schema names: a search there would find nothing and say nothing."""
    attached = schema.attached
    fields = {name for name in (attached.dense, attached.sparse) if name is not None} if attached else set()
    ours = properties.get(layout.ATTACHED, {}).get("properties", {}).get("passages", {}).get("properties", {})
    yield from (f"no field {layout.ATTACHED_PASSAGES}.{name}" for name in sorted(fields - ours.keys()))
    paths = [*(one.name for one in schema.text_fields), *(attached.paths.values() if attached else ())]
    if absent := [path for path in dict.fromkeys(paths) if not is_mapped(path, properties)]:
        yield f"no field {', '.join(absent)}"


def is_mapped(path: str, properties: Mapping[str, Any]) -> bool:
    """Whether a mapping has a field at a path, be it another form of one (``title.keyword``)."""
    if path in properties:
        return True
    head, _, rest = path.partition(".")
    found = properties.get(head, {})
    return bool(rest) and (is_mapped(rest, found.get("properties", {})) or rest in found.get("fields", {}))


def _without_graph(schema: IndexSchema) -> Body:
    """OpenSearch keeps vectors also where ``index.knn`` is off, and compares with each."""
    dimension = None if schema.dense is None else schema.dense.dimension
    return {"type": "knn_vector", "dimension": dimension}
