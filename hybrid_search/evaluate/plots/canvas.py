"""What all figures share: the library, made sure of before anything is measured, and bars that several of them show."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hybrid_search.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PALE, LINE = "#222222", "#d9d9d9", "#777777"
DOTS = 150
"""Dots per inch."""


def require_plots() -> None:
    """Nothing, where matplotlib is there.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401  # it is there or not
    except ImportError as error:
        raise MissingExtraError("A PNG picture", "plots") from error


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches: without pyplot, which keeps every figure and wants a display."""
    require_plots()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def png(drawn: Figure) -> bytes:
    """The figure as a file, the same for the same figures: it names no time and no version."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None})
    return buffer.getvalue()


def plain(axes: Axes, *, grid: str = "both") -> None:
    """Without the frame, over pale lines."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid == "both":
        axes.grid(color=PALE, linewidth=0.6)
    else:
        axes.xaxis.grid(visible=grid == "x", color=PALE, linewidth=0.6)


def differences_png(values: Sequence[float], unit: str) -> bytes:
    """Bars from the largest gain to the largest loss: gains are filled, losses are outlines."""
    ordered = sorted(values, reverse=True)
    drawn = figure(8, 4)
    axes = drawn.add_subplot()
    places = range(1, len(ordered) + 1)
    colours = [INK if value > 0 else "white" for value in ordered]
    edge = min(0.8, 60 / max(len(ordered), 1))
    axes.bar(places, ordered, width=0.9, color=colours, edgecolor=INK, linewidth=edge)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xlabel(f"{len(ordered):,} queries, from the largest gain to the largest loss")
    axes.set_ylabel(unit)
    most = max(map(abs, ordered), default=0.0) or 1.0
    axes.set_ylim(-1.05 * most, 1.05 * most)
    plain(axes)
    return png(drawn)
