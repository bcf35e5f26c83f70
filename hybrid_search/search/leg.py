"""What a leg is: one way to find passages, as one object that the whole search asks and nothing else knows about.

Three come with the package (:mod:`hybrid_search.search.standard_legs`). Another - a second vector field, an engine
query of an expert's own - is one more class, given by ``legs=["bm25", "dense", mine]``: it is filtered, fused,
weighed, explained, and left out where it fails, as the others are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hybrid_search.records import IndexSchema, Query
from hybrid_search.search.asking import Budget, Target
from hybrid_search.search.legs import Body, Filter
from hybrid_search.search.outcomes import Skipped
from hybrid_search.search.scored_text import ScoredText
from hybrid_search.search.steps import Step

Part = Literal["text", "dense", "sparse"]
"""What a leg reads of a query. A vector that the query does not carry is encoded from its text."""

VECTORS: tuple[Part, ...] = ("dense", "sparse")


@dataclass(frozen=True, slots=True)
class Asking:
    """What a leg may know of the search that asks it.

    Attributes:
        target: the index; its dialect, its schema, and the filter of the alias (``within``), which the engine applies
            by itself, but for a graph search, which must know it beforehand.
        filter: a filter clause that every passage must pass; None passes all. The leg puts it into its query.
        candidates: the width of a graph search.
        exact: compare with every vector instead.
        two_phase: the share of the heaviest sparse term from which on a term finds passages; 0 for all terms.
        oversample: how many times the passages that are wanted are scored again by whole vectors, where those of the
            index are quantised; None for the index's own number.
        text: the texts that BM25 searches; None for all, as the index was made.
        says_place: hits of an owner's documents are to say which of their passages was found.
    """

    target: Target
    filter: Filter = None
    candidates: int = 200
    exact: bool = False
    text: ScoredText | None = None
    two_phase: float = 0.0
    oversample: float | None = None
    says_place: bool = False


@dataclass(frozen=True, slots=True)
class LegQuery:
    """What a leg asks of the engine for one query.

    Attributes:
        body: the part of a search body that finds passages (``{"query": ...}``), given how many are wanted.
        cut: what of the query was not searched for, behind the name of the leg ("searched for the first 1,000 words").
        shorter: asks for less, for an engine that refuses so many clauses.
        own: somebody else wrote it: what an engine cannot read of it must cost no other search.
    """

    body: Callable[[int], Body]
    cut: str | None = None
    shorter: Callable[[], LegQuery] | None = None
    own: bool = False


class SearchLeg(ABC):
    """One way to find passages. A subclass must be hashable, as every object is that defines no equality of its own.

    Attributes:
        name: what results, weights and warnings call it; unique among the legs of a search.
        part: what it reads of the query; None where it needs nothing of it.
        missing: the score of a passage that it did not find, where it found all that it can; None where that is not
            known. Fusion by scores measures from it.
        counts_terms: its scores depend on how many passages hold a term (``search.dfs`` counts over all shards first).
        finds_all: whatever passes the filter is found, if only enough is asked for.
        can_be_exact: ``exact=True`` makes it another search.
    """

    name: str
    part: Part | None = None
    missing: float | None = None
    counts_terms: bool = False
    finds_all: bool = False
    can_be_exact: bool = False

    def is_in(self, schema: IndexSchema) -> bool:
        """Whether an index of this schema can answer."""
        del schema
        return True

    @abstractmethod
    def ask(self, query: Query, asking: Asking) -> LegQuery | Skipped:
        """What to ask the engine for ``query``, which carries what :attr:`part` names; or that there is nothing."""

    def read(self, hit: Mapping[str, Any]) -> tuple[str, float]:
        """Passage id and score of one hit of the answer; higher is better."""
        return str(hit["_id"]), float(hit["_score"])

    def why_nothing(self, query: Query, target: Target, budget: Budget) -> Generator[Step, Any, str | None]:
        """Why it found nothing for ``query``, for whoever looks at an empty page; None where it does not know."""
        del query, target, budget
        yield from ()
        return None

    def __str__(self) -> str:
        return self.name
