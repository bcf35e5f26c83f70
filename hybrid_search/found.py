"""What a search finds beside its hits, as records that results carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as option
from typing import Any

Value = str | int | float


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value, range or interval.

    Attributes:
        value: the keyword or number; what the range or interval is called (``<10``, ``10..50``, ``>=50``, ``2024-05``).
        count: documents that have it.
        filter: what narrows a search to it, as text (``brand="Sony"``).
        selected: the filter of the search names it.
        start: the first value in a range or interval, a date in ISO-8601; None for the first range.
        end: the first value after it; None for the last range.
    """

    value: Value
    count: int
    filter: str
    selected: bool = False
    start: Value | None = None
    end: Value | None = None


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """One facet, counted.

    Attributes:
        field: the user's name of the field.
        kind: ``terms``, ``ranges``, ``dates`` or ``min-max``.
        counts: what was counted: ``candidates``, ``filter`` or ``bm25``.
        documents: how many documents that are.
        missing: how many of them have no value.
        values: of terms the most frequent first, ranges and intervals ascending.
        others: further values of documents, not shown; None where it is not known.
        minimum: the smallest value, of a date in ISO-8601; None where there is none.
        maximum: the largest.
        exact: False where the engine estimates: documents told apart by their passages (HyperLogLog++), terms of
            several shards, or an answer that lacks shards or was stopped.
        without_own_filter: the conditions of the filter on this field alone were left out, so that the facet keeps
            its other values.
    """

    field: str
    kind: str
    counts: str
    documents: int
    missing: int
    values: tuple[FacetValue, ...] = ()
    others: int | None = 0
    minimum: Value | None = None
    maximum: Value | None = None
    exact: bool = True
    without_own_filter: bool = False


@dataclass(frozen=True, slots=True)
class Highlighted:
    """A piece of a hit that shows why it was found.

    Attributes:
        kind: ``words``, of the query, as the engine's analyzer matches them; ``terms``, of the sparse model, that the
            query's vector and the passage have in common; ``meaning``, the sentence nearest to the query.
        field: ``text``, or the text field that it is from.
        text: the piece as it is.
        start: where it begins, in characters: of the document's text, or of the field's value.
        end: where it ends.
        marks: where what is marked begins and ends, counted as ``start`` is.
        html: the piece, escaped, with what is marked between markers.
        terms: of ``terms``, those that met and what each adds to the score of the sparse leg, the largest first.
        score: of ``meaning``, the cosine of the sentence and the query; None where it is the only sentence.
    """

    kind: str
    field: str
    text: str
    start: int
    end: int
    marks: tuple[tuple[int, int], ...]
    html: str
    terms: Mapping[str, float] = option(default_factory=dict)
    score: float | None = None


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as the index has it: its place in its document, and the fields of the document that come with it."""

    id: str
    text: str
    start: int
    end: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LegReport:
    """How one leg fared: hits in its window, the engine's own milliseconds, and why it failed, if it did."""

    hits: int
    took_ms: float
    failure: str | None = None
    timed_out: bool = False
