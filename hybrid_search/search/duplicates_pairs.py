"""Pairs of passages, the best of which are kept, as pairs of documents; and the groups that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hybrid_search.search.collapse import document_id
from hybrid_search.search.duplicates_records import DuplicateGroup, SimilarPair

TOLERANCE = 1e-6
"""A cosine of float32 vectors is exact to this: two copies may have .99999994."""

Numbers = NDArray[np.int64]
Cosines = NDArray[np.float32]


class Pairs:
    """At most ``limit`` pairs of documents, the best; passages are known by numbers, in the order of :meth:`name`.

    Memory: up to three times ``limit`` pairs of 20 bytes, those of one :meth:`add`, and the names.

    Attributes:
        left_out: pairs that gave way to better ones; what is below ``floor`` need not be added, and is not counted.
        floor: the least cosine that is still kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._names: list[str] = []
        self._documents: list[int] = []
        self._known: dict[str, int] = {}
        self._kept = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
        self._new: list[tuple[Numbers, Numbers, Cosines]] = []
        self._waiting = 0
        self.left_out = 0
        self.floor = -1.0

    def __len__(self) -> int:
        return len(self._kept[0]) + self._waiting

    def name(self, passage_id: str) -> int:
        """The number of a passage that has none yet."""
        document = document_id(passage_id)
        self._names.append(passage_id)
        self._documents.append(self._known.setdefault(document, len(self._known)))
        return len(self._names) - 1

    def add(self, first: Numbers, second: Numbers, cosines: Cosines) -> None:
        """More pairs, by the numbers of their passages; pairs within one document are none."""
        if len(first):
            self._new.append((first, second, cosines))
            self._waiting += len(first)
        if self._waiting > 2 * self._limit:
            self._settle()

    def _settle(self) -> None:
        """Of each two documents the best pair of passages, and of those the best ``limit``."""
        first, second, cosines = (np.concatenate(part) for part in zip(self._kept, *self._new, strict=True))
        self._new, self._waiting = [], 0
        documents = np.asarray(self._documents, dtype=np.int64)
        apart = documents[first] != documents[second]
        first, second, cosines = first[apart], second[apart], cosines[apart]
        one, other = documents[first], documents[second]
        keys = np.minimum(one, other) * len(self._known) + np.maximum(one, other)
        best = np.lexsort((second, first, -cosines))
        _, kept = np.unique(keys[best], return_index=True)
        kept = best[np.sort(kept)]
        self.left_out += max(0, len(kept) - self._limit)
        kept = kept[: self._limit]
        self._kept = (first[kept], second[kept], cosines[kept])
        if len(kept) == self._limit:
            self.floor = float(cosines[kept].min())

    def best(self) -> Iterator[SimilarPair]:
        """The pairs, the most alike first, ties by id."""
        self._settle()
        first, second, cosines = self._kept
        pairs = (self._pair(*row) for row in zip(first.tolist(), second.tolist(), cosines.tolist(), strict=True))
        return iter(sorted(pairs, key=lambda pair: (-pair.cosine, pair.first, pair.second)))

    def _pair(self, one: int, other: int, cosine: float) -> SimilarPair:
        first, second = sorted((self._names[one], self._names[other]))
        if document_id(second) < document_id(first):
            first, second = second, first
        return SimilarPair(min(cosine, 1.0), document_id(first), document_id(second), first, second)


def groups(pairs: Iterable[SimilarPair]) -> Iterator[DuplicateGroup]:
    """Documents that pairs connect, by union and find; the group with the best pair first.

    Tarjan: Efficiency of a Good But Not Linear Set Union Algorithm, J. ACM 22(2), 1975.
    """
    ordered = list(pairs)
    roots: dict[str, str] = {}
    for pair in ordered:
        one, other = _root(roots, pair.first), _root(roots, pair.second)
        roots[max(one, other)] = min(one, other)
    members: dict[str, list[SimilarPair]] = {}
    for pair in ordered:
        members.setdefault(_root(roots, pair.first), []).append(pair)
    return (_group(found) for found in members.values())


def _root(roots: dict[str, str], id_: str) -> str:
    """What stands for the group of ``id_``; the way there is halved."""
    roots.setdefault(id_, id_)
    while roots[id_] != id_:
        roots[id_] = roots[roots[id_]]
        id_ = roots[id_]
    return id_


def _group(pairs: Sequence[SimilarPair]) -> DuplicateGroup:
    ids = sorted({id_ for pair in pairs for id_ in (pair.first, pair.second)})
    return DuplicateGroup(tuple(ids), tuple(pairs))


def alike(left: NDArray[np.float32], right: NDArray[np.float32], threshold: float) -> tuple[Numbers, Numbers, Cosines]:
    """Rows of two blocks of unit vectors, (n, d) and (m, d), of at least this cosine, and the cosines."""
    cosines = left @ right.T
    rows, columns = np.nonzero(cosines >= threshold - TOLERANCE)
    return rows, columns, cosines[rows, columns]
