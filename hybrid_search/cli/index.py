"""``hybrid-search index | replay``: documents into an index."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli import maintain, reindex
from hybrid_search.cli.options import Format, Index, Json, Set, SettingsFile, Source, Url, settings_of
from hybrid_search.errors import IngestError

if TYPE_CHECKING:
    from hybrid_search.ingest.report import IngestReport

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
    "retried",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (index, replay):
        app.command()(command)
    maintain.register(app)
    reindex.register(app)


def index(
    source: Source,
    index: Annotated[str, typer.Argument(help="The index, or an alias of one; made if it is not there.")],
    *,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    format: Format = None,
    skip_bad: Annotated[Path | None, typer.Option(help="Leave out bad records and save them here.")] = None,
    dead_letters: Annotated[Path | None, typer.Option(help="Where refused documents are kept for replay.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Where progress is recorded.")] = None,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep vectors and use those kept.")] = True,
    recreate: Annotated[bool, typer.Option("--recreate", help="Delete the index and begin anew.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Remove documents that the source does not have.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Load only the first so many documents.")] = None,
    as_json: Json = False,
) -> None:
    """Load documents into an index; run again, it goes on where it stopped."""
    from hybrid_search.cli.estimate import expected_documents
    from hybrid_search.cli.progress import progress_bar
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine import indices
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest.source import LoadFiles, index_source
    from hybrid_search.ingest.state.cache import default_path

    stop_cleanly_on_sigterm()
    settings = settings_of(settings_file, url, overrides)
    with ExitStack() as stack:
        connection = stack.enter_context(connect(settings.engine))
        encoder = load_encoder(settings)
        if recreate and indices.exists(connection, index):
            indices.delete_index(connection, index)
        report = index_source(
            source,
            index,
            connection,
            encoder,
            settings,
            files=LoadFiles(journal, dead_letters, skip_bad, default_path() if cache else None),
            format=format,
            limit=limit,
            sync=sync,
            progress=stack.enter_context(progress_bar(index, limit or expected_documents(Path(source)))),
        )
    print_report(report, as_json=as_json)
    raise_if_refused(report)


def replay(
    file: Annotated[Path, typer.Argument(help="A dead-letter file.")],
    index: Index,
    *,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Send refused documents again; the file keeps those that are refused once more."""
    from hybrid_search.cli.progress import progress_bar
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest.maintain import replay as replaying

    stop_cleanly_on_sigterm()
    settings = settings_of(settings_file, url, overrides)
    with connect(settings.engine) as connection, progress_bar(index, None) as progress:
        report = replaying.replay(file, index, connection, load_encoder(settings), settings, progress=progress)
    print_report(report, as_json=as_json)
    raise_if_refused(report)


def stop_cleanly_on_sigterm() -> None:
    """Let SIGTERM end a load as Ctrl-C does: senders finish, index settings are restored."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def raise_if_refused(report: IngestReport) -> None:
    """Exit status 1 and one line when documents were refused."""
    if report.refused:
        raise IngestError(
            f"{report.refused:,} of {report.documents:,} documents were refused",
            where=str(report.dead_letters),
            remedy=f"Remove the cause, then run: hybrid-search replay {report.dead_letters} {report.index}",
        )


def print_report(report: IngestReport, *, as_json: bool) -> None:
    """The report as a table, or as JSON."""
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for name in COUNTS:
        table.add_row(name, f"{getattr(report, name):,}")
    table.add_row("sent", decimal(report.bytes))
    table.add_row("wall", f"{report.wall:,.1f} s, {report.documents_per_second:,.0f} documents/s")
    table.add_row("busy", ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in report.busy.items()))
    console = Console()
    console.print(table)
    for note in report.notes:
        console.print(f"Note: {note}", markup=False)
    for refusal in report.refusals:
        console.print(f"Refused: {refusal.item}: {refusal.status} {refusal.type}: {refusal.reason}", markup=False)
