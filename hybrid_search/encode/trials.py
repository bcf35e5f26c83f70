"""Which backend, precision and batch size encode a user's own texts fastest here, and how near to torch they stay."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from msgspec.structs import replace

from hybrid_search.encode import load_encoder
from hybrid_search.encode.protocols import EncodedTexts, TextEncoder
from hybrid_search.errors import HybridSearchError
from hybrid_search.records import SparseVector
from hybrid_search.settings import Settings
from hybrid_search.settings.models import COMPUTES

log = logging.getLogger(__name__)

ROUNDS = 3
"""Each way is timed so often, in turns, and its best time counts: neighbours make it slower, never faster."""
BATCHES = (8, 16, 32, 64, 128)
WORTH = 1.05
"""How much faster another batch size must be than the one in use."""

OnTrial = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to encode."""

    backend: str
    precision: str
    batch_size: int

    def within(self, settings: Settings) -> Settings:
        """The settings with this way."""
        return replace(
            settings,
            encode=replace(settings.encode, backend=self.backend, precision=self.precision),
            dense=replace(settings.dense, batch_size=self.batch_size),
            sparse=replace(settings.sparse, batch_size=self.batch_size),
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """What a way does.

    Attributes:
        way: it.
        passages_per_second: of the sample.
        query_ms: median milliseconds for one query.
        agreement: the least cosine, over passages and legs, to torch in float32.
    """

    way: Way
    passages_per_second: float
    query_ms: float
    agreement: float

    @property
    def cost(self) -> float:
        """Time for a passage times time for a query: what is halved counts the same, whichever it is."""
        return self.query_ms / self.passages_per_second


def try_ways(
    settings: Settings,
    passages: Sequence[str],
    queries: Sequence[str],
    *,
    precisions: Sequence[str] = ("fp32",),
    on_trial: OnTrial = lambda _: None,
) -> list[Trial]:
    """Every backend that is installed in every precision asked for, then batch sizes of the best; the best first.

    Args:
        settings: the models; ``encode`` is what is tried.
        passages: a sample, at least one.
        queries: at least one.
        precisions: of ``fp32``, ``bf16``, ``fp16``, ``int8``.
        on_trial: told what is about to be loaded or timed.

    Raises:
        ModelError: torch cannot run the models either.
    """
    first = Way("torch", "fp32", settings.dense.batch_size)
    ways = [replaced for replaced in _ways(first.batch_size, precisions) if replaced != first]
    encoders = {first: load_encoder(first.within(settings))}
    reference = encoders[first].encode_documents(passages)
    for way in ways:
        on_trial(f"{way.backend} {way.precision}")
        try:
            encoders[way] = load_encoder(way.within(settings))
        except HybridSearchError as error:
            log.info("%s in %s is left out: %s", way.backend, way.precision, error)
    trials = _timed(encoders, passages, queries, reference)
    best = min(trials, key=lambda trial: trial.cost)
    on_trial("batch sizes")
    sized = _sized(best, settings, passages, queries, reference)
    faster = max(sized, key=lambda trial: trial.passages_per_second, default=best)
    if faster.passages_per_second < WORTH * best.passages_per_second:
        return sorted([*trials, *sized], key=lambda trial: (trial is not best, trial.cost))
    return sorted([*trials, *sized], key=lambda trial: (trial is not faster, trial.cost))


def _ways(batch_size: int, precisions: Sequence[str]) -> list[Way]:
    return [
        Way(backend, precision, batch_size)
        for backend, computed in COMPUTES.items()
        for precision in computed
        if precision in precisions
    ]


def _sized(
    best: Trial, settings: Settings, passages: Sequence[str], queries: Sequence[str], reference: EncodedTexts
) -> list[Trial]:
    """The best way with other batch sizes."""
    ways = [Way(best.way.backend, best.way.precision, size) for size in BATCHES if size != best.way.batch_size]
    return _timed({way: load_encoder(way.within(settings)) for way in ways}, passages, queries, reference)


def _timed(
    encoders: dict[Way, TextEncoder], passages: Sequence[str], queries: Sequence[str], reference: EncodedTexts
) -> list[Trial]:
    """All of them in turns."""
    found = {way: encoder.encode_documents(passages) for way, encoder in encoders.items()}
    seconds: dict[Way, list[float]] = {way: [] for way in encoders}
    asked: dict[Way, list[float]] = {way: [] for way in encoders}
    for _ in range(ROUNDS):
        for way, encoder in encoders.items():
            begin = time.perf_counter()
            encoder.encode_documents(passages)
            seconds[way].append(time.perf_counter() - begin)
            for query in queries:
                begin = time.perf_counter()
                encoder.encode_queries([query])
                asked[way].append(time.perf_counter() - begin)
    return [
        Trial(way, len(passages) / min(seconds[way]), 1000 * median(asked[way]), alike(found[way], reference))
        for way in encoders
    ]


def alike(found: EncodedTexts, reference: EncodedTexts) -> float:
    """The least cosine of two texts' vectors, over both legs."""
    return min(alike_by_leg(found, reference).values(), default=1.0)


def alike_by_leg(found: EncodedTexts, reference: EncodedTexts) -> dict[str, float]:
    """The least cosine of two texts' vectors, of each leg that both have."""
    least = {}
    if found.dense is not None and reference.dense is not None:
        lengths = np.linalg.norm(found.dense, axis=1) * np.linalg.norm(reference.dense, axis=1)
        least["dense"] = float(np.min((found.dense * reference.dense).sum(axis=1) / np.maximum(lengths, 1e-12)))
    if found.sparse and reference.sparse:
        least["sparse"] = min(map(_cosine, found.sparse, reference.sparse))
    return least


def _cosine(one: SparseVector, other: SparseVector) -> float:
    dot = sum(weight * other.get(term, 0.0) for term, weight in one.items())
    length = math.sqrt(sum(w * w for w in one.values()) * sum(w * w for w in other.values()))
    return dot / length if length else float(not one and not other)
