"""What is asked of a search for near-duplicates, what comes of it, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Self, TypedDict

import msgspec

from hybrid_search.errors import QueryError
from hybrid_search.filters import Filter

THRESHOLD = 0.9
MOST_PAIRS = 100_000
PATIENCE = 120.0
MOST_NEIGHBOURS = 1_000
LARGEST_LIMIT = 10_000_000


@dataclass(frozen=True, slots=True)
class MiningReport:
    """How far it is, and what its answer lacks.

    Attributes:
        exact: every vector is compared with every other; else the engine's graph is asked for the neighbours of each.
        passages: how many have a vector, as of the beginning.
        read: how many have been read.
        compared: the share of the comparisons that has been made, from 0 to 1.
        pairs: pairs above the threshold that are kept: of passages while it runs, of documents at the end.
        left_out: pairs that gave way to better ones, for the limit was reached; there may be more of them.
        crowded: passages all of whose neighbours that were asked for are above the threshold: there may be more.
    """

    exact: bool = False
    passages: int = 0
    read: int = 0
    compared: float = 0.0
    pairs: int = 0
    left_out: int = 0
    crowded: int = 0


OnMining = Callable[[MiningReport], None]


class MiningOptions(TypedDict, total=False):
    """The options of :class:`MiningRequest` by their names, but for the threshold."""

    exact: bool | None
    neighbours: int
    limit: int
    filter: Filter | str | None
    timeout: float
    on_progress: OnMining | None


@dataclass(frozen=True, slots=True)
class MiningRequest:
    """Which pairs of documents are wanted, and how they are looked for.

    Attributes:
        threshold: the least cosine of two passages, from 0 to 1.
        exact: compare every vector with every other, in blocks; False asks the engine's graph for the neighbours of
            each; None is exact up to :data:`~hybrid_search.search.duplicates.EXACT_UP_TO` passages.
        neighbours: how many passages of other documents the graph is asked for around each.
        limit: pairs that are kept, the best.
        filter: which documents are compared with each other.
        timeout: seconds for each request: nobody waits at a search box, and a slow page is no reason to begin again.
        on_progress: told how far it is, after every page and block.
    """

    threshold: float = THRESHOLD
    exact: bool | None = None
    neighbours: int = 10
    limit: int = MOST_PAIRS
    filter: Filter | str | None = None
    timeout: float = PATIENCE
    on_progress: OnMining | None = None

    @classmethod
    def of(cls, threshold: float, **options: Any) -> Self:
        """The request of a call, checked.

        Raises:
            QueryError: there is no such option, or a number is out of range.
        """
        known = [field.name for field in fields(cls)]
        if unknown := next((name for name in options if name not in known), None):
            nearest = get_close_matches(unknown, known, n=1, cutoff=0.0)[0]
            remedy = f"Did you mean {nearest}? There are: {', '.join(known)}."
            raise QueryError(f"unknown option {unknown!r}", remedy=remedy)
        asked = cls(threshold, **options)
        if not 0 <= asked.threshold <= 1:
            raise QueryError(f"a threshold of {asked.threshold}", remedy="Give a cosine from 0 to 1; .9 is usual.")
        for name, most in (("neighbours", MOST_NEIGHBOURS), ("limit", LARGEST_LIMIT)):
            number = getattr(asked, name)
            if not 1 <= number <= most:
                raise QueryError(f"{name} is {number}", remedy=f"Give a number from 1 to {most:,}.")
        if not 0 < asked.timeout < float("inf"):
            raise QueryError(f"a timeout of {asked.timeout} s", remedy="Give a number of seconds above 0.")
        return asked


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two documents by the passages of theirs that are most alike: ``cosine`` is of those two."""

    cosine: float
    first: str
    second: str
    first_passage: str
    second_passage: str

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types, by the names of the attributes."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Documents that hang together by pairs above the threshold: not every two of them need be alike.

    Attributes:
        ids: of the documents, sorted.
        pairs: the pairs that hold them together, best first.
    """

    ids: tuple[str, ...]
    pairs: tuple[SimilarPair, ...]

    @property
    def cosine(self) -> float:
        """That of the best pair."""
        return self.pairs[0].cosine

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types, by the names of the attributes; ``cosine`` too."""
        return {"cosine": self.cosine, "ids": list(self.ids), "pairs": [pair.as_json() for pair in self.pairs]}
