"""``hybrid-search index | replay``: documents into an index."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli import maintain, reindex
from hybrid_search.cli.options import Format, Index, Json, MaxRemoved, Set, SettingsFile, Source, Url, settings_of
from hybrid_search.cli.signals import stop_cleanly
from hybrid_search.errors import IngestError, SettingsError

if TYPE_CHECKING:
    from hybrid_search.ingest.files import LoadFiles
    from hybrid_search.ingest.maintain.plan import Plan
    from hybrid_search.ingest.report import IngestReport
    from hybrid_search.ingest.source import SourceOptions
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
    source_name: Annotated[
        str | None, typer.Option("--source", help="The source's name (default: the file's).")
    ] = None,
    skip_bad: Annotated[Path | None, typer.Option(help="Leave out bad records and save them here.")] = None,
    dead_letters: Annotated[Path | None, typer.Option(help="Where refused documents are kept for replay.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Where progress is recorded.")] = None,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep vectors and use those kept.")] = True,
    sync: Annotated[bool, typer.Option("--sync", help="Remove what this source no longer has.")] = False,
    max_removed: MaxRemoved = "10%",
    expect: Annotated[int | None, typer.Option(min=1, help="Remove only if the source has so many documents.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be loaded and removed.")] = False,
    take_over: Annotated[bool, typer.Option("--take-over", help="Replace documents of other sources.")] = False,
    join: Annotated[bool, typer.Option("--join", help="Share the load with others that run this command.")] = False,
    recreate: Annotated[bool, typer.Option("--recreate", help="Build the index anew beside it, then swap.")] = False,
    confirm: Annotated[
        str | None, typer.Option(help="The index again: with --recreate, replace a foreign one.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Load only the first so many documents.")] = None,
    as_json: Json = False,
) -> None:
    """Load documents into an index; run again, it goes on where it stopped."""
    from hybrid_search.ingest.files import LoadFiles
    from hybrid_search.ingest.maintain.remove import Limit
    from hybrid_search.ingest.source import SourceOptions
    from hybrid_search.ingest.state.cache import default_path

    what = SourceOptions(source_name, format, limit, sync, Limit.parse(max_removed), expect, take_over, join)
    what.check(source)
    _check_recreate(what, recreate=recreate, dry_run=dry_run, confirm=confirm)
    _check_join(join=join, journal=journal, dry_run=dry_run)
    files = LoadFiles(journal, dead_letters, skip_bad, default_path() if cache and not dry_run else None)
    files.check()
    settings = settings_of(settings_file, url, overrides)
    if dry_run:
        plan = _plan(source, index, settings, files, what)
        print_plan(plan, as_json=as_json)
        raise_if_refused(plan, index, what, skips_bad=skip_bad is not None)
        return
    stop_cleanly()
    report = _load(source, index, settings, files, what, recreate=recreate, confirm=confirm)
    print_report(report, as_json=as_json)
    raise_if_incomplete(report)


def _plan(source: str, index: str, settings: Settings, files: LoadFiles, what: SourceOptions) -> Plan:
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.names import check_name
    from hybrid_search.ingest.source import plan_source

    check_name(index)
    with connect(settings.engine) as connection:
        return plan_source(source, index, connection, load_encoder(settings), settings, files=files, what=what)


def _load(
    source: str,
    index: str,
    settings: Settings,
    files: LoadFiles,
    what: SourceOptions,
    *,
    recreate: bool,
    confirm: str | None,
) -> IngestReport:
    from hybrid_search.cli.estimate import expected_documents
    from hybrid_search.cli.progress import progress_bar
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.names import check_target
    from hybrid_search.ingest.source import index_source
    from hybrid_search.recreate import recreate as rebuilt

    with connect(settings.engine) as connection:
        check_target(connection, index)
        encoder = load_encoder(settings)
        load = partial(rebuilt, confirm=confirm) if recreate else index_source
        with progress_bar(index, what.limit or expected_documents(Path(source))) as progress:
            return load(source, index, connection, encoder, settings, files=files, what=what, progress=progress)


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

    stop_cleanly()
    settings = settings_of(settings_file, url, overrides)
    with connect(settings.engine) as connection, progress_bar(index, None) as progress:
        report = replaying.replay(file, index, connection, load_encoder(settings), settings, progress=progress)
    print_report(report, as_json=as_json)
    raise_if_incomplete(report)


def raise_if_incomplete(report: IngestReport) -> None:
    """Exit status 1 and one line when documents were refused, or a sync would have removed too much."""
    from hybrid_search.ingest.pipeline import refused_of, withheld

    if report.withheld:
        raise withheld(report)
    if report.refused:
        raise IngestError(
            refused_of(report),
            where=str(report.dead_letters),
            remedy=f"Remove the cause, then run: hybrid-search replay {report.dead_letters} {report.index}",
        )


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """What would be done, as a table or as JSON."""
    if as_json:
        typer.echo(json.dumps(plan.as_json(), indent=2))
        return
    typer.echo(f"The source {plan.source!r} would be loaded; nothing is changed now:")
    for name in ("new", "changed", "unchanged", "foreign", "bad"):
        typer.echo(f"{getattr(plan, name):>12,} {name}")
    typer.echo(f"{plan.missing.count:>12,} removed by --sync" + (f": {plan.missing}" if plan.missing.count else ""))


def raise_if_refused(plan: Plan, index: str, what: SourceOptions, *, skips_bad: bool) -> None:
    """Exit status 1 and one line for a dry run whose load would not end with 0."""
    limit = what.max_removed if what.sync else None
    if reason := plan.refusal(takes_over=what.take_over, skips_bad=skips_bad, sync=limit):
        raise IngestError(f"without --dry-run this would end with status 1: {reason}", where=index)


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


def _check_join(*, join: bool, journal: Path | None, dry_run: bool) -> None:
    if join and (journal is not None or dry_run):
        raise SettingsError(
            "goes with neither --journal nor --dry-run: the index itself records what is settled",
            where="--join",
            remedy="Leave one of them out",
        )


def _check_recreate(what: SourceOptions, *, recreate: bool, dry_run: bool, confirm: str | None) -> None:
    """Options that contradict each other are refused before anything is looked at."""
    if confirm is not None and not recreate:
        raise SettingsError("is for --recreate", where="--confirm", remedy="Leave it out, or add --recreate")
    if recreate and (what.sync or what.join or what.limit is not None or dry_run):
        raise SettingsError(
            "makes the index anew from the whole source, and goes with none of --sync, --join, --limit, --dry-run",
            where="--recreate",
            remedy="Leave one of them out",
        )
