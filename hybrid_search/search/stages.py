"""What the stages of a search hand on: one frozen value per query, which each stage makes anew with what it found."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from hybrid_search.errors import HybridSearchError
from hybrid_search.found import FacetCounts, Highlighted
from hybrid_search.records import DiversityScore, FoundPassage, SparseVector
from hybrid_search.search.asking import Budget, Target
from hybrid_search.search.cursor import Kept
from hybrid_search.search.cursor_binding import Paging
from hybrid_search.search.fusion import Fused
from hybrid_search.search.plan import Plan
from hybrid_search.search.rerank import Reranked
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.steps import Step
from hybrid_search.search_warnings import SearchWarning

Stored = Mapping[str, Any]
"""A stored passage, as the engine returns it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What an engine says of a passage for its highlights.

    Attributes:
        words: by text field, its text and where words of the query are in it.
        weights: of the passage's terms; None where they are not known.
    """

    words: Mapping[str, tuple[str, Sequence[tuple[int, int]]]] = field(default_factory=dict)
    weights: SparseVector | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one query has come.

    Attributes:
        retrieved: what came of its legs.
        fused: their one ranking.
        stored: passages by their ids, those of other queries too.
        lost: passages that could not be fetched.
        ranked: the hits as they will stand, reranked or not; the page is cut from them.
        beyond: the hits of ``fused`` behind those that were fetched.
        ranks: where a cursor kept the list, those of ``ranked``.
        rest: where a cursor kept the list, what is behind ``ranked``.
        diversity: what spread the hits, by their ids (:mod:`hybrid_search.search.diversity`).
        further: other passages of the hits on the page, by their ids.
        facets: what was counted, by name.
        reopened: what came of the legs without the conditions of the filter on one field, by field.
        marked: what engines marked in passages, by their ids.
        highlights: of the hits on the page, by their passages.
        notes: what later stages say, behind what the legs say.
        error: why there is no answer; later stages pass the query over.
    """

    retrieved: Retrieved
    fused: Sequence[Fused] = ()
    stored: Mapping[str, Stored] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    ranked: Sequence[Reranked] = ()
    beyond: Sequence[Fused] = ()
    ranks: Sequence[int] | None = None
    rest: Sequence[Kept] = ()
    diversity: Mapping[str, DiversityScore] = field(default_factory=dict)
    further: Mapping[str, Sequence[FoundPassage]] = field(default_factory=dict)
    facets: Mapping[str, FacetCounts] = field(default_factory=dict)
    reopened: Mapping[str, Retrieved] = field(default_factory=dict)
    marked: Mapping[str, Marked] = field(default_factory=dict)
    highlights: Mapping[str, Sequence[Highlighted]] = field(default_factory=dict)
    notes: tuple[SearchWarning, ...] = ()
    error: HybridSearchError | None = None

    def page(self, plan: Plan) -> Sequence[Reranked]:
        """The hits that are shown."""
        return self.ranked[plan.offset : plan.offset + plan.k]

    def noting(self, *notes: SearchWarning) -> Progress:
        """The same with more to say."""
        return replace(self, notes=(*self.notes, *notes)) if notes else self


class Stopwatch:
    """Wall milliseconds of named steps, and of all of them under ``total``."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._steps: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._steps[step] = self._steps.get(step, 0.0) + (time.perf_counter() - begin) * 1000

    def milliseconds(self) -> dict[str, float]:
        """What was measured so far."""
        return {**self._steps, "total": (time.perf_counter() - self._begin) * 1000}


@dataclass(frozen=True, slots=True)
class Course:
    """What every stage of a search knows: how, where, in what time, the clock for its steps, and what pages need."""

    plan: Plan
    target: Target
    budget: Budget
    clock: Stopwatch = field(default_factory=Stopwatch)
    paging: Paging | None = None


Stage = Callable[[Sequence[Progress], Course], Generator[Step, Any, list[Progress]]]
