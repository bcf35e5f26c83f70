"""The progress of a load on a terminal: documents, documents/s and the time left, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from hybrid_search.cli.load_page import LoadPage
from hybrid_search.cli.told import ALSO
from hybrid_search.ingest.report import IngestProgress
from hybrid_search.ingest.state.ledger import OnProgress
from hybrid_search.printed.console import literal, progress_on_stderr


class SpeedColumn(ProgressColumn):
    """Documents per second over the last half minute; nothing before the first body is settled."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} documents/s")


@contextmanager
def progress_bar(index: str, total: int | None) -> Iterator[OnProgress]:
    """A bar that follows a load of ``total`` documents (None: unknown); it is drawn when there is something to show.

    On a terminal there is a page above it: what each stage does (:mod:`hybrid_search.cli.load_page`).
    """
    page, also = LoadPage(), ALSO.get()
    columns = (
        literal("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        SpeedColumn(),
        TimeRemainingColumn(),
        literal("{task.fields[waiting]}", "yellow"),
    )
    bar = progress_on_stderr(*columns, above=page)
    task = bar.add_task(f"Loading {index}", total=total, waiting="")

    def follow(progress: IngestProgress) -> None:
        page.follow(progress)
        if also is not None:
            also(progress)
        bar.start()
        if progress.expected is not None:
            bar.update(task, total=max(progress.expected, progress.documents))
        bar.update(task, completed=progress.documents, waiting=progress.waiting or "")

    try:
        yield follow
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def pass_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that follows a pass over ``total`` documents; it is drawn when there is something to show."""
    bar = progress_on_stderr(
        literal("{task.description}"), BarColumn(), MofNCompleteColumn(), SpeedColumn(), TimeRemainingColumn()
    )
    task = bar.add_task(what, total=total)

    def follow(done: int) -> None:
        bar.start()
        bar.update(task, completed=done)

    try:
        yield follow
    finally:
        if bar.live.is_started:
            bar.stop()
