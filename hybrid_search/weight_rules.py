"""Weights of legs that hold for some queries only, by what is known of a query: few words, strange ones, a clear lead.

A rule has a condition on one signal, and the weights of legs where it holds; of several rules the first that holds
counts, and a leg that it does not name weighs what it does otherwise. As settings and command lines write it:

    words <= 2: bm25=0.6 dense=0.3 sparse=0.1
    unknown > 0.5: bm25=2
    gap.dense > 0.4: dense=0.8 bm25=0.2

The signals:

words       pieces of the query between white space
unknown     the share of its words, of letters and digits, that the model's vocabulary has only in pieces, from 0 to 1
gap.LEG     how far the second score of the leg lies below its first, as a share of the way from its first to its lowest
            (in its window; what was not found where that is known), from 0 to 1; 0 where it found nothing

A signal that is not known, as the words of a query of which there are vectors only, makes no rule hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from hybrid_search.errors import QueryError

WORDS, UNKNOWN, GAP = "words", "unknown", "gap"
AT_MOST, ABOVE = "<=", ">"

_RULE = re.compile(
    r"\s*(?P<signal>[\w.\-]+)\s*(?P<comparison>[<>=!]+)\s*(?P<bound>[^\s:]+)\s*:(?P<weights>.*)", re.DOTALL
)
_EXAMPLE = "Write it so: words <= 2: bm25=0.6 dense=0.4."
_CALLED = {AT_MOST: "at most", ABOVE: "more than"}


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of one query; ``unknown`` is None where no vocabulary is, ``gaps`` has those of legs by name."""

    words: int | None = None
    unknown: float | None = None
    gaps: Mapping[str, float] = field(default_factory=dict)

    def of(self, signal: str) -> float | None:
        """The value of ``words``, ``unknown`` or ``gap.LEG``; None where it is not known."""
        if signal in (WORDS, UNKNOWN):
            return self.words if signal == WORDS else self.unknown
        return self.gaps.get(signal.partition(".")[2])


@dataclass(frozen=True, slots=True)
class Condition:
    """A signal that is at most a bound (``<=``), or above it (``>``).

    Raises:
        QueryError: no such signal or comparison, or a bound that no query is on both sides of.
    """

    signal: str
    comparison: str
    bound: float

    def __post_init__(self) -> None:
        kind, _, leg = self.signal.partition(".")
        if self.signal not in (WORDS, UNKNOWN) and (kind != GAP or not leg):
            known = [WORDS, UNKNOWN, f"{GAP}.bm25", f"{GAP}.dense", f"{GAP}.sparse"]
            near = get_close_matches(self.signal, known, n=1, cutoff=0.0)[0]
            remedy = f"Did you mean {near}? There are: {WORDS}, {UNKNOWN}, {GAP}.LEG."
            raise QueryError(f"unknown signal {self.signal!r}", remedy=remedy)
        if self.comparison not in _CALLED:
            remedy = f"There are: {AT_MOST} and {ABOVE}. {_EXAMPLE}"
            raise QueryError(f"unknown comparison {self.comparison!r} of {self.signal}", remedy=remedy)
        is_count = self.signal == WORDS
        if not 0 <= self.bound < (math.inf if is_count else 1):
            remedy = "Give a number of words." if is_count else "Give a share from 0 to below 1."
            raise QueryError(f"the bound of {self.signal} is {self.bound:g}", remedy=remedy)

    @property
    def leg(self) -> str | None:
        """The leg whose gap it is."""
        return self.signal.partition(".")[2] or None

    def holds(self, signals: Signals) -> bool:
        """Whether it does; not for a signal that is not known."""
        value = signals.of(self.signal)
        return value is not None and (value <= self.bound) == (self.comparison == AT_MOST)

    def __str__(self) -> str:
        return f"{self.signal} {self.comparison} {self.bound:g}"

    @property
    def in_words(self) -> str:
        """What queries these are: ``queries of at most 2 words``."""
        compared = f"{_CALLED[self.comparison]} {self.bound:g}"
        if self.signal == WORDS:
            return f"queries of {compared} word{'s' * (self.bound != 1)}"
        share = f"{_CALLED[self.comparison]} {self.bound:.0%}"
        if self.signal == UNKNOWN:
            return f"queries of whose words {share} are unknown to the model"
        return f"queries whose first {self.leg} hit leads by {share} of the leg's scores"


