"""Fusion: several ranked runs in, one ranking out, with every leg's share of every score.

All methods have one shape. A function turns the descending scores of one leg into what each rank is worth; a hit's
contribution is ``weight * worth``, its fused score the sum of its contributions. What a leg did not find within its
window contributes 0 from that leg. What this 0 stands for differs and is said at each function.

Where BM25 or the sparse leg found fewer documents than its window holds, it is known what the others scored: they
share no term with the query, so 0 (:class:`~hybrid_search.search.leg.SearchLeg`). The functions take this as
``missing``; it is None where it is not known.
On NFCorpus, whose queries are often one rare word, it is worth .0036 nDCG@10 (dev) to min-max.

Pure functions on ids and numbers: no engine, no vectors, no text. Not here: collapsing passages to documents
(before: :mod:`hybrid_search.search.collapse`) and reranking (after: :mod:`hybrid_search.search.rerank`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import chain, repeat
from operator import itemgetter, mul
from types import MappingProxyType
from typing import NamedTuple, overload

from hybrid_search.errors import QueryError
from hybrid_search.records import LegScore, Placed
from hybrid_search.weight_rules import Signals, WeightRule

Run = Sequence[tuple[str, float]]
Runs = Mapping[str, Run]

RANK_CONSTANT = 60


_NONE: Mapping[str, float] = MappingProxyType({})


class Fused(NamedTuple):
    """One id of the fused ranking: ``score`` is the sum of the contributions in ``legs``, or ``unboosted`` is.

    The other fields are those of :mod:`hybrid_search.search.boosts`: factors by name, and where it is placed.
    A search makes some hundreds of them: of a frozen dataclass each takes ten times as long.
    """

    id: str
    score: float
    legs: Mapping[str, LegScore]
    boosts: Mapping[str, float] = _NONE
    unboosted: float | None = None
    placed: Placed | None = None

    @property
    def fused(self) -> float:
        """The score of the fusion, before boosts."""
        return self.score if self.unboosted is None else self.unboosted


def reciprocal_rank(
    scores: Sequence[float], missing: float | None = None, *, rank_constant: int = RANK_CONSTANT
) -> list[float]:
    """Reciprocal rank fusion: rank r is worth ``1 / (rank_constant + r)``, whatever the scores.

    Cormack, Clarke, Büttcher: Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods,
    SIGIR 2009. A missing hit is one at an infinite rank.
    """
    del missing
    return [1 / (rank_constant + rank) for rank in range(1, len(scores) + 1)]


def min_max(scores: Sequence[float], missing: float | None = None) -> list[float]:
    """From 0 at the lowest score to 1 at the highest: ``(s - min) / (max - min)``.

    One of the normalisations compared by Bruch, Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval,
    ACM TOIS 42(1), 2023, arXiv 2210.11934. A missing hit has the lowest score: its own where that is known, else
    that of the last in the window.
    """
    lowest = _lowest(scores, missing)
    return _scaled(scores, lowest=lowest, span=max(scores, default=lowest) - lowest)


def z_score(scores: Sequence[float], missing: float | None = None) -> list[float]:
    """Standard scores, moved so that the lowest is 0: ``(s - min) / standard deviation``.

    Bruch, Gai, Ingber (see :func:`min_max`) use ``(s - mean) / deviation``. Moving all scores of a leg, the missing
    ones too, by the same amount changes no ranking, and keeps contributions from being negative. A missing hit has
    the lowest score, as in :func:`min_max`, not the mean.

    Mean, deviation and lowest are of one population: the scores, and ``missing`` as one more where it is known. So no
    score is further than ``sqrt(n - 1)`` deviations from the mean of n, however close to each other the found ones are.
    """
    population = [*scores, *([] if missing is None else [missing])]
    if not population:
        return []
    mean = math.fsum(population) / len(population)
    deviation = math.sqrt(math.fsum((s - mean) ** 2 for s in population) / len(population))
    return _scaled(scores, lowest=min(population), span=deviation)


def theoretical_minimum(scores: Sequence[float], missing: float | None = None, *, lowest: float = 0.0) -> list[float]:
    """From 0 at the lowest score that the leg could give to 1 at the highest of the run: ``(s - low) / (max - low)``.

    The normalisation that Bruch, Gai, Ingber (see :func:`min_max`) recommend. ``lowest`` is 0 for all three legs:
    BM25 and dot products of positive weights are 0 without a common term, and both engines report a cosine as
    ``(1 + cosine) / 2``, 0 at -1. A missing hit is taken to score the theoretical minimum, known or not. A score below
    ``lowest`` shows that the minimum lies there: no hit is worth less than one that was not found.
    """
    del missing
    lowest = min(lowest, *scores) if scores else lowest
    return _scaled(scores, lowest=lowest, span=max(scores, default=lowest) - lowest)


def _lowest(scores: Sequence[float], missing: float | None) -> float:
    return min([*scores, *([] if missing is None else [missing])], default=0.0)


def _scaled(scores: Iterable[float], *, lowest: float, span: float) -> list[float]:
    """``(s - lowest) / span``; where all scores are equal each is worth 1: found, which a missing hit was not."""
    return [(s - lowest) / span for s in scores] if span > 0 else [1.0 for _ in scores]


METHODS: Mapping[str, Callable[[Sequence[float], float | None], list[float]]] = MappingProxyType(
    {"rrf": reciprocal_rank, "min-max": min_max, "z-score": z_score, "theoretical-min": theoretical_minimum}
)

SERVER = "server"
"""The method that leaves reciprocal rank fusion to the engine (:mod:`hybrid_search.search.server_fusion`)."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """How runs are fused: a method of :data:`METHODS` or :data:`SERVER`, weights of legs, and RRF's rank constant.

    Without ``weights`` all legs weigh the same. With them, every leg that searches needs one; 0 leaves a leg out: it is
    neither encoded nor searched, and finds nothing. Reciprocal ranks take
    weights as they are (1 by default: the published formula); the other methods divide them by their sum, a convex
    combination.

    ``rules`` give some queries other weights (:mod:`hybrid_search.weight_rules`): :meth:`for_query` makes the fusion of
    one query, which has none, and in ``by_rule`` the one that held.

    Raises:
        QueryError: an unknown method, a weight that is negative or not finite, a negative rank constant.
    """

    method: str = "min-max"
    weights: Mapping[str, float] = field(default_factory=dict)
    rank_constant: int = RANK_CONSTANT
    rules: tuple[WeightRule, ...] = ()
    by_rule: WeightRule | None = None

    def __post_init__(self) -> None:
        known = [*METHODS, SERVER]
        if self.method not in known:
            nearest = get_close_matches(self.method, known, n=1, cutoff=0.0)[0]
            raise QueryError(
                f"unknown fusion {self.method!r}",
                remedy=f"Did you mean {nearest!r}? There are: {', '.join(known)}.",
            )
        for leg, weight in self.weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise QueryError(
                    f"the weight {weight} of the {leg} leg is not a finite number of 0 or more",
                    remedy="Give weights such as bm25=0.3; 0 leaves a leg out.",
                )
        if self.rank_constant < 0:
            raise QueryError(
                f"the rank constant {self.rank_constant} is negative", remedy=f"{RANK_CONSTANT} is the usual one."
            )

    def __hash__(self) -> int:
        """Of what is compared; the order of weights does not matter."""
        return hash((self.method, frozenset(self.weights.items()), self.rank_constant, self.rules, self.by_rule))

    @property
    def by_server(self) -> bool:
        """Whether the engine fuses."""
        return self.method == SERVER

    @property
    def by_ranks(self) -> bool:
        """Whether only ranks count: with a rank constant, and weights as they are."""
        return self.method in ("rrf", SERVER)

    @property
    def label(self) -> str:
        """The method and what is not its default, for tables and explanations: ``rrf 20 bm25=0.5``."""
        constant = [str(self.rank_constant)] if self.by_ranks and self.rank_constant != RANK_CONSTANT else []
        weights = [f"{leg}={weight:g}" for leg, weight in self.weights.items() if weight != 1]
        rules = [f"(rule: {rule})" for rule in self.rules]
        held = [] if self.by_rule is None else [f"({self.by_rule.condition})"]
        return " ".join([self.method, *constant, *weights, *rules, *held])

    def among(self, legs: Collection[str]) -> Fusion:
        """The same with the weights of ``legs`` only: those of others are no part of what is done."""
        weights = {leg: weight for leg, weight in self.weights.items() if leg in legs}
        rules = tuple(kept for rule in self.rules if (kept := rule.among(legs)) is not None)
        return replace(self, weights=weights, rules=rules)

    def having_a_say(self, legs: Iterable[str]) -> tuple[str, ...]:
        """Those of ``legs`` that do not weigh 0, or not under each rule."""
        ruled = {leg for rule in self.rules for leg, weight in rule.weights if weight > 0}
        return tuple(leg for leg in legs if self.weights.get(leg, 1.0) > 0 or leg in ruled)

    def for_query(self, signals: Signals, legs: Collection[str]) -> Fusion:
        """The fusion of one query, without rules: the weights of the first that holds, else those of all queries.

        Weights that are all 0 for ``legs``, those that answered, are passed over; where there are no others, the legs
        weigh the same: what one leg did not find because another failed is better than nothing.
        """
        if not self.rules:
            return self
        usual = {leg: self.weights.get(leg, 1.0) for leg in legs}
        held = next((rule for rule in self.rules if rule.condition.holds(signals)), None)
        if held is not None and (rule := held.among(legs)) is not None and any((weights := usual | rule.legs).values()):
            return replace(self, weights=weights, rules=(), by_rule=held)
        if legs and not any(usual.values()):
            usual = dict.fromkeys(legs, 1.0)
        return replace(self, weights=usual, rules=())

    def worths(self, scores: Sequence[float], missing: float | None = None) -> list[float]:
        """What each of one leg's descending scores is worth, before its weight."""
        if self.by_ranks:
            return reciprocal_rank(scores, rank_constant=self.rank_constant)
        return METHODS[self.method](scores, missing)

    def shares(self, legs: Iterable[str]) -> dict[str, float]:
        """The weight of each of ``legs``.

        Raises:
            QueryError: weights are given, but not for each of these legs, or all of theirs are 0.
        """
        searched = list(legs)
        if not self.weights:
            weights = dict.fromkeys(searched, 1.0)
        elif missing := [leg for leg in searched if leg not in self.weights]:
            raise QueryError(
                f"the weights name no {' and no '.join(missing)} leg, which searches too",
                remedy="Give every leg a weight, 0 to leave it out, or name fewer legs.",
            )
        else:
            weights = {leg: self.weights[leg] for leg in searched}
        total = math.fsum(weights.values())
        if searched and not total > 0:
            raise QueryError("all weights are 0", remedy="Give at least one leg a positive weight.")
        return weights if self.by_ranks else {leg: weight / total for leg, weight in weights.items()}


