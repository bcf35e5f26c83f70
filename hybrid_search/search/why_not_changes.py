"""The smallest change of a search that brings a document into its first hits: arithmetic over the runs of the legs.

Weights. With the weights ``w`` and worths ``v`` of the legs, a document scores ``sum(w * v)``; dividing by the sum of
the weights changes no order. As a function of one weight ``x`` it is a line ``a + x * b``: another document stands
above where its line does, and that changes where two lines cross. So the crossings, in order, say at which ``x`` how
many stand above; the first with few enough is the smallest change of this weight. The number is then rounded to few
digits, away from the weight that it was, and the runs are fused again with it. A boost multiplies both ``a`` and ``b``;
what is pinned stands above whatever its line, what is buried below.

Window. The runs of a wider search are cut at a window and fused. What a longer run is worth is not monotone (min-max
measures from the last of the window), so that windows are tried one after the other, in small steps.

Pure functions on runs; nothing is searched here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hybrid_search.records import Placed
from hybrid_search.search.boosts import Boosts, Values, boosted, parted
from hybrid_search.search.fusion import Fused, Fusion, Runs, fuse, ids_of, in_order
from hybrid_search.search.rerank import combine
from hybrid_search.search.why_not_records import Change

STEP = 1.15
"""Each window that is tried is so much wider than the one before."""

MOST_TIMES = 100.0
"""A weight that would have to be more times larger or smaller is no change that anybody wants."""

_DIGITS = (2, 3, 4, 6)


@dataclass(frozen=True, slots=True)
class Found:
    """What the legs found, and how it is fused.

    Attributes:
        runs: ``(id, score)`` pairs by leg.
        missing: what those scored that a leg did not find, where that is known.
        fusion: the method with its weights.
        boosts: what is done to the fused ranking.
        values: of the hits, by id, for the boosts.
        added: pinned documents that no leg found.
    """

    runs: Runs
    missing: Mapping[str, float]
    fusion: Fusion
    boosts: Boosts = field(default_factory=Boosts)
    values: Mapping[str, Values] = field(default_factory=dict)
    added: tuple[str, ...] = ()

    def fused(self, fusion: Fusion | None = None) -> Sequence[Fused]:
        """One ranking, boosted."""
        hits = fuse(self.runs, self.fusion if fusion is None else fusion, missing=self.missing)
        if not (self.boosts.rules or self.boosts.pinned or self.boosts.buried):
            return hits
        known = set(hits.ids)
        added = [Fused(id_, 0.0, {}, placed=Placed.ADDED) for id_ in self.added if id_ not in known]
        hits_and_pins = [*hits, *added]
        return boosted(hits_and_pins, self.boosts, self.values, {hit.id: hit.id for hit in hits_and_pins})


def rank_in(fused: Sequence[Fused], id_: str) -> int | None:
    """The rank of an id, from 1."""
    ids = ids_of(fused)
    return ids.index(id_) + 1 if id_ in ids else None


def weight_changes(found: Found, id_: str, top: int) -> list[Change]:
    """For each leg whose weight can do it alone, the smallest change that brings ``id_`` to rank ``top``.

    The smallest of them, by how many times the weight is another, comes first.
    """
    weights = {leg: found.fusion.weights.get(leg, 1.0) for leg in found.fusion.having_a_say(found.runs)}
    made: list[tuple[float, Change]] = []
    for leg, weight in weights.items():
        for wanted in _wanted_weights(found, leg, id_, top):
            given = replace(found.fusion, weights={**found.fusion.weights, **weights, leg: wanted})
            rank = rank_in(found.fused(given), id_)
            if rank is not None and rank <= top:
                setting = ",".join(f"{name}={value:g}" for name, value in {**weights, leg: wanted}.items())
                made.append((abs(math.log(wanted / weight)), Change("weights", setting, rank)))
                break
    return [change for _, change in sorted(made, key=lambda one: one[0])]


def _wanted_weights(found: Found, leg: str, id_: str, top: int) -> Iterator[float]:
    """Weights of one leg that may do it: the nearest crossings on both sides, rounded away from what it weighs."""
    weight = found.fusion.weights.get(leg, 1.0)
    above, fused, _ = parted(found.fused())
    place, top = rank_in(fused, id_), top - len(above)
    if place is None:
        return
    unit = weight / found.fusion.shares(found.runs)[leg]
    factors = np.array([math.prod(hit.boosts.values()) for hit in fused])
    worth = factors * [hit.legs[leg].contribution * unit if leg in hit.legs else 0.0 for hit in fused]
    rest = factors * [unit * math.fsum(one.contribution for one in hit.legs.values()) for hit in fused] - worth
    slope, level = np.delete(worth - worth[place - 1], place - 1) / weight, np.delete(rest - rest[place - 1], place - 1)
    nearest = [x for x in (_crossing(slope, level, weight, top, up=up) for up in (True, False)) if x is not None]
    for x in sorted(nearest, key=lambda x: abs(math.log(x / weight))):
        yield from _rounded(x, up=x > weight)


def _crossing(
    slope: NDArray[np.float64], level: NDArray[np.float64], weight: float, top: int, *, up: bool
) -> float | None:
    """The nearest weight above (below) ``weight`` from which on fewer than ``top`` lines are above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        at = -level / slope
    low, high = (weight, weight * MOST_TIMES) if up else (weight / MOST_TIMES, weight)
    inside = np.isfinite(at) & (at >= low) & (at <= high) & (slope != 0)
    order = np.argsort(at[inside], kind="stable")
    order = order if up else order[::-1]
    crossings, falls = at[inside][order], slope[inside][order] < 0
    beyond = weight * (1 + 1e-12) if up else weight * (1 - 1e-12)
    value = level + beyond * slope
    above = int((value > 0).sum())
    steps = np.where(falls == up, -1, 1)
    at_once = crossings == weight  # already counted, on the side that is walked to
    counts = above + np.cumsum(np.where(at_once, 0, steps))
    reached = np.flatnonzero(counts < top)
    return float(crossings[reached[0]]) if len(reached) else None


