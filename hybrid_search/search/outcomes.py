"""What can come of a part of a search - encoding, a leg, the fetch, reranking - as one value: it is never half of two.

What a missing part means for the answer is decided in :mod:`hybrid_search.search.degradation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from hybrid_search.errors import EngineTimeoutError, HybridSearchError, ModelBusyError, ModelTimeoutError
from hybrid_search.search_warnings import SearchWarning

T = TypeVar("T")

TIMEOUTS = (EngineTimeoutError, ModelBusyError, ModelTimeoutError)
"""Errors which say that there was no time, and nothing else."""


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """The part answered; ``notes`` say what its answer lacks."""

    value: T
    notes: tuple[SearchWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not answer, and would not if there were more time."""

    error: HybridSearchError


@dataclass(frozen=True, slots=True)
class Late:
    """It had not answered when the time was over."""

    error: HybridSearchError


@dataclass(frozen=True, slots=True)
class Skipped:
    """There was nothing for it to do; ``why`` where somebody would wonder."""

    why: SearchWarning | None = None


Outcome = Found[T] | Failed | Late | Skipped


def missed(error: HybridSearchError) -> Failed | Late:
    """What comes of a part that raised."""
    return Late(error) if isinstance(error, TIMEOUTS) else Failed(error)