_ID, _SCORE = itemgetter(0), itemgetter(1)


def in_order(run: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """The run by descending score, ties by id: engines break ties by shard and segment, which no client can repeat."""
    by_score = sorted(run, key=_SCORE, reverse=True)  # runs come so: there is little to sort
    if len(set(map(_SCORE, by_score))) < len(by_score):
        by_score.sort(key=_ID)
        by_score.sort(key=_SCORE, reverse=True)  # equal ones stay as they are
    return by_score


@dataclass(frozen=True, slots=True)
class _FusedLeg:
    """One leg's scores in rank order, what each contributes, and the places of the ids in both, counted from 0."""

    places: Mapping[str, int]
    scores: Sequence[float]
    contributions: Sequence[float]


class FusedRanking(Sequence[Fused]):
    """What :func:`fuse` makes: ids and their scores in rank order; a hit is made when it is looked at.

    A search looks at those of its page, and fuses some hundreds.
    """

    __slots__ = ("_factors", "_legs", "_made", "_scores", "ids")

    def __init__(
        self,
        ids: Sequence[str],
        scores: Sequence[float],
        legs: Mapping[str, _FusedLeg],
        factors: Mapping[str, float] = _NONE,
    ) -> None:
        self.ids, self._scores, self._legs, self._factors = ids, scores, legs, factors
        self._made: dict[int, Fused] = {}

    @overload
    def __getitem__(self, place: int) -> Fused: ...

    @overload
    def __getitem__(self, place: slice) -> FusedRanking: ...

    def __getitem__(self, place: int | slice) -> Fused | FusedRanking:
        if isinstance(place, slice):
            return FusedRanking(self.ids[place], self._scores[place], self._legs, self._factors)
        if (made := self._made.get(place)) is None:
            made = self._made[place] = self._hit(self.ids[place], self._scores[place])
        return made

    def __iter__(self) -> Iterator[Fused]:
        return map(self.__getitem__, range(len(self.ids)))

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as that of a list

    def __repr__(self) -> str:
        return f"FusedRanking({list(self)!r})"

    def _hit(self, id_: str, score: float) -> Fused:
        factor = self._factors.get(id_, 1.0)
        found = {
            name: LegScore(place + 1, leg.scores[place], leg.contributions[place] * factor)
            for name, leg in self._legs.items()
            if (place := leg.places.get(id_)) is not None
        }
        return Fused(id_, score, found)


def ids_of(hits: Sequence[Fused]) -> Sequence[str]:
    """The ids of a ranking, without looking at its hits where they need not be made."""
    return hits.ids if isinstance(hits, FusedRanking) else [hit.id for hit in hits]


def fuse(
    runs: Runs,
    fusion: Fusion,
    *,
    missing: Mapping[str, float] | None = None,
    unseen: Mapping[str, Collection[str]] | None = None,
) -> FusedRanking:
    """One ranking of all ids in ``runs``, by descending fused score, ties by id.

    A leg that cannot see an id, because it has no vectors yet, judges it as the mean of the legs that can: their
    contributions are multiplied by the weight of all legs over their own. So the id is worth what it would be if every
    such leg had given it what those gave, and no less for what it has not got yet.

    Args:
        runs: for each leg ``(id, score)`` pairs, ids unique within a leg; a leg that failed is left out, and the
            others share its weight; so is one that weighs 0. The order of legs and of pairs does not matter.
        fusion: the method, its weights and constants.
        missing: what those documents scored that a leg did not find, where that is known.
        unseen: the legs that cannot see an id, by the id.

    Raises:
        QueryError: the weights do not fit the legs.
    """
    shares, given = fusion.shares(runs), missing or {}
    legs = {leg: _leg(runs[leg], fusion, shares[leg], given.get(leg)) for leg in fusion.having_a_say(runs)}
    ids = list(dict.fromkeys(chain.from_iterable(leg.places for leg in legs.values())))
    shared = [dict(zip(leg.places, leg.contributions, strict=True)) for leg in legs.values()]
    totals = map(math.fsum, zip(*(map(found.get, ids, repeat(0.0)) for found in shared), strict=True))
    factors = _factors(unseen or {}, {leg: shares[leg] for leg in legs})
    if factors:
        totals = map(mul, totals, map(factors.get, ids, repeat(1.0)))
    ranked = in_order(zip(ids, totals, strict=True))
    return FusedRanking([id_ for id_, _ in ranked], [score for _, score in ranked], legs, factors)


def _factors(unseen: Mapping[str, Collection[str]], shares: Mapping[str, float]) -> dict[str, float]:
    """What the contributions of ids are multiplied by that some legs cannot see."""
    whole, found = math.fsum(shares.values()), {}
    for id_, blind in unseen.items():
        seeing = math.fsum(share for leg, share in shares.items() if leg not in blind)
        if seeing > 0:
            found[id_] = whole / seeing
    return found


def _leg(run: Run, fusion: Fusion, share: float, missing: float | None) -> _FusedLeg:
    ranked = in_order(run)
    scores = [score for _, score in ranked]
    places = dict(zip(map(_ID, ranked), range(len(ranked)), strict=True))
    return _FusedLeg(places, scores, [share * worth for worth in fusion.worths(scores, missing)])
