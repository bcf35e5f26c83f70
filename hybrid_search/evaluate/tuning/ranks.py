"""The value of a measure for many weightings at once, by arithmetic on arrays.

The rank of a relevant document is one more than the number of documents before it. So nothing is sorted: each relevant
document's score is compared with the scores of all candidates of its query, for all weightings together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hybrid_search.errors import InputError
from hybrid_search.evaluate.tuning.collected import QueryRuns
from hybrid_search.evaluate.tuning.weighting import Weighting
from hybrid_search.search.fusion import in_order

Floats = NDArray[np.float64]

ABSENT = -1.0
"""The score of a document that no leg with a weight found: below all others, which are 0 or more."""

LAST = 1 << 30
"""The rank, counted from 0, of a document that a leg did not find."""


class Graded(Protocol):
    """The grades of a query: of the relevant documents that are ranked, and of all that were judged."""

    @property
    def grades(self) -> Floats:
        """Of the relevant documents whose ranks are given."""

    @property
    def all_grades(self) -> Floats:
        """Of every relevant document, the highest first."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The documents of one query that some weighting could rank first enough to count, in order of their ids.

    Attributes:
        runs: each leg's descending scores within the window, and what a document scores that it did not find.
        places: each candidate's place in each leg's run, :data:`LAST` where it is not in it; shape (documents, legs).
        relevant: the rows of the relevant ones, in ascending order.
        grades: those of ``relevant``.
        all_grades: those of every relevant document that was judged, the highest first.
    """

    runs: Sequence[tuple[Sequence[float], float | None]]
    places: NDArray[np.int64]
    relevant: NDArray[np.intp]
    grades: Floats
    all_grades: Floats

    def ranks(self, shape: Weighting, weights: Floats) -> Floats:
        """Ranks of the relevant documents, shape (relevant, weightings), ties by id; infinite where not ranked.

        Args:
            shape: the method and its constant.
            weights: shape (weightings, legs).
        """
        found = (self.places < LAST).astype(np.float32)
        in_ranking = found @ (weights > 0).T.astype(np.float32) > 0
        scores = np.where(in_ranking, self.worths(shape) @ weights.T, ABSENT)
        ranks = np.empty((len(self.relevant), len(weights)))
        for row, place in enumerate(self.relevant):
            own = scores[place]
            ahead = np.count_nonzero(scores[:place] >= own, axis=0) + np.count_nonzero(scores[place:] > own, axis=0)
            ranks[row] = np.where(own == ABSENT, np.inf, 1.0 + ahead)
        return ranks

    def worths(self, shape: Weighting) -> Floats:
        """What each document is worth to each leg before its weight, shape (documents, legs)."""
        fusion = shape.fusion(())
        columns = np.zeros(self.places.shape)
        for leg, (scores, missing) in enumerate(self.runs):
            found = self.places[:, leg] < LAST
            columns[found, leg] = np.array(fusion.worths(scores, missing))[self.places[found, leg]]
        return columns


def candidates(
    query: QueryRuns, legs: Sequence[str], grades: Mapping[str, int], window: int, cutoff: int
) -> Candidates:
    """What can be among the first ``cutoff`` where each leg ranks ``window`` documents."""
    ranked = [in_order(query.runs.get(leg, ()))[:window] for leg in legs]
    missing = [_missing(query, leg, window) for leg in legs]
    place_of = [{id_: place for place, (id_, _) in enumerate(run)} for run in ranked]
    ids = sorted({id_ for leg in place_of for id_ in leg})
    places = np.array([[leg.get(id_, LAST) for leg in place_of] for id_ in ids], np.int64).reshape(-1, len(legs))
    kept = _possible(places, cutoff)
    relevant = [row for row, place in enumerate(kept) if grades.get(ids[place], 0) > 0]
    return Candidates(
        [([score for _, score in run], others) for run, others in zip(ranked, missing, strict=True)],
        places[kept],
        np.array(relevant, dtype=np.intp),
        np.array([grades[ids[kept[row]]] for row in relevant], dtype=np.float64),
        falling(grades),
    )


def falling(grades: Mapping[str, int]) -> Floats:
    """The grades above 0, the highest first."""
    return np.array(sorted((grade for grade in grades.values() if grade > 0), reverse=True), dtype=np.float64)


def _missing(query: QueryRuns, leg: str, window: int) -> float | None:
    """The score of what the leg did not find; not known where the window cuts its run."""
    return query.missing.get(leg) if len(query.runs.get(leg, ())) < window else None


def _possible(places: NDArray[np.int64], cutoff: int) -> NDArray[np.intp]:
    """The documents that fewer than ``cutoff`` others are before in every leg that found them: all others come later.

    What is before in every leg has no lower score under any method and weights, and where all are equal it has the
    smaller id, for that is how each leg breaks its ties.
    """
    before = np.ones((len(places), len(places)), dtype=np.bool_)
    for leg in places.T:
        before &= (leg[:, None] < leg[None, :]) | (leg[None, :] == LAST)
    np.fill_diagonal(before, val=False)
    return np.flatnonzero(np.count_nonzero(before, axis=0) < cutoff)


@dataclass(frozen=True, slots=True)
class Objective:
    """A measure with a cutoff, as trec_eval computes it: ``nDCG@10``, ``RR@10``, ``R@100``, ``P@5``, ``Success@1``.

    Raises:
        InputError: another measure.
    """

    name: str

    def __post_init__(self) -> None:
        self._parts()

    @property
    def cutoff(self) -> int:
        """How many ranks count."""
        return self._parts()[1]

    def values(self, queries: Sequence[Candidates], shape: Weighting, weights: Floats) -> Floats:
        """The measure of each query for each row of ``weights``: shape (queries, weightings)."""
        values = np.zeros((len(queries), len(weights)))
        for row, query in enumerate(queries):
            values[row] = self.of(query, query.ranks(shape, weights))
        return values

    def of(self, query: Graded, ranks: Floats) -> Floats:
        """The measure for ranks of the relevant documents, shape (relevant, rankings); 0 where none is ranked."""
        name, cutoff = self._parts()
        return _VALUES[name](query, ranks, cutoff) if len(ranks) else np.zeros(ranks.shape[1])

    def _parts(self) -> tuple[str, int]:
        found = re.fullmatch(r"([A-Za-z]+)@([1-9]\d*)", self.name)
        if found is None or found[1] not in _VALUES:
            known = ", ".join(f"{name}@k" for name in _VALUES)
            raise InputError(f"weights cannot be tuned for {self.name!r}", remedy=f"Use one of {known}")
        return found[1], int(found[2])


def _ndcg(query: Graded, ranks: Floats, cutoff: int) -> Floats:
    """Gain is the grade, the discount ``log2(rank + 1)``, as in trec_eval (Järvelin, Kekäläinen, TOIS 20(4), 2002)."""
    gains = np.where(ranks <= cutoff, query.grades[:, None] / np.log2(ranks + 1), 0.0).sum(axis=0)
    ideal = query.all_grades[:cutoff]
    return np.asarray(gains / (ideal / np.log2(np.arange(len(ideal)) + 2)).sum())


def _reciprocal_rank(_: Graded, ranks: Floats, cutoff: int) -> Floats:
    first = ranks.min(axis=0)
    return np.where(first <= cutoff, 1 / first, 0.0)


def _recall(query: Graded, ranks: Floats, cutoff: int) -> Floats:
    return np.asarray((ranks <= cutoff).sum(axis=0) / len(query.all_grades))


def _precision(_: Graded, ranks: Floats, cutoff: int) -> Floats:
    return np.asarray((ranks <= cutoff).sum(axis=0) / cutoff)


def _success(_: Graded, ranks: Floats, cutoff: int) -> Floats:
    return np.asarray((ranks <= cutoff).any(axis=0).astype(np.float64))


_VALUES: Mapping[str, Callable[[Graded, Floats, int], Floats]] = MappingProxyType(
    {"nDCG": _ndcg, "RR": _reciprocal_rank, "R": _recall, "P": _precision, "Success": _success}
)
