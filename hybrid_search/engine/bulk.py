"""The bulk dialect: passages to NDJSON lines, and answers to one outcome per line.

Both engines speak it. Sending, sizing, retrying and keeping account are the ingest's; this file does no I/O.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from hybrid_search.engine import layout
from hybrid_search.engine.analyzed import searched_texts
from hybrid_search.engine.answers import Failure, Verdict, error_cause, verdict
from hybrid_search.engine.protocols import NDJSON, Dialect, Request
from hybrid_search.errors import RecordError
from hybrid_search.fields import filter_values, with_taken_values
from hybrid_search.records import (
    Document,
    EncodedPassage,
    IndexSchema,
    Passage,
    Provenance,
    SparseVector,
    Vector,
)

BULK_TIMEOUT = 120.0
"""Seconds: a bulk request waits for the slowest shard."""

_WHITE_SPACE = re.compile(r"\s*")
_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one action. ``cause`` is None for :attr:`Verdict.DONE` and :attr:`Verdict.SUPERSEDED`."""

    id: str
    action: str
    verdict: Verdict
    cause: Failure | None = None


def bulk_request(lines: bytes, *, timeout: float = BULK_TIMEOUT) -> Request:
    """``POST /_bulk`` with the lines of any number of actions; answers only what :func:`outcomes` reads."""
    took = "errors,items.*._id,items.*.status,items.*.error"
    return Request("POST", "/_bulk", {"filter_path": took}, lines, NDJSON, timeout)


def index_action(
    index: str, encoded: EncodedPassage, dialect: Dialect, schema: IndexSchema, provenance: Provenance | None = None
) -> bytes:
    """Two lines that write a passage under its id, over what an older load, or this one, has written there.

    Without a ``provenance`` it goes over whatever is there, and says not where it is from.

    Raises:
        RecordError: an id over 512 bytes, a vector that is zero or not finite, or a term weight that is not positive
            and finite. The engines refuse these too, but for NaN, which JSON cannot say, and base64 would hide.
    """
    document = encoded.passage.document
    load = None if provenance is None else provenance.load
    action = _action("index", index, _checked_id(encoded.passage.id, document), load)
    try:
        return action + orjson.dumps(_source(encoded, dialect, schema, provenance), option=_JSON)
    except TypeError as error:
        raise _refused(document, f"a field that JSON cannot hold: {error}") from None


def delete_action(index: str, passage_id: str, load: int | None = None) -> bytes:
    """One line that deletes a passage, unless a load after ``load`` wrote it; deleting an absent one is no error."""
    return _action("delete", index, passage_id, load)


