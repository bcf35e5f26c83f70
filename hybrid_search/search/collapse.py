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
from operator import itemgetter
from typing import NamedTuple

SEPARATOR = "#"

_SCORE = itemgetter(1)


class Best(NamedTuple):
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


def by_score(passages: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """``(passage id, score)`` pairs by descending score, ties by document and number.

    Equal scores are few: the parts of ids are compared only where there are some.
    """
    ordered = sorted(passages, key=_SCORE, reverse=True)
    if len({score for _, score in ordered}) < len(ordered):
        ordered.sort(key=lambda hit: (-hit[1], by_document(hit[0])))
    return ordered


def best_passages(
    passages: Iterable[tuple[str, float]], *, collapse: bool = True, limit: int | None = None
) -> list[Best]:
    """Documents by descending score of their best passage, ties by document and number.

    Args:
        passages: ``(passage id, score)`` pairs of one leg, in any order.
        collapse: False keeps every passage, under its own id.
        limit: so many of the first; None for all.
    """
    best: dict[str, Best] = {}
    for passage_id, score in by_score(passages):
        if len(best) == limit:
            break
        id_ = passage_id.rpartition(SEPARATOR)[0] if collapse else passage_id
        if id_ not in best:
            best[id_] = Best(id_, passage_id, score)
    return list(best.values())