@dataclass(frozen=True, slots=True)
class WeightRule:
    """The weights of legs, ``(leg, weight)``, for queries of which a condition holds.

    Raises:
        QueryError: no weight, one that is negative or not finite, a leg twice, or only weights of 0.
    """

    condition: Condition
    weights: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        legs = [leg for leg, _ in self.weights]
        if not legs:
            raise QueryError(f"the rule {self.condition} gives no weights", remedy=_EXAMPLE)
        if twice := [leg for leg in legs if legs.count(leg) > 1]:
            raise QueryError(f"the rule {self.condition} weighs {twice[0]} twice", remedy="Leave one out.")
        for leg, weight in self.weights:
            if not (math.isfinite(weight) and weight >= 0):
                what = f"the weight {weight} of the {leg} leg in the rule {self.condition} must be 0 or more"
                raise QueryError(what, remedy="Give weights such as bm25=0.3; 0 leaves a leg out.")

    def __str__(self) -> str:
        return f"{self.condition}: {' '.join(f'{leg}={weight:g}' for leg, weight in self.weights)}"

    @property
    def in_words(self) -> str:
        """The whole rule: ``queries of at most 2 words: bm25 .6, dense .4``."""
        weights = ", ".join(f"{leg} {f'{weight:g}'.removeprefix('0') or '0'}" for leg, weight in self.weights)
        return f"{self.condition.in_words}: {weights}"

    @property
    def legs(self) -> dict[str, float]:
        """The weights by the names of their legs."""
        return dict(self.weights)

    def among(self, legs: Collection[str]) -> WeightRule | None:
        """The same for these legs; None where it says nothing of them."""
        kept = tuple((leg, weight) for leg, weight in self.weights if leg in legs)
        return replace(self, weights=kept) if kept else None


def parse_rule(text: str) -> WeightRule:
    """The rule of a text.

    Raises:
        QueryError: it cannot be read, or a value is out of range.
    """
    found = _RULE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise QueryError(f"{text!r} is no rule for weights", remedy=_EXAMPLE)
    bound = _number(found["bound"], f"the bound {found['bound']!r} in {text!r}")
    weights = tuple(_weight(part, text) for part in found["weights"].replace(",", " ").split())
    return WeightRule(Condition(found["signal"], found["comparison"], bound), weights)


def _weight(part: str, text: str) -> tuple[str, float]:
    leg, equals, weight = part.partition("=")
    if not (leg and equals):
        raise QueryError(f"{part!r} in {text!r} is no weight", remedy=_EXAMPLE)
    return leg, _number(weight, f"the weight {part!r} in {text!r}")


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise QueryError(f"{what} is no number", remedy=_EXAMPLE) from None


def words_of(text: str) -> int:
    """Pieces between white space."""
    return len(text.split())


def gap_of(scores: Sequence[float], missing: float | None = None) -> float:
    """How far the second of descending scores lies below the first, as a share of the way to the lowest.

    Args:
        scores: of a leg's hits, within its window.
        missing: what a document scores that it did not find, where that is known.
    """
    known = [*scores, *([] if missing is None else [missing])]
    if not scores:
        return 0.0
    if len(known) == 1:
        return 1.0
    first, second, lowest = scores[0], known[1], min(known)
    return min(1.0, (first - second) / (first - lowest)) if first > lowest else 0.0


_LETTERS = re.compile(r"\w+")


def unknown_share(text: str, tokens: Sequence[tuple[int, int]]) -> float | None:
    """The share of the words of letters and digits in which a token begins that is not their first.

    Args:
        text: of the query.
        tokens: where each token begins and ends.

    Returns:
        None where there is no such word.
    """
    words = [match.span() for match in _LETTERS.finditer(text)]
    if not words:
        return None
    begun = sorted({start for start, end in tokens if end > start})
    return sum(any(start < token < end for token in begun) for start, end in words) / len(words)
