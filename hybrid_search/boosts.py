"""Business rules for a ranking, as values: the fresher, the more sold, the better - within bounds that are stated.

A boost reads one field and says what a document is worth by it, from 0 to 1. Its factor on the fused score is
``1 + weight * worth``: nothing is ever lowered, and no boost does more than ``1 + weight``. A document without a value
is worth ``missing``, 0 unless it is said otherwise: its factor is 1.

Each has a short form for settings and command lines, ``kind:field,first,name=value``:

    fresh:published,30d                 worth .5 after 30 days, .25 after 60
    fresh:published,30d,curve=gauss,offset=7d,decay=.3,weight=2
    log1p:sold,10000                    worth 1 from 10,000 sold on
    saturation:rating,4,weight=.5       worth .5 at 4
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, ClassVar

from hybrid_search.errors import QueryError

NOW = "now"
MAX_WEIGHT = 1000.0

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_557_600_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d|w|y)")

CURVES: Mapping[str, Callable[[float, float, float], float]] = {
    "exp": lambda far, scale, decay: decay ** (far / scale),
    "gauss": lambda far, scale, decay: decay ** ((far / scale) ** 2),
    "linear": lambda far, scale, decay: max(0.0, 1 - (1 - decay) * far / scale),
}
"""The decay functions of both engines' ``function_score``: 1 at a distance of 0, ``decay`` at one of ``scale``.

