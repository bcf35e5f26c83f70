"""Plots as SVG: a heat map over the weights, bars, a line. Darker is more, so that they are read in grey too."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

Weights = tuple[float, ...]

SIDE = 420.0
LEFT, TOP = 110.0, 50.0
LIGHTEST, DARKEST = 95.0, 22.0
"""Luminance in per cent of the lowest and the highest value."""

GAIN, LOSS = "#222", "#fff"


def element(tag: str, content: str = "", **attributes: object) -> str:
    """An element; ``_`` in the name of an attribute is ``-``."""
    given = "".join(f' {name.replace("_", "-")}="{escape(_said(value))}"' for name, value in attributes.items())
    return f"<{tag}{given}>{content}</{tag}>"


def _said(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def text(content: str, x: float, y: float, anchor: str = "middle") -> str:
    """A text at a point."""
    return element("text", escape(content), x=x, y=y, text_anchor=anchor)


def drawing(parts: Iterable[str], width: float, height: float, label: str) -> str:
    """A whole drawing, with what it shows for those who do not see it."""
    box = f"0 0 {width:.0f} {height:.0f}"
    return element("svg", "\n".join(parts), viewBox=box, width=width, height=height, role="img", aria_label=label)


def simplex_map(values: Mapping[Weights, float], legs: Sequence[str], marks: Mapping[str, Weights], unit: str) -> str:
    """The value for each weights of three legs, as cells of a triangle whose corners are one leg alone.

    Args:
        values: on a grid of weights that sum to 1.
        legs: the names of the three, for the corners: left, right, top.
        marks: weights by what they are called.
        unit: what the values are.
    """
    steps = round(1 / min(weight for weights in values for weight in weights if weight > 0))
    radius = SIDE / steps / math.sqrt(3)
    low, high = min(values.values()), max(values.values())
    cells = [
        _cell(_place(weights), radius, shade(value, low, high), _told(legs, weights, value))
        for weights, value in values.items()
    ]
    parts = [*cells, *_corners(legs), *_ticks(legs), *_marks(marks), *_scale(low, high, unit)]
    return drawing(parts, SIDE + 2 * LEFT + 110, TOP + _height() + 60, f"{unit} over the weights of {', '.join(legs)}")


def _height() -> float:
    return SIDE * math.sqrt(3) / 2


def _place(weights: Weights) -> tuple[float, float]:
    _, right, top = weights
    return LEFT + SIDE * (right + top / 2), TOP + _height() * (1 - top)


def shade(value: float, low: float, high: float) -> str:
    """From light for the lowest to dark for the highest; equal values are in the middle."""
    share = (value - low) / (high - low) if high > low else 0.5
    return f"hsl(215 45% {LIGHTEST + (DARKEST - LIGHTEST) * share:.1f}%)"


def _told(legs: Sequence[str], weights: Weights, value: float) -> str:
    return ", ".join(f"{leg} {weight:.2f}" for leg, weight in zip(legs, weights, strict=True)) + f": {value:.4f}"


def _cell(at: tuple[float, float], radius: float, fill: str, told: str) -> str:
    corners = [math.radians(30 + 60 * corner) for corner in range(6)]
    points = " ".join(f"{at[0] + radius * math.cos(one):.1f},{at[1] + radius * math.sin(one):.1f}" for one in corners)
    return element("polygon", element("title", escape(told)), points=points, fill=fill)


def _corners(legs: Sequence[str]) -> list[str]:
    left, right, top = (f"{leg} 1" for leg in legs)
    below = TOP + _height() + 44
    return [text(left, LEFT, below), text(right, LEFT + SIDE, below), text(top, LEFT + SIDE / 2, TOP - 26)]


def _ticks(legs: Sequence[str]) -> list[str]:
    """Shares along each edge: of the right leg below, of the top leg on the right, of the left leg on the left."""
    found = []
    for share in (0.25, 0.5, 0.75):
        left, right, top = (f"{leg} {share:.2f}" for leg in legs)
        x, y = _place((1 - share, share, 0))
        found.append(text(right, x, y + 28))
        x, y = _place((0, 1 - share, share))
        found.append(text(top, x + 18, y, "start"))
        x, y = _place((share, 0, 1 - share))
        found.append(text(left, x - 18, y, "end"))
    return found


def _marks(marks: Mapping[str, Weights]) -> list[str]:
    """Each as a ring of its own size, with its name beside; white around black is seen on every shade."""
    found = []
    for number, (name, weights) in enumerate(marks.items()):
        x, y = _place(weights)
        for colour, width in (("#fff", 4), ("#111", 2)):
            radius = 7 + 4 * number
            found.append(element("circle", cx=x, cy=y, r=radius, fill="none", stroke=colour, stroke_width=width))
        line, legend = TOP + 120 + 26 * number, LEFT + SIDE + 60
        found.append(
            element("circle", cx=legend, cy=line, r=7 + 4 * number, fill="none", stroke="#111", stroke_width=2)
        )
        found.append(text(name, legend + 18, line + 4, "start"))
    return found


def _scale(low: float, high: float, unit: str) -> list[str]:
    left, steps = LEFT + SIDE + 50, 5
    found = [text(unit, left, TOP - 26, "start")]
    for step in range(steps):
        value = high + (low - high) * step / (steps - 1)
        y = TOP - 16 + 18 * step
        found.append(element("rect", x=left, y=y, width=24, height=18, fill=shade(value, low, high), stroke="#999"))
        found.append(text(f"{value:.4f}", left + 32, y + 13, "start"))
    return found


def line(points: Sequence[tuple[float, float]], across: str, up: str, marks: Mapping[str, float]) -> str:
    """Values over a share from 0 to 1: the mean over the weight of one of two legs."""
    low, high = min(y for _, y in points), max(y for _, y in points)
    width, height = 520.0, 240.0

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + width * x, TOP + height * (1 - ((y - low) / (high - low) if high > low else 0.5))

    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in sorted(points)))
    parts = [element("polyline", points=path, fill="none", stroke="#111", stroke_width=2)]
    parts += [text(f"{share:.2f}", LEFT + width * share, TOP + height + 22) for share in (0, 0.25, 0.5, 0.75, 1)]
    parts += [text(f"{value:.4f}", LEFT - 10, at(0, value)[1] + 4, "end") for value in {low, high}]
    parts += [text(across, LEFT + width / 2, TOP + height + 44), text(up, LEFT - 10, TOP - 24, "end")]
    for number, (name, share) in enumerate(marks.items()):
        x = LEFT + width * share
        dash = "6 4" if number else "none"
        parts.append(element("line", x1=x, x2=x, y1=TOP, y2=TOP + height, stroke="#111", stroke_dasharray=dash))
        parts.append(text(name, x + 4, TOP - 6 - 14 * number, "start"))
    return drawing(parts, LEFT + width + 60, TOP + height + 60, f"{up} over {across}")


def differences(values: Sequence[float], unit: str) -> str:
    """Bars of differences from the largest gain to the largest loss: gains are filled, losses are outlines."""
    ordered = sorted(values, reverse=True)
    most = max(map(abs, ordered), default=0.0) or 1.0
    width, half = 640.0, 110.0
    step, middle = width / max(len(ordered), 1), TOP + half
    parts = []
    for place, value in enumerate(ordered):
        size = half * abs(value) / most
        fill, y = (GAIN, middle - size) if value > 0 else (LOSS, middle)
        drawn = {"fill": fill, "stroke": GAIN, "stroke_width": f"{min(1.0, step / 4):.2f}"}
        x, wide = LEFT + step * place, max(step * 0.9, 0.6)
        parts.append(element("rect", **drawn, x=x, y=y, width=wide, height=size))
    parts.append(element("line", x1=LEFT, x2=LEFT + width, y1=middle, y2=middle, stroke="#111"))
    parts += [
        text(f"{value:+.2f}" if value else "0", LEFT - 10, middle - half * value / most + 4, "end")
        for value in (most, 0, -most)
    ]
    parts += [text(unit, LEFT - 10, TOP - 24, "start")]
    across = f"{len(ordered):,} queries, from the largest gain to the largest loss"
    parts.append(text(across, LEFT + width / 2, middle + half + 34))
    return drawing(parts, LEFT + width + 30, middle + half + 50, unit)


def bars(rows: Sequence[tuple[str, float, float]], of: str, inner: str) -> str:
    """For each name a light bar of the first count, and within it a dark one of the second."""
    most = max((whole for _, whole, _ in rows), default=0.0) or 1.0
    width, parts = 420.0, []
    for number, (name, whole, part) in enumerate(rows):
        y = 40 + 34.0 * number
        parts.append(text(name, LEFT - 10, y + 15, "end"))
        parts.append(element("rect", x=LEFT, y=y, width=width * whole / most, height=22, fill="#ddd", stroke="#111"))
        parts.append(element("rect", x=LEFT, y=y, width=width * part / most, height=22, fill="#222"))
        parts.append(
            text(f"{whole:,.0f}, {part:,.0f} of them {inner}", LEFT + width * whole / most + 8, y + 15, "start")
        )
    parts.append(text(f"{of} (dark: {inner})", LEFT, 22, "start"))
    return drawing(parts, LEFT + width + 240, 50 + 34.0 * len(rows), of)


def lengths(rows: Sequence[tuple[str, float]], unit: str) -> str:
    """A bar from 0 for each name, with its value; the longest is filled, the others are light."""
    most = max((value for _, value in rows), default=0.0) or 1.0
    left, width, parts = 320.0, 420.0, []
    for number, (name, value) in enumerate(rows):
        y = 34 + 26.0 * number
        fill = GAIN if value == most else "#ddd"
        parts.append(text(name, left - 10, y + 14, "end"))
        parts.append(element("rect", x=left, y=y, width=width * value / most, height=18, fill=fill, stroke="#111"))
        parts.append(text(f"{value:.4f}", left + width * value / most + 8, y + 14, "start"))
    parts.append(text(unit, left, 20, "start"))
    return drawing(parts, left + width + 80, 44 + 26.0 * len(rows), unit)
