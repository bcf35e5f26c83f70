"""Figures of a tuning: the measure over the weights, gains and losses out of fold, what each leg found alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hybrid_search.evaluate.html.tuned import THREE, LegFinds, Surface, leg_finds, surface_of
from hybrid_search.evaluate.plots.canvas import INK, LINE, PALE, differences_png, figure, plain, png
from hybrid_search.evaluate.tuning.choice import Tuned
from hybrid_search.evaluate.tuning.collected import Collected
from hybrid_search.read import Qrels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

HEIGHT = 3**0.5 / 2
"""Of a triangle whose sides are 1."""

MARKS = {"in use": "o", "chosen": "s"}


def tuned_pngs(tuned: Tuned, collected: Collected, qrels: Qrels) -> dict[str, bytes]:
    """The files by their names.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    changes = [mine - its for mine, its in tuned.by_query.values()]
    window = tuned.default.window
    found = {
        "queries.png": differences_png(changes, f"difference in {tuned.objective}, out of fold"),
        "legs.png": _legs(leg_finds(collected, qrels, window), window),
    }
    surface = surface_of(tuned, collected.legs)
    return found if surface is None else {"weights.png": _weights(surface, collected.legs, tuned.objective), **found}


def _weights(surface: Surface, legs: Sequence[str], objective: str) -> bytes:
    drawn = figure(7.5, 6) if len(legs) == THREE else figure(8, 4)
    axes = drawn.add_subplot()
    axes.set_title(surface.called, loc="left", fontsize=10)
    if len(legs) == THREE:
        shaded = _triangle(axes, surface, legs)
        drawn.colorbar(shaded, ax=axes, label=f"{objective}, mean of all queries", shrink=0.8)
    else:
        _line(axes, surface, legs, objective)
    axes.legend(loc="upper right" if len(legs) == THREE else "best", fontsize=8)
    return png(drawn)


def _triangle(axes: Axes, surface: Surface, legs: Sequence[str]) -> PathCollection:
    """A hexagon for each weights; the corners are one leg alone, the shares of the others grow towards theirs."""
    points = [_place(weights) for weights in surface.values]
    steps = round(1 / min(weight for weights in surface.values for weight in weights if weight > 0))
    size = (5.0 * 72 / steps) ** 2 * 0.62
    x, y = zip(*points, strict=True)
    shaded = axes.scatter(x, y, c=list(surface.values.values()), s=size, marker="h", cmap="Greys", linewidths=0.4)
    shaded.set_edgecolor(LINE)  # the lowest value is white
    for name, weights in surface.marks.items():
        axes.scatter(
            *_place(weights), s=110, marker=MARKS[name], color="white", edgecolors=INK, linewidths=2, label=name
        )
    left, right, top = legs
    for name, across, up in ((left, 0.0, -0.12), (right, 1.0, -0.12), (top, 0.5, HEIGHT + 0.06)):
        axes.text(across, up, f"{name} 1", ha="center", fontweight="bold")
    for share in (0.25, 0.5, 0.75):
        axes.text(share, -0.07, f"{right} {share:g}", ha="center", fontsize=7)
        across, up = _place((0, 1 - share, share))
        axes.text(across + 0.04, up, f"{top} {share:g}", ha="left", fontsize=7)
        across, up = _place((share, 0, 1 - share))
        axes.text(across - 0.04, up, f"{left} {share:g}", ha="right", fontsize=7)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_xlim(-0.25, 1.25)
    axes.set_ylim(-0.15, HEIGHT + 0.12)
    return shaded


def _place(weights: Sequence[float]) -> tuple[float, float]:
    _, right, top = weights
    return right + top / 2, top * HEIGHT


def _line(axes: Axes, surface: Surface, legs: Sequence[str], objective: str) -> None:
    points = sorted((weights[1], value) for weights, value in surface.values.items())
    axes.plot([x for x, _ in points], [y for _, y in points], color=INK, marker=".")
    for (name, weights), style in zip(surface.marks.items(), ("-", "--"), strict=True):
        axes.axvline(weights[1], color=INK, linestyle=style, linewidth=1, label=name)
    axes.set_xlabel(f"share of {legs[1]} (the rest is {legs[0]}'s)")
    axes.set_ylabel(f"{objective}, mean of all queries")
    plain(axes)


def _legs(found: Sequence[LegFinds], window: int) -> bytes:
    drawn = figure(8, 1.4 + 0.5 * len(found))
    axes = drawn.add_subplot()
    names = [one.leg for one in reversed(found)]
    counts: Mapping[str, tuple[list[int], str]] = {
        "found": ([one.found for one in reversed(found)], PALE),
        "found by no other leg": ([one.alone for one in reversed(found)], INK),
    }
    for label, (values, colour) in counts.items():
        axes.barh(names, values, color=colour, edgecolor=INK, linewidth=0.6, label=label)
    axes.set_xlabel(f"relevant documents among the first {window} of each leg, all queries")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8, frameon=False)
    plain(axes, grid="x")
    return png(drawn)
