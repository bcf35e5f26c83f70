"""A sweep as a picture: recall over latency, one panel for each leg, as SVG without anything beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from hybrid_search.evaluate.sweep.cheapest import Row, pareto
from hybrid_search.evaluate.sweep.report import megabytes, name_of
from hybrid_search.records import Leg

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 50, 60
TICKS = 5
SMALLEST, LARGEST = 4.0, 14.0
"""Radius of a dot; its area goes with the bytes on disk."""

STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:15px;font-weight:bold}"
    ".g{stroke:#ddd}.d{fill:#bbb;stroke:#555}.b{fill:#1f5fa8;stroke:#111}"
    ".c{fill:#1f5fa8;stroke:#111;stroke-width:4}"
)


def sweep_svg(rows: Sequence[Row], chosen: Mapping[Leg, Row], *, k: int) -> str:
    """Dots are rows, their area the bytes on disk; dark ones are beaten by none, a thick rim is the chosen one."""
    panels = list(dict.fromkeys(row.build.leg for row in rows))
    drawn = "".join(
        f'<g transform="translate(0 {HEIGHT * number})">'
        + _panel([row for row in rows if row.build.leg == leg], leg, chosen.get(leg), k)
        + "</g>"
        for number, leg in enumerate(panels)
    )
    height = HEIGHT * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="white"/>{drawn}</svg>\n'
    )


def _panel(rows: Sequence[Row], leg: Leg, chosen: Row | None, k: int) -> str:
    best = sorted(pareto(rows), key=lambda row: row.p50)
    x = _Axis([row.p50 for row in rows], LEFT, WIDTH - RIGHT)
    y = _Axis([row.recall for row in rows], HEIGHT - BOTTOM, TOP, most=1.0)
    most = max(row.disk for row in rows)
    parts = [f'<text class="t" x="{LEFT}" y="24">{leg}: recall@{k} against exact search</text>']
    parts += [_grid_x(x, value) for value in x.ticks()] + [_grid_y(y, value) for value in y.ticks()]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 18, "median latency at the client, ms", "middle"))
    for row in sorted(rows, key=lambda row: -row.disk):
        radius = max(SMALLEST, LARGEST * (row.disk / most) ** 0.5)
        kind = "c" if row == chosen else "b" if row in best else "d"
        told = f"{name_of(row)}: {row.recall:.4f}, {row.p50:.1f} ms, {megabytes(row.disk)}"
        place = f'cx="{x(row.p50):.1f}" cy="{y(row.recall):.1f}" r="{radius:.1f}"'
        parts.append(f'<circle class="{kind}" {place}><title>{escape(told)}</title></circle>')
    taken: list[tuple[float, float]] = []
    parts += [_label(x(row.p50), y(row.recall), name_of(row), taken) for row in best]
    return "".join(parts)


def _label(x: float, y: float, name: str, taken: list[tuple[float, float]]) -> str:
    """Beside its dot, below the labels that are there already."""
    is_right = x > (LEFT + WIDTH - RIGHT) / 2
    place = y + 4
    while any(abs(place - other) < 13 and (side == is_right) for side, other in taken):
        place += 13
    taken.append((is_right, place))
    return _text(x - LARGEST - 4 if is_right else x + LARGEST + 4, place, name, "end" if is_right else "start")


class _Axis:
    """Values to places, with some room at both ends."""

    def __init__(self, values: Sequence[float], begin: float, end: float, *, most: float | None = None) -> None:
        room = (max(values) - min(values)) * 0.08 or max(values) * 0.08 or 1.0
        self.least = max(0.0, min(values) - room)
        self.most = max(values) + room if most is None else min(most + room / 2, max(values) + room)
        self._begin, self._end = begin, end

    def __call__(self, value: float) -> float:
        return self._begin + (value - self.least) / (self.most - self.least) * (self._end - self._begin)

    def ticks(self) -> list[float]:
        step = (self.most - self.least) / TICKS
        return [self.least + step * number for number in range(TICKS + 1)]


def _grid_x(axis: _Axis, value: float) -> str:
    at = axis(value)
    line = f'<line class="g" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    return line + _text(at, HEIGHT - BOTTOM + 18, f"{value:.3g}", "middle")


def _grid_y(axis: _Axis, value: float) -> str:
    at = axis(value)
    line = f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
    return line + _text(LEFT - 8, at + 4, f"{value:.3f}", "end")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
