"""Probes: what a model that is reached over HTTP makes of one text, by which it is known again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

PROBE = "probe"
"""The key of a fingerprint's ``extra`` under which the probe is."""
ALIKE = 0.999
"""Cosine of two probes of one model: services answer with other last digits from day to day."""


def likeness_of(one: Any, other: Any) -> float:
    """The cosine of two probes, lists of components or weights by term; 1 of two that are not there."""
    if not one or not other:
        return 1.0 if one == other else 0.0
    first, second = (probe if isinstance(probe, Mapping) else dict(enumerate(probe)) for probe in (one, other))
    dot = sum(weight * second.get(term, 0.0) for term, weight in first.items())
    lengths = math.sqrt(sum(w * w for w in first.values()) * sum(w * w for w in second.values()))
    return dot / lengths if lengths else 0.0