def delete_found_action(index: str, hit: Mapping[str, Any]) -> bytes:
    """One line that deletes a passage as a search with ``seq_no_primary_term`` found it.

    It is superseded where the passage was written, or deleted, since.
    """
    target = {"if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}
    return orjson.dumps({"delete": {"_index": index, "_id": hit["_id"], **target}}, option=_JSON)


def outcomes(answer: Mapping[str, Any]) -> Iterator[ItemOutcome]:
    """One outcome per action, in order, from the body of a bulk answer of status 200."""
    for item in answer["items"]:
        action, result = next(iter(item.items()))
        yield _outcome(action, result)


def _source(
    encoded: EncodedPassage, dialect: Dialect, schema: IndexSchema, provenance: Provenance | None
) -> dict[str, Any]:
    passage = encoded.passage
    source: dict[str, Any] = {
        layout.DOC_ID: passage.document.id,
        layout.PASSAGE: passage.number,
        layout.START: passage.start,
        layout.END: passage.end,
        layout.TEXT: passage.text,
        **(searched_texts(passage.document, passage.text, schema) if passage.image is None else {}),
        **_fields(passage.document.fields, schema),
    }
    if state := {**(_white_space(passage) if passage.image is None else _shown(passage)), **_thumbnail(passage)}:
        source[layout.STATE] = state
    if provenance is not None:
        source[layout.CONTENT_HASH] = provenance.digest
        source[layout.SOURCE] = provenance.source
        source[layout.LOAD] = provenance.load
        source[layout.PASSAGES] = provenance.passages
    if encoded.dense is not None:
        source[layout.DENSE] = dialect.dense_value(_checked_dense(encoded.dense, passage.document))
    if encoded.sparse is not None:
        source[layout.SPARSE] = _sparse_json(encoded.sparse, passage.document)
    if encoded.late is not None and schema.late is not None:
        source[layout.LATE] = late_json(encoded.late)
    if (said := _models_of(encoded, schema)) is not None:
        source[layout.VECTORS] = said
    return source


def _white_space(passage: Passage) -> dict[str, str]:
    """What of the document's text is in no passage: with it the passages give the text back, to the letter.

    Spaces between two passages are left out: offsets say how many there are.
    """
    text = passage.document.text
    is_first = passage.number in {0, len(passage.document.images)}  # images come first, where a model reads them
    before = text[: passage.start] if is_first and text[: passage.start].isspace() else ""
    found = _WHITE_SPACE.match(text, passage.end)
    after = "" if found is None or (found.end() < len(text) and not found[0].strip(" ")) else found[0]
    return {name: space for name, space in ((layout.BEFORE, before), (layout.AFTER, after)) if space}


def _shown(passage: Passage) -> dict[str, str]:
    """The beginning of the document's text, cut at a word."""
    text = passage.document.text
    if len(text) > layout.SHOWN_CHARACTERS:
        text = text[: layout.SHOWN_CHARACTERS].rsplit(maxsplit=1)[0]
    return {layout.SHOWN: text} if text else {}


def _thumbnail(passage: Passage) -> dict[str, str]:
    """That of the image that the passage is; of a document whose images no model reads, on its first passage."""
    number = passage.image if passage.image is not None else 0 if passage.number == 0 else None
    images = passage.document.images
    thumbnail = b"" if number is None or number >= len(images) else images[number].thumbnail
    return {layout.THUMBNAIL: base64.b64encode(thumbnail).decode("ascii")} if thumbnail else {}


def _models_of(encoded: EncodedPassage, schema: IndexSchema) -> str | None:
    """What is said of the vectors of a passage: nothing where they are there, and the models do not change."""
    pairs = (("dense", schema.dense, encoded.dense), ("sparse", schema.sparse, encoded.sparse))
    if any(model is not None and vector is None for leg, model, vector in pairs if leg not in encoded.without):
        return layout.LATER
    return schema.vectors


def _fields(fields: Mapping[str, Any], schema: IndexSchema) -> dict[str, Any]:
    """The fields as the source has them, and beside them what is filtered on; in layout 1 both are one."""
    if schema.layout == 1:
        return {layout.FIELDS: _escaped(with_taken_values(fields, schema))}
    return {layout.FIELDS: _escaped(fields), layout.FILTER: _escaped(filter_values(fields, schema))}


def _escaped(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {layout.escape(name): value for name, value in fields.items()}


def _action(action: str, index: str, passage_id: str, load: int | None) -> bytes:
    target: dict[str, Any] = {"_index": index, "_id": passage_id}
    if load is not None:
        target |= {"version": load, "version_type": "external_gte"}
    return orjson.dumps({action: target}, option=_JSON)


def _outcome(action: str, result: Mapping[str, Any]) -> ItemOutcome:
    status, passage_id = result["status"], str(result.get("_id"))
    if status < 300 or (action == "delete" and status == 404 and "error" not in result):
        return ItemOutcome(passage_id, action, Verdict.DONE)
    error = result.get("error")
    cause = error_cause(status, error) if isinstance(error, Mapping) else Failure(status, "", str(error or ""))
    judged = verdict(cause)
    return ItemOutcome(passage_id, action, judged, None if judged is Verdict.SUPERSEDED else cause)


def dense_json(vector: Vector, document: Document, dialect: Dialect) -> Any:
    """A dense vector for orjson to write.

    Raises:
        RecordError: it is zero or not finite.
    """
    return dialect.dense_value(_checked_dense(vector, document))


def late_json(tokens: bytes) -> str:
    """Token states as a ``binary`` field takes them."""
    return base64.b64encode(tokens).decode("ascii")


def sparse_json(weights: SparseVector, document: Document) -> orjson.Fragment:
    """The weights of terms by escaped names, as JSON.

    Raises:
        RecordError: a weight that is not positive and finite.
    """
    return _sparse_json(weights, document)


def _checked_id(passage_id: str, document: Document) -> str:
    try:
        size = len(passage_id.encode())
    except UnicodeEncodeError:
        raise _refused(document, "an id that is not Unicode text") from None
    if not document.id or size > layout.MAX_ID_BYTES:
        raise _refused(document, f"a passage id of {size} bytes; an id has 1 to {layout.MAX_ID_BYTES}")
    return passage_id


def _checked_dense(vector: Vector, document: Document) -> Vector:
    if 0.0 < float(np.vdot(vector, vector)) < math.inf:  # one pass says for all but extreme vectors that they are good
        return vector
    if not np.isfinite(vector).all():
        raise _refused(document, "a dense vector with NaN or infinite values")
    if not vector.any():
        raise _refused(document, "a dense vector of zeros, which has no direction")
    return vector


def _sparse_json(weights: SparseVector, document: Document) -> orjson.Fragment:
    """The weights by escaped names, as JSON.

    Most vectors show in their finished bytes, without a look at every weight, that nothing is wrong with them: a
    minus, or one of the letters of ``null`` (NaN, infinity), ``true`` and ``1e-39``, would say that something might be.
    """
    if isinstance(weights, dict) and "" not in weights and all(weights.values()):
        names = "".join(weights)
        if "." not in names and "%" not in names:
            written = orjson.dumps(weights, option=orjson.OPT_SERIALIZE_NUMPY)
            if not (b"-" in written or b"n" in written or b"e" in written):
                return orjson.Fragment(written)
    return orjson.Fragment(orjson.dumps(_checked_sparse(weights, document)))


def _checked_sparse(weights: SparseVector, document: Document) -> dict[str, float]:
    """The weights by escaped names, each looked at."""
    for term, weight in weights.items():
        if not term:
            raise _refused(document, "a sparse term without a name")
        if not layout.MIN_WEIGHT <= weight <= layout.MAX_WEIGHT:
            raise _refused(document, f"weight {weight!r} of term {term!r}; weights are positive and finite")
    return {layout.escape(term): float(weight) for term, weight in weights.items()}


def _refused(document: Document, what: str) -> RecordError:
    return RecordError(what, where=document.origin or f"document {document.id[:80]!r}")
