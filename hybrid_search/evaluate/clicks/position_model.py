"""The position-based click model: a hit is clicked if it is looked at, and attracts.

``P(click on d at position k for q) = examination_k * attraction_qd``. Both are estimated by expectation maximisation
from how often each was shown and clicked. Craswell, Zoeter, Taylor, Ramsey: An Experimental Comparison of Click
Position-Bias Models, WSDM 2008; Chuklin, Markov, de Rijke: Click Models for Web Search, 2015, sections 3.2 and 4.3.

The two can be told apart only where documents of the same query were shown at different positions. Examination that is
known, from an experiment or as ``1 / position ** power`` (Joachims, Swaminathan, Schnabel, WSDM 2017), can
be given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid_search.errors import InputError
from hybrid_search.evaluate.clicks.log import ClickLog, Impression

ROUNDS = 2_000
CLOSE = 1e-6
PRIOR = 2.0
"""Impressions, at the mean attraction, that every document is given besides its own: few say little."""

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PositionModel:
    """What was estimated.

    Attributes:
        examination: by position, how likely a hit there is looked at, relative to the position that is looked at most.
        attraction: by query and document, how likely it is clicked where it is looked at like that position.
        left_out: impressions at positions whose examination cannot be told.
    """

    examination: Mapping[int, float]
    attraction: Mapping[tuple[str, str], float]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Counts:
    """Impressions as arrays of one row for each query, document and position."""

    pairs: Sequence[tuple[str, str]]
    positions: Sequence[int]
    pair: Ints
    position: Ints
    shown: Floats
    clicked: Floats


def fit(log: ClickLog, *, examination: Mapping[int, float] | None = None) -> PositionModel:
    """Estimate attraction, and examination where it is not given.

    Args:
        log: what was shown and clicked.
        examination: by position, above 0; positions that it lacks are left out.

    Raises:
        InputError: examination is not given, and no document was shown at two positions.
    """
    kept = set(examination) if examination is not None else comparable_positions(log)
    keys = sorted(key for key in log.shown if key[2] in kept)
    if not keys:
        raise InputError(
            "no document was shown at two positions, so looking and liking cannot be told apart",
            remedy="Say how positions are looked at: --power 1, which is 1 / position",
        )
    counts = _counts(log, keys)
    given = None if examination is None else np.array([examination[k] for k in counts.positions])
    looked, liked = _estimated(counts, given)
    return PositionModel(
        dict(zip(counts.positions, looked.tolist(), strict=True)),
        dict(zip(counts.pairs, liked.tolist(), strict=True)),
        sum(log.shown.values()) - int(counts.shown.sum()),
    )


def comparable_positions(log: ClickLog) -> set[int]:
    """The largest set of positions that are linked by documents which one query showed at several of them."""
    at: dict[tuple[str, str], set[int]] = defaultdict(set)
    for query, document, position in log.shown:
        at[query, document].add(position)
    groups: list[set[int]] = []
    for positions in {frozenset(some) for some in at.values() if len(some) > 1}:
        linked = [group for group in groups if group & positions]
        groups = [group for group in groups if not group & positions] + [set(positions).union(*linked)]
    return max(groups, key=lambda group: (len(group), -min(group)), default=set())


def _counts(log: ClickLog, keys: Sequence[Impression]) -> _Counts:
    pairs = sorted({key[:2] for key in keys})
    positions = sorted({key[2] for key in keys})
    of_pair = {pair: place for place, pair in enumerate(pairs)}
    of_position = {position: place for place, position in enumerate(positions)}
    return _Counts(
        pairs,
        positions,
        np.array([of_pair[key[:2]] for key in keys], dtype=np.intp),
        np.array([of_position[key[2]] for key in keys], dtype=np.intp),
        np.array([log.shown[key] for key in keys], dtype=np.float64),
        np.array([log.clicked[key] for key in keys], dtype=np.float64),
    )


def _estimated(counts: _Counts, given: Floats | None) -> tuple[Floats, Floats]:
    """Examination and attraction, by rounds of expectation and maximisation until neither changes."""
    rate = counts.clicked.sum() / counts.shown.sum()
    looked = np.full(len(counts.positions), 0.5) if given is None else given / given.max()
    liked = np.full(len(counts.pairs), rate)
    per_position = np.bincount(counts.position, counts.shown)
    per_pair = np.bincount(counts.pair, counts.shown)
    for _ in range(ROUNDS):
        examined, attracted = _expected(counts, looked[counts.position], liked[counts.pair])
        mean = attracted.sum() / counts.shown.sum()
        now_liked = (np.bincount(counts.pair, attracted) + PRIOR * mean) / (per_pair + PRIOR)
        now_looked = looked if given is not None else np.bincount(counts.position, examined) / per_position
        change = max(np.abs(now_liked - liked).max(), np.abs(now_looked - looked).max())
        looked, liked = now_looked, now_liked
        if change < CLOSE:
            break
    most = looked.max() if looked.max() > 0 else 1.0
    return looked / most, np.minimum(liked * most, 1.0)


def _expected(counts: _Counts, looked: Floats, liked: Floats) -> tuple[Floats, Floats]:
    """How many impressions of each row were looked at, and how many attracted: all clicked ones, some of the others."""
    unclicked = counts.shown - counts.clicked
    neither = np.maximum(1 - looked * liked, 1e-12)
    examined = counts.clicked + unclicked * looked * (1 - liked) / neither
    attracted = counts.clicked + unclicked * liked * (1 - looked) / neither
    return examined, attracted
