"""Passages to documents: a document stands where its best passage does (max passage).

Collapsing comes before ranks are given and before the window is cut, leg by leg: several passages of one document
take one rank, and a window of 100 holds 100 documents. It is done here rather than by the engines' ``collapse``
option, which makes Lucene score every match (no block-max skipping) and is of no use to the dense leg, whose
neighbours are chosen before they are grouped. A leg fetches more passages than its window needs, and is asked again
for more when that was not enough (:mod:`hybrid_search.search.retrieve`). On a small index, where skipping saves
nothing, the engines' option is still 5 % slower (benchmarks/search/round_trips.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SEPARATOR = "#"


@dataclass(frozen=True, slots=True)
class Best:
    """What one leg found under an id: the best passage and its score."""

    id: str
    passage_id: str
    score: float


def document_id(passage_id: str) -> str:
    """The document of a passage: ``doc#n`` without its last ``#n``."""
    return passage_id.rpartition(SEPARATOR)[0]


def by_document(passage_id: str) -> tuple[str, int]:
    """What passages of equal score are sorted by, here and in the engines: document, then number."""
    document, _, number = passage_id.rpartition(SEPARATOR)
    return document, int(number) if number.isascii() and number.isdigit() else 0


def best_passages(passages: Iterable[tuple[str, float]], *, collapse: bool = True) -> list[Best]:
    """Documents by descending score of their best passage, ties by document and number.

    Args:
        passages: ``(passage id, score)`` pairs of one leg, in any order.
        collapse: False keeps every passage, under its own id.
    """
    best: dict[str, Best] = {}
    for passage_id, score in sorted(passages, key=lambda hit: (-hit[1], by_document(hit[0]))):
        id_ = document_id(passage_id) if collapse else passage_id
        best.setdefault(id_, Best(id_, passage_id, score))
    return list(best.values())
