"""Passages to documents: a document stands where its best passage does, or by the sum of its best, or by its first.

Dai and Callan: Deeper Text Understanding for IR with Contextual Neural Language Modeling, SIGIR 2019, call these MaxP,
SumP and FirstP. It is done leg by leg, with the leg's own scores, and fusion takes what comes of it:

- ``best``: the highest score of a passage.
- ``sum:n``: that score, and for each of the n - 1 next best passages what it scored above ``unfound``, the score of a
  passage that the leg did not find: 0 for BM25 and sparse where they found all that they can, else the lowest of those
  it found. A passage that was not found so adds what it is known to add at most: nothing. Where ``unfound`` is 0 this
  is the plain sum; cosines, which every passage has, would else count how many passages were found.
- ``first``: the score of the first passage; no other is searched.

Collapsing comes before ranks are given and before the window is cut, leg by leg: several passages of one document
take one rank, and a window of 100 holds 100 documents. It is done here rather than by the engines' ``collapse``
option, which makes Lucene score every match (no block-max skipping) and is of no use to the dense leg, whose
neighbours are chosen before they are grouped. A leg fetches more passages than its window needs, and is asked again
for more when that was not enough (:mod:`hybrid_search.search.retrieve`). On a small index, where skipping saves
nothing, the engines' option is still 5 % slower (benchmarks/search/round_trips.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from hybrid_search.engine import layout
from hybrid_search.errors import QueryError

SEPARATOR = "#"

_SCORE = itemgetter(1)

MAX_SUMMED = 100
"""The most passages that ``sum:n`` may name."""

_SUM = re.compile(r"sum:(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Collapse:
    """How passages become documents: ``best``, ``sum`` of the best ``summed``, ``first``, or ``none`` at all."""

    kind: str = "best"
    summed: int = 1

    @property
    def documents(self) -> bool:
        """Whether documents are ranked, not passages."""
        return self.kind != "none"

    @property
    def filter(self) -> dict[str, Any] | None:
        """What passages must pass to be searched at all."""
        return {"term": {layout.PASSAGE: 0}} if self.kind == "first" else None


BEST = Collapse()


def collapse_of(given: bool | str | Collapse) -> Collapse:
    """What True (the best passage), False (none), ``best``, ``sum:3`` or ``first`` mean.

    Raises:
        QueryError: it is something else.
    """
    if isinstance(given, Collapse):
        return given
    if isinstance(given, bool):
        return Collapse("best" if given else "none")
    if given in ("best", "first"):
        return Collapse(given)
    if isinstance(given, str) and (match := _SUM.fullmatch(given)) and 1 <= int(match[1]) <= MAX_SUMMED:
        return Collapse("sum", int(match[1]))
    remedy = f"There are: best, first, and sum:3 (of 1 to {MAX_SUMMED} passages); True is best, False ranks passages."
    raise QueryError(f"unknown collapse {given!r}", remedy=remedy)


class Best(NamedTuple):
    """What one leg found under an id: the best passage and its score."""

    id: str
    passage_id: str
    score: float


def check_passages(wanted: object, collapse: Collapse) -> int:
    """The number of further passages; QueryError where it is none, or there can be no further ones."""
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 0 <= wanted <= MAX_SUMMED:
        raise QueryError(f"{wanted!r} further passages of each hit", remedy=f"Give a number from 0 to {MAX_SUMMED}.")
    if wanted and collapse.kind in ("none", "first"):
        what = "passages are ranked themselves" if collapse.kind == "none" else "first passages alone are searched"
        raise QueryError(f"{what}: there are no further ones", remedy="Leave out passages, or collapse.")
    return wanted


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
    if len(set(map(_SCORE, ordered))) < len(ordered):
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


def collapsed(
    passages: Iterable[tuple[str, float]],
    collapse: Collapse,
    *,
    unfound: float | None = None,
    limit: int | None = None,
) -> list[Best]:
    """What the passages of a leg come to, by descending score; see the head of this module.

    Args:
        passages: ``(passage id, score)`` pairs of one leg, in any order.
        collapse: how.
        unfound: the score of passages that the leg did not find; None where it is not known.
        limit: so many of the first; None for all.
    """
    if collapse.kind != "sum":
        return best_passages(passages, collapse=collapse.documents, limit=limit)
    ranked = best_passages(passages, collapse=False)
    floor = min((one.score for one in ranked), default=0.0) if unfound is None else unfound
    documents: dict[str, list[Best]] = {}
    for one in ranked:
        documents.setdefault(document_id(one.passage_id), []).append(one)
    summed = [_sum(id_, found[: collapse.summed], floor) for id_, found in documents.items()]
    return sorted(summed, key=lambda best: (-best.score, by_document(best.passage_id)))[:limit]


def _sum(id_: str, found: list[Best], floor: float) -> Best:
    best, *others = found
    return Best(id_, best.passage_id, best.score + sum(max(0.0, one.score - floor) for one in others))