``exp(ln(decay) / scale * far)``, ``exp(-far^2 / (2 sigma^2))`` with ``sigma^2 = -scale^2 / (2 ln(decay))``, and
``(s - far) / s`` with ``s = scale / (1 - decay)``.
"""


class _Named:
    """What every boost is called."""

    __slots__ = ()
    kind: ClassVar[str]
    field: str

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{self.kind}:{self.field}"


@dataclass(frozen=True, slots=True)
class Fresh(_Named):
    """The nearer a date is to ``origin``, on either side of it, the better; of several dates the nearest counts.

    Attributes:
        field: a date field that can be filtered on.
        scale: a duration (``12h``, ``30d``, ``8w``, ``1y``): how far beyond ``offset`` a date is worth ``decay``.
        offset: dates no further than this are worth 1.
        decay: from 0 to 1, both excluded.
        curve: ``exp``, ``gauss`` or ``linear`` (:data:`CURVES`).
        origin: ``now``, a date, or epoch milliseconds.
        weight: the factor is at most ``1 + weight``.
        missing: what a document is worth that has no date, from 0 to 1.

    Raises:
        QueryError: a value out of range.
    """

    kind: ClassVar[str] = "fresh"
    of: ClassVar[str] = "date"

    field: str
    scale: str = "30d"
    offset: str = "0d"
    decay: float = 0.5
    curve: str = "exp"
    origin: str | int = NOW
    weight: float = 1.0
    missing: float = 0.0

    def __post_init__(self) -> None:
        _check_common(self)
        if not milliseconds(self.scale, self.name) >= 1:
            raise _wrong(self, f"a scale of {self.scale}", "Give a duration of a millisecond or more, such as 30d.")
        milliseconds(self.offset, self.name)
        if not 0 < self.decay < 1:
            raise _wrong(self, f"a decay of {self.decay}", "Give a number between 0 and 1; .5 is usual.")
        if self.curve not in CURVES:
            raise _wrong(self, f"unknown curve {self.curve!r}", f"There are: {', '.join(CURVES)}.")

    def worth(self, dates: Sequence[float], origin: float) -> float:
        """From 0 to 1, of epoch milliseconds."""
        if not dates:
            return self.missing
        scale, offset = milliseconds(self.scale, self.name), milliseconds(self.offset, self.name)
        far = max(0.0, min(abs(date - origin) for date in dates) - offset)
        return CURVES[self.curve](far, scale, self.decay)


class _OfNumbers(_Named, ABC):
    """The more the better: of several numbers the largest counts, and none counts less than 0."""

    __slots__ = ()
    of: ClassVar[str] = "number"
    missing: float

    def worth(self, numbers: Sequence[float], _origin: float) -> float:
        """From 0 to 1."""
        return self._worth(max(0.0, *numbers)) if numbers else self.missing

    @abstractmethod
    def _worth(self, most: float) -> float:
        """Of the largest number, which is not below 0."""


@dataclass(frozen=True, slots=True)
class Log1p(_OfNumbers):
    """The more the better, by orders of magnitude: ``ln(1 + n) / ln(1 + full)``, at most 1; of several the largest.

    Attributes:
        field: a number field that can be filtered on; what is below 0 counts as 0.
        full: the number from which on a document is worth 1; above 0.
        weight: the factor is at most ``1 + weight``.
        missing: what a document is worth that has no number, from 0 to 1.

    Raises:
        QueryError: a value out of range.
    """

    kind: ClassVar[str] = "log1p"

    field: str
    full: float
    weight: float = 1.0
    missing: float = 0.0

    def __post_init__(self) -> None:
        _check_common(self)
        _check_above_zero(self, "full")

    def _worth(self, most: float) -> float:
        return min(1.0, math.log1p(most) / math.log1p(self.full))


@dataclass(frozen=True, slots=True)
class Saturation(_OfNumbers):
    """The more the better, ever less so: ``n / (n + pivot)``, as of the engines' ``rank_feature``; largest of several.

    Craswell, Robertson, Zaragoza, Taylor: Relevance Weighting for Query Independent Evidence, SIGIR 2005.

    Attributes:
        field: a number field that can be filtered on; what is below 0 counts as 0.
        pivot: the number at which a document is worth .5; above 0.
        weight: the factor is below ``1 + weight``.
        missing: what a document is worth that has no number, from 0 to 1.

    Raises:
        QueryError: a value out of range.
    """

    kind: ClassVar[str] = "saturation"

    field: str
    pivot: float
    weight: float = 1.0
    missing: float = 0.0

    def __post_init__(self) -> None:
        _check_common(self)
        _check_above_zero(self, "pivot")

    def _worth(self, most: float) -> float:
        return 1 / (1 + self.pivot / most) if most > 0 else 0.0


Boost = Fresh | Log1p | Saturation
KINDS: Mapping[str, type[Boost]] = {kind.kind: kind for kind in (Fresh, Log1p, Saturation)}

_EXAMPLE = "Write it so: fresh:published,30d or saturation:sold,100,weight=.5."


def parse_boost(text: str) -> Boost:
    """The boost of a short form.

    Raises:
        QueryError: it cannot be read, or a value is out of range.
    """
    kind, colon, rest = text.partition(":")
    if not colon:
        raise QueryError(f"{text!r} is no boost", remedy=_EXAMPLE)
    made = KINDS.get(kind.strip())
    if made is None:
        remedy = f"Did you mean {_nearest(kind.strip(), KINDS)}? There are: {', '.join(KINDS)}."
        raise QueryError(f"unknown boost {kind.strip()!r}", remedy=remedy)
    field, *parts = (part.strip() for part in rest.split(","))
    first = fields(made)[1].name
    if parts and "=" not in parts[0]:
        parts[0] = f"{first}={parts[0]}"
    given = dict(_part(made, part, text) for part in parts)
    if first not in given and made is not Fresh:
        raise QueryError(f"the boost {text!r} gives no {first}", remedy=f"Add it: {text},{first}=100.")
    return made(field, **given)


def milliseconds(duration: str, where: str) -> float:
    """The milliseconds of ``30d``, ``1.5h``; a year is 365.25 days. QueryError for what is no duration."""
    match = _DURATION.fullmatch(duration.strip()) if isinstance(duration, str) else None
    if match is None or not math.isfinite(length := float(match[1]) * _UNITS[match[2]]):
        units = ", ".join(_UNITS)
        raise QueryError(f"{duration!r} is no duration", where=where, remedy=f"Give one such as 30d; units: {units}.")
    return length


def _nearest(name: str, known: Iterable[str]) -> str:
    return get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def _part(made: type[Boost], part: str, text: str) -> tuple[str, Any]:
    """The name and the value of ``name=value``."""
    name, equals, value = (side.strip() for side in part.partition("="))
    known = [field.name for field in fields(made)][1:]
    if name not in known or not equals:
        remedy = f"Did you mean {_nearest(name, known)}=...? {_EXAMPLE}"
        raise QueryError(f"{part!r} is no part of the boost {text!r}", remedy=remedy)
    is_number = next(field.type for field in fields(made) if field.name == name) == "float"
    try:
        return name, float(value) if is_number else value
    except ValueError:
        raise QueryError(f"{name} is {value!r} in the boost {text!r}", remedy="Give a number.") from None


def _check_common(boost: Boost) -> None:
    if not isinstance(boost.field, str) or not boost.field:
        raise QueryError(f"a {boost.kind} boost names no field", remedy=_EXAMPLE)
    if not 0 <= _number(boost, "weight") <= MAX_WEIGHT:
        raise _wrong(boost, f"a weight of {boost.weight}", f"Give a number from 0 (nothing) to {MAX_WEIGHT:,.0f}.")
    if not 0 <= _number(boost, "missing") <= 1:
        raise _wrong(boost, f"missing is {boost.missing}", "Give a number from 0 (nothing) to 1 (as the best).")


def _check_above_zero(boost: Boost, name: str) -> None:
    if not 0 < _number(boost, name) < math.inf:
        raise _wrong(boost, f"{name} is {getattr(boost, name)}", "Give a finite number above 0.")


def _number(boost: Boost, name: str) -> float:
    value = getattr(boost, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(boost, f"{name} is {value!r}", "Give a number.")
    return value


def _wrong(boost: Boost, what: str, remedy: str) -> QueryError:
    return QueryError(what, where=f"boost {boost.name}", remedy=remedy)