def _rounded(x: float, *, up: bool) -> Iterator[float]:
    """``x`` to ever more digits, away from where one comes from, and a little beyond."""
    for digits in _DIGITS:
        unit = 10.0 ** (math.floor(math.log10(x)) + 1 - digits)
        steps = math.ceil(x / unit) if up else math.floor(x / unit)
        for further in (0, 1):
            value = float(f"{(steps + further if up else steps - further) * unit:.{digits}g}")
            if value > 0:
                yield value


def windows_to_try(found: Found, id_: str, window: int, widest: int) -> list[int]:
    """Windows above ``window``: those at which a leg comes to hold the document, and others in small steps."""
    ranks = [rank for run in found.runs.values() if (rank := _place(run, id_)) is not None]
    tried = {rank for rank in ranks if rank > window}
    width = float(window)
    while width < widest:
        width = min(widest, max(width + 1, width * STEP))
        tried.add(int(width))
    return sorted(one for one in tried if window < one <= widest)


def _place(run: Sequence[tuple[str, float]], id_: str) -> int | None:
    return next((rank for rank, (found, _) in enumerate(in_order(run), start=1) if found == id_), None)


def cut_at(found: Found, window: int) -> Found:
    """What the legs would have found with a narrower window."""
    runs = {leg: in_order(run)[:window] for leg, run in found.runs.items()}
    missing = {leg: score for leg, score in found.missing.items() if len(found.runs[leg]) < window}
    return replace(found, runs=runs, missing=missing)


def wider_windows(found: Found, id_: str, top: int, window: int, widest: int) -> Iterator[int]:
    """Windows up to ``widest`` with which the document is among the first ``top``, the narrowest first.

    Args:
        found: the runs of a search with the window ``widest``.
        id_: the document.
        top: the last rank that will do.
        window: that of the search as it was.
        widest: that of ``found``.
    """
    for tried in windows_to_try(found, id_, window, widest):
        rank = rank_in(cut_at(found, tried).fused(), id_)
        if rank is not None and rank <= top:
            yield tried


def rerank_change(fused: Sequence[Fused], scores: Sequence[float], weight: float, id_: str, top: int) -> Change | None:
    """The reranker's share nearest to ``weight``, in hundredths, with which the document is among the first ``top``."""
    above, hits, _ = parted(fused)
    shares = sorted((n / 100 for n in range(101)), key=lambda share: (abs(share - weight), share))
    for share in shares:
        rank = rank_in([*above, *(one.hit for one in combine(hits, scores, share))], id_)
        if rank is not None and rank <= top:
            return Change("rerank-weight", f"{share:g}", rank)
    return None
