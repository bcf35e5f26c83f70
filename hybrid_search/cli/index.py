"""``hybrid-search index``: documents into an index."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.errors import IngestError, SettingsError

if TYPE_CHECKING:
    from hybrid_search.ingest.report import IngestReport
    from hybrid_search.settings import Settings

SettingsFile = Annotated[Path | None, typer.Option("--settings", "-s", help="The settings, a TOML file.")]
Url = Annotated[str | None, typer.Option("--url", help="The cluster (default: the local node).")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: dense.model=NAME. Repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(index)


def index(
    source: Annotated[str, typer.Argument(help="A file, a folder, or - for standard input.")],
    index: Annotated[str, typer.Argument(help="The index, or an alias of one; made if it is not there.")],
    *,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    format: Annotated[str | None, typer.Option(help="The source's format where its name does not tell.")] = None,
    skip_bad: Annotated[Path | None, typer.Option(help="Leave out bad records and save them here.")] = None,
    dead_letters: Annotated[Path | None, typer.Option(help="Where refused documents are kept for replay.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Where progress is recorded.")] = None,
    recreate: Annotated[bool, typer.Option("--recreate", help="Delete the index and begin anew.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Load only the first so many documents.")] = None,
    as_json: Json = False,
) -> None:
    """Load documents into an index; run again, it goes on where it stopped."""
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine import indices
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest.progress import progress_bar
    from hybrid_search.ingest.source import LoadFiles, index_source

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
            files=LoadFiles(journal, dead_letters, skip_bad),
            format=format,
            limit=limit,
            progress=stack.enter_context(progress_bar(index, limit)),
        )
    print_report(report, as_json=as_json)
    raise_if_refused(report)


def settings_of(path: Path | None, url: str | None, overrides: list[str] | None) -> Settings:
    """The settings of a file, the environment, ``--set`` and ``--url``, the later ones first."""
    from hybrid_search.read.settings_file import load_settings

    given = {}
    for override in overrides or ():
        key, equals, value = override.partition("=")
        if not equals:
            raise SettingsError(
                f"{override!r} is not KEY=VALUE", where="--set", remedy="Example: --set dense.model=none"
            )
        given[key] = value
    return load_settings(path, given if url is None else {**given, "engine.url": url})


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

    rows = {name: getattr(report, name) for name in ("documents", "indexed", "unchanged", "skipped", "refused")}
    rows |= {name: getattr(report, name) for name in ("passages", "encoded", "removed", "retried")}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, f"{value:,}")
    table.add_row("sent", decimal(report.bytes))
    table.add_row("wall", f"{report.wall:,.1f} s, {report.documents_per_second:,.0f} documents/s")
    table.add_row("busy", ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in report.busy.items()))
    console = Console()
    console.print(table)
    for note in report.notes:
        console.print(f"Note: {note}", markup=False)
    for refusal in report.refusals:
        console.print(f"Refused: {refusal.item}: {refusal.status} {refusal.type}: {refusal.reason}", markup=False)
