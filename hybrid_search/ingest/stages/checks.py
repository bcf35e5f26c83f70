"""What a document must be before anything is spent on it.

Checked here and not in the readers, so that documents from a program are held to the same rules as files. Vectors
are looked at once more, value by value, where they are written (:func:`hybrid_search.engine.bulk.index_action`).
"""

from __future__ import annotations

from hybrid_search.errors import RecordError
from hybrid_search.records import MAX_DOCUMENT_ID_BYTES, Document, Fingerprint


def check_document(document: Document, dense: Fingerprint | None) -> None:
    """Raise RecordError for an id, a text or a vector's shape that the index could not hold.

    Args:
        document: the document.
        dense: the index's dense model, whose dimension a carried vector must have; None without a dense leg.
    """
    where = document.origin or f"document {document.id[:80]!r}"
    _check_id(document.id, where)
    if not document.text.strip():
        raise RecordError("the text is empty", where=where, remedy="Leave the document out or name its text fields")
    if document.dense is not None and dense is not None and document.dense.shape != (dense.dimension,):
        raise RecordError(
            f"the dense vector has shape {document.dense.shape}, the index takes ({dense.dimension},)",
            where=where,
            remedy="Encode with the index's model, or make an index for this one",
        )


def _check_id(id_: str, where: str) -> None:
    if not id_:
        raise RecordError("the id is empty", where=where, remedy="Give every document an id")
    length = len(id_.encode("utf-8", "surrogatepass"))
    if length > MAX_DOCUMENT_ID_BYTES:
        raise RecordError(
            f"the id has {length} bytes, more than the {MAX_DOCUMENT_ID_BYTES} that leave room for '#n'",
            where=where,
            remedy="Use a shorter id, for example a hash of it",
        )
