"""What a hit says of why it stands where it does, one record per stage of the ranking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class LegScore:
    """Where one leg found a hit: rank from 1, the engine's score, and its share of the fused score."""

    rank: int
    score: float
    contribution: float


@dataclass(frozen=True, slots=True)
class RerankScore:
    """What reranking did to a hit: its rank before (from 1), the reranker's raw score, and the combined score."""

    rank_before: int
    score: float
    combined: float


@dataclass(frozen=True, slots=True)
class DiversityScore:
    """What put a hit where it is: ``score = (1 - weight) * relevance - weight * similarity``.

    ``rank_before`` counts from 1; ``relevance`` is its score, from 0 to 1 over the window; ``similarity`` is the
    largest cosine of its vector and that of a hit above it, 0 for the first.
    """

    rank_before: int
    relevance: float
    similarity: float
    score: float


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """Another passage of a hit, with its place in the document, its score among all passages, and that of each leg."""

    id: str
    text: str
    start: int
    end: int
    score: float
    legs: Mapping[str, LegScore]


class Placed(StrEnum):
    """Where a document stands whatever its score: first, first though no leg found it, or behind all others."""

    PINNED = "pinned"
    ADDED = "pinned-unfound"
    BURIED = "buried"
