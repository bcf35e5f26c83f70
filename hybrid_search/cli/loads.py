"""What is said of loads as they end, and the merge that may follow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from hybrid_search.cli.estimating import say_outcome
from hybrid_search.errors import IngestError

if TYPE_CHECKING:
    from hybrid_search.ingest.report import IngestReport
    from hybrid_search.settings import Settings

COUNTS = (
    "documents",
    "indexed",
    "unchanged",
    "resumed",
    "skipped",
    "refused",
    "passages",
    "encoded",
    "removed",
    "superseded",
    "retried",
)


def print_loads(reports: Iterable[IngestReport], *, as_json: bool) -> None:
    """Each as its load ends; the first that is no success ends the command."""
    for report in reports:
        print_report(report, as_json=as_json)
        say_outcome(report)
        raise_if_incomplete(report)


def merge(index: str, settings: Settings, segments: int) -> None:
    """Merge what was loaded, and say so while it lasts."""
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.merging import force_merge
    from hybrid_search.printed.console import Console

    with connect(settings.engine) as connection:
        force_merge(connection, index, segments, waiting=Console(stderr=True).print)


def raise_if_incomplete(report: IngestReport) -> None:
    """Exit status 1 and one line when documents were refused, or a sync would have removed too much."""
    from hybrid_search.ingest.pipeline import refused_of, withheld

    if report.withheld:
        raise withheld(report)
    if report.excess:
        remedy = (
            "Look at the notes and at the file of --skip-bad; if so many may be left out: "
            f"--max-bad {report.skipped}, or all"
        )
        raise IngestError(report.excess, where=report.source, remedy=remedy)
    if (report.refused_in_all or 0) > report.refused:
        raise IngestError(
            f"{report.refused_in_all:,} documents were refused, by all processes of the load together",
            where=report.index,
            remedy="Replay the dead-letter file of each process: hybrid-search replay FILE INDEX",
        )
    if report.refused:
        raise IngestError(
            refused_of(report),
            where=str(report.dead_letters),
            remedy=f"Remove the cause, then run: hybrid-search replay {report.dead_letters} {report.index}",
        )


def print_report(report: IngestReport, *, as_json: bool) -> None:
    """The report as a table, or as JSON."""
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    from rich.filesize import decimal
    from rich.table import Table

    from hybrid_search.printed.console import Console

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("source", f"{report.source} (load {report.load})")
    for name in COUNTS:
        table.add_row(name, f"{getattr(report, name):,}")
    table.add_row("sent", decimal(report.bytes))
    table.add_row("wall", f"{report.wall:,.1f} s, {report.documents_per_second:,.0f} documents/s")
    table.add_row("busy", ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in report.busy.items()))
    console = Console()
    console.print(table)
    for note in report.notes:
        console.print(f"Note: {note}")
    for refusal in report.refusals:
        console.print(f"Refused: {refusal.item}: {refusal.status} {refusal.type}: {refusal.reason}")
