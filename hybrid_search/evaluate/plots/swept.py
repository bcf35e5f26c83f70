"""The figure of a sweep: recall over latency, a panel for each leg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hybrid_search.evaluate.plots.canvas import INK, LINE, PALE, figure, plain, png
from hybrid_search.evaluate.sweep.cheapest import Row, pareto
from hybrid_search.evaluate.sweep.report import name_of
from hybrid_search.records import Leg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = "dark dots are beaten by none, a thick rim is the chosen one; area: bytes on disk"
LARGEST = 300.0
"""Area of the dot with most bytes, in square points."""


def sweep_png(rows: Sequence[Row], chosen: Mapping[Leg, Row], *, k: int) -> bytes:
    """Dots are rows, their area the bytes on disk; dark ones are beaten by none, a thick rim is the chosen one.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    legs = list(dict.fromkeys(row.build.leg for row in rows))
    drawn = figure(9, 5 * len(legs))
    for number, leg in enumerate(legs, start=1):
        axes = drawn.add_subplot(len(legs), 1, number)
        _panel(axes, [row for row in rows if row.build.leg == leg], chosen.get(leg))
        axes.set_title(
            f"{leg}: dark dots are beaten by none, a thick rim is the chosen one; area: bytes on disk",
            loc="left",
            fontsize=11,
        )
        axes.set_xlabel("median latency at the client, ms")
        axes.set_ylabel(f"recall@{k} against exact search")
    return png(drawn)


def _panel(axes: Axes, rows: Sequence[Row], chosen: Row | None) -> None:
    best = pareto(rows)
    most = max(row.disk for row in rows) or 1
    for row in sorted(rows, key=lambda row: (row in best, -row.disk)):
        colour, rim = (INK if row in best else PALE), (3.0 if row == chosen else 0.8)
        area = max(20.0, LARGEST * row.disk / most)
        edge = LINE if row == chosen and row in best else INK
        axes.scatter(row.p50, row.recall, s=area, color=colour, edgecolors=edge, linewidths=rim)
    plain(axes)
    axes.margins(x=0.35, y=0.15)
    _name(axes, sorted(best, key=lambda row: row.p50))


def _name(axes: Axes, best: Sequence[Row]) -> None:
    """Names beside the dots that nothing beats, in turns above and below, so that neighbours do not meet."""
    for number, row in enumerate(best):
        place = (10, 8 + 11 * (number % 3)) if number % 2 == 0 else (10, -14 - 11 * (number % 3))
        line = {"arrowstyle": "-", "color": LINE, "linewidth": 0.6}
        axes.annotate(
            name_of(row), (row.p50, row.recall), place, textcoords="offset points", fontsize=8, arrowprops=line
        )
