"""The page of a load on a terminal: what each stage does, what waits where, and why nothing moves if nothing does."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hybrid_search.ingest.report import IngestProgress

STAGES = ("read", "compare", "chunk", "encode", "serialise", "send")
"""In the order in which documents pass them."""

WINDOW = 30.0
"""Seconds over which rates and shares are taken."""


class LoadPage:
    """Rates and shares of the last half minute, drawn above the bar.

    A stage's own rate is what it would load if it never waited for its neighbours: documents / seconds of work. The
    slowest of them is what to speed up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: list[tuple[float, IngestProgress]] = []

    def follow(self, progress: IngestProgress) -> None:
        """The load has come so far."""
        now = self._clock()
        self._seen.append((now, progress))
        while len(self._seen) > 2 and now - self._seen[1][0] > WINDOW:
            del self._seen[0]

    def __call__(self) -> RenderableType | None:
        """The page; None before there is anything to compare."""
        if len(self._seen) < 2 or not self._seen[-1][1].busy:
            return None
        (then, before), (now, last) = self._seen[0], self._seen[-1]
        passed, done = max(now - then, 1e-9), last.documents - before.documents
        table = Table(box=None, pad_edge=False)
        for column in ("stage", "busy", "alone", "waiting behind it"):
            table.add_column(column, justify="left" if column == "stage" else "right")
        for stage in STAGES:
            if stage in last.busy:
                worked = max(0.0, last.busy[stage] - before.busy.get(stage, 0.0))
                table.add_row(stage, *_figures(worked, passed * last.workers, done, last.queued.get(stage)))
        return Group(table, _below(last))


def _figures(worked: float, passed: float, done: int, queued: int | None) -> tuple[str, str, str]:
    alone = f"{done / worked:,.0f} documents/s" if worked > 0 and done else ""
    return f"{min(1.0, worked / passed):.0%}", alone, "" if queued is None else f"{queued:,}"


def _below(last: IngestProgress) -> Text:
    said = [f"{last.workers} worker{'s' if last.workers > 1 else ''}", f"{last.passages:,} passages"]
    said += [f"{last.refused:,} refused"] if last.refused else []
    said += [f"slowed down after {last.slowed} refusals of the engine in a row"] if last.slowed else []
    return Text(", ".join(said), style="yellow" if last.slowed or last.refused else "dim")
