"""What a document must be before anything is spent on it.

Checked here and not in the readers, so that documents from a program are held to the same rules as files. Vectors
are looked at once more, value by value, where they are written (:func:`hybrid_search.engine.bulk.index_action`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hybrid_search.errors import InputError, RecordError, RepeatedIdError
from hybrid_search.fields import strays
from hybrid_search.records import MAX_DOCUMENT_ID_BYTES, Document, Fingerprint, IndexSchema

DEEPEST = 254
"""Levels of objects and lists that are written as JSON; deeper ones are refused there."""
LEAST, MOST = -(1 << 63), (1 << 64) - 1
"""The whole numbers that orjson writes."""


def check_document(document: Document, dense: Fingerprint | None) -> None:
    """Raise RecordError for an id, a text, a number or a vector's shape that the index could not hold.

    Args:
        document: the document.
        dense: the index's dense model, whose dimension a carried vector must have; None without a dense leg.
    """
    where = document.origin or f"document {document.id[:80]!r}"
    _check_id(document.id, where)
    if not document.text.strip() and not document.images:
        raise RecordError("the text is empty", where=where, remedy="Leave the document out or name its text fields")
    if (bad := _unsayable(document.fields.values())) is not None:
        remedy = "Leave the field out, or write the number as text"
        raise RecordError(f"a field holds {bad!r}, which is no number that can be stored", where=where, remedy=remedy)
    if document.dense is not None and dense is not None and document.dense.shape != (dense.dimension,):
        raise RecordError(
            f"the dense vector has shape {document.dense.shape}, the index takes ({dense.dimension},)",
            where=where,
            remedy="Encode with the index's model, or make an index for this one",
        )


def _unsayable(values: Iterable[Any], depth: int = 0) -> float | int | None:
    """The first number among the values that JSON cannot say (infinity; NaN is a missing value) or engines cannot hold.

    Whole numbers of more than 64 bits are neither longs nor exact as doubles.
    """
    for value in values:
        if isinstance(value, str):
            continue
        if isinstance(value, float):
            bad: float | int | None = value if math.isinf(value) else None
        elif isinstance(value, int):
            bad = None if LEAST <= value <= MOST else value
        elif isinstance(value, dict | list | tuple) and depth < DEEPEST:
            bad = _unsayable(value.values() if isinstance(value, dict) else value, depth + 1)
        else:
            bad = None
        if bad is not None:
            return bad
    return None


def id_came_before(document: Document) -> RecordError:
    """The error of a document whose id an earlier one of the source has."""
    error = RepeatedIdError(
        f"the id {document.id!r} has come before",
        where=document.origin,
        remedy="Give every document its own id: the later one would replace the earlier;"
        " or say what becomes of it: documents.repeated_ids = first, last or number",
    )
    error.id = document.id
    return error


@contextmanager
def both_places(again: Callable[[], Iterator[Document]]) -> Iterator[None]:
    """Let the error of a repeated id name the first place too; ``again`` gives the documents from the beginning."""
    try:
        yield
    except RepeatedIdError as error:
        other = _other_place(again(), error)
        if other is not None:
            error.what = f"{error.what}, at {other}"
        raise


def _other_place(documents: Iterator[Document], error: RepeatedIdError) -> str | None:
    try:
        places = (document.origin for document in documents if document.id == error.id)
        return next((place for place in places if place != error.where), None)
    except InputError:
        return None  # what cannot be read now was not what the load ended with


@dataclass(slots=True)
class Strays:
    """Values of lenient fields that are stored and cannot be filtered on, counted by field."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, Any] = field(default_factory=dict)

    def count(self, document: Document, schema: IndexSchema) -> None:
        """Look at the fields of one more document."""
        if not schema.readings:
            return
        for name, values in strays(document.fields, schema).items():
            self.counts[name] = self.counts.get(name, 0) + len(values)
            self.examples.setdefault(name, values[0])

    def notes(self) -> list[str]:
        """One sentence for each field."""
        return [
            f"{name}: {count:,} {'value' if count == 1 else 'values'} could not be read ({self.examples[name]!r:.60});"
            " stored, and not filtered on (documents.lenient)"
            for name, count in self.counts.items()
        ]


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
