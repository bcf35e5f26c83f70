"""Every system of an experiment against its best single leg: how much better, how sure, and how likely by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hybrid_search.evaluate.significance import difference_interval, holm, randomisation_p


@dataclass(frozen=True, slots=True)
class Comparison:
    """A system against another on the same queries.

    ``difference`` is that of the means, ``interval`` its 95 % confidence interval (None for fewer than two queries);
    ``p_value`` is that of the randomisation test, ``p_holm`` the same corrected for all comparisons of the table.
    """

    difference: float
    interval: tuple[float, float] | None
    p_value: float
    p_holm: float


def comparisons(systems: Sequence[Mapping[str, float]], reference: Mapping[str, float]) -> list[Comparison]:
    """Each of ``systems`` against ``reference``, values of one measure by query id; corrected for their number."""
    p_values = [randomisation_p(values, reference) for values in systems]
    return [
        Comparison(_mean(values) - _mean(reference), difference_interval(values, reference), p_value, corrected)
        for values, p_value, corrected in zip(systems, p_values, holm(p_values), strict=True)
    ]


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)
