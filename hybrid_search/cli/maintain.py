"""``hybrid-search verify | delete | cache``: keeping an index right."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli.checks import check_source
from hybrid_search.cli.options import (
    FollowLinks,
    Format,
    Index,
    Json,
    MaxRemoved,
    Query,
    RecordsPath,
    Set,
    SettingsFile,
    Source,
    SourceUrl,
    Url,
    settings_of,
)
from hybrid_search.errors import IngestError, RecordError, RequestRefusedError, SettingsError, counted

if TYPE_CHECKING:
    from hybrid_search.ingest.maintain.remove import Limit, Missing
    from hybrid_search.ingest.maintain.verify import VerifyReport

SHOWN = 10

cache = typer.Typer(no_args_is_help=True, help="Look at the kept vectors, or forget some.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (verify, delete, migrate):
        app.command()(command)
    app.add_typer(cache, name="cache")


def verify(
    index: Index,
    source: Source,
    *,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    format: Format = None,
    records_path: RecordsPath = None,
    query: Query = None,
    source_url: SourceUrl = None,
    follow_links: FollowLinks = False,
    source_name: Annotated[
        str | None, typer.Option("--source", help="Its name, where others are in the index.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read what is stored, and look for the vectors.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Pass over bad records, and count them.")] = False,
    as_json: Json = False,
) -> None:
    """Compare an index with its source: print what is missing, stale or extra; exit status 1 if anything is."""
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest.left_out import LeftOut
    from hybrid_search.ingest.maintain import verify as verifying
    from hybrid_search.ingest.origin import origin_of
    from hybrid_search.read import documents

    check_source(source, format)
    settings = settings_of(settings_file, url, overrides, follow_links=follow_links, source_url=source_url)
    bad: list[str] = []

    def keep(error: RecordError, _data: bytes) -> None:
        bad.append(str(error))

    with connect(settings.engine) as connection, origin_of(source, settings) as origin:
        how: dict[str, Any] = {"format": format, "records_path": records_path, "query": query, "origin": origin}
        report_bad = keep if skip_bad else LeftOut().refuse
        found = documents(source, settings.documents, on_bad=report_bad, unique_ids=False, **how)
        how = {"source": source_name, "deep": deep, "images": settings.images}
        report = verifying.verify(found, index, connection, settings.chunking, **how)
    if as_json:
        typer.echo(json.dumps({**report.as_json(), "bad": len(bad)}, indent=2))
    else:
        _print_verified(report, bad)
    if not report.is_equal:
        raise IngestError("the index differs from its source", where=index, remedy=_mending(report, source_name))


def _print_verified(report: VerifyReport, bad: list[str]) -> None:
    typer.echo(f"{report.documents:,} documents in the source")
    for name, group in report.faults.items():
        more = " ..." if group.count > len(group.first) else ""
        typer.echo(f"{group.count:,} {name}" + (f": {', '.join(group.first)}{more}" if group.count else ""))
    if bad:
        were = counted(len(bad), "bad record was", "bad records were")
        typer.echo(f"{were} left out, the first: {bad[0]}")
    if report.unknown:
        typer.echo(f"{report.unknown:,} were loaded by release 0.1: whether their last passages are there is not known")
    if report.mended:
        typer.echo("The index settings that a killed load had left are restored")


def _mending(report: VerifyReport, source_name: str | None) -> str:
    """What to do about the faults that were found."""
    if report.edited.count:
        return (
            f"Delete what was edited, and load it again: hybrid-search delete INDEX {' '.join(report.edited.first[:3])}"
        )
    if report.extra.count and source_name is None:
        return "If other sources are in the index, name this one: --source; else run: hybrid-search index --sync"
    return "Run: hybrid-search index --sync"


def delete(
    index: Index,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of documents.")] = None,
    *,
    query: Annotated[str | None, typer.Option(help="Delete what matches this query of the engine, as JSON.")] = None,
    max_removed: MaxRemoved = "10%",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete what a query matches without asking.")] = False,
    confirm: Annotated[int | None, typer.Option(help="How many documents a query is to match; else none goes.")] = None,
    settings_file: SettingsFile = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Delete documents, by id or by query.

    What a query matches is counted and confirmed first; it is at most a tenth of all unless more are allowed.
    What an alias with a filter does not show is not deleted through it.
    """
    from hybrid_search.engine import indices
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.layout import DOC_ID
    from hybrid_search.engine.patterns import refuse_patterns
    from hybrid_search.ingest.maintain.remove import Limit, absent_ids, delete_where, matching_documents, within
    from hybrid_search.ingest.patience import patient

    if bool(ids) == (query is not None):
        raise SettingsError("give either ids or --query", where="delete")
    try:
        refuse_patterns(index)
    except RequestRefusedError as error:
        raise SettingsError(error.what, where="delete", remedy=error.remedy) from None
    limit = Limit.parse(max_removed)
    matching = {"terms": {DOC_ID: ids}} if query is None else _parsed(query)
    with connect(settings_of(settings_file, url).engine) as connected:
        connection = patient(connected)
        name = indices.open_index(connection, index).name
        shown = indices.shown_by(connection, index)
        found = matching_documents(connection, name, matching, shown)
        absent = absent_ids(connection, name, ids or (), shown)
        if dry_run:
            typer.echo(json.dumps(asdict(found)) if as_json else f"{found} would be deleted; nothing is changed now")
            _raise_if_absent(absent, index)
            return
        if query is not None:
            _check_allowed(found, limit, index)
            _confirm(found, confirm, index, yes=yes)
        removed = delete_where(connection, name, within(matching, shown))
    told = {"passages": removed, "missing": absent}
    typer.echo(json.dumps(told) if as_json else f"{counted(removed, 'passage', 'passages')} deleted")
    _raise_if_absent(absent, index)


def _check_allowed(found: Missing, limit: Limit, index: str) -> None:
    if not limit.allows(found.count, found.of):
        raise IngestError(
            f"the query matches {found}, more than {limit}: none was deleted",
            where=index,
            remedy=f"If they are to go: --max-removed {found.count}",
        )


def _raise_if_absent(ids: list[str], index: str) -> None:
    """Exit status 1 where ids that were named are not there: a mistyped one looks like a document that is gone."""
    if ids:
        shown = ", ".join(ids[:SHOWN]) + (" ..." if len(ids) > SHOWN else "")
        raise IngestError(
            f"{counted(len(ids), 'id is', 'ids are')} not in the index: {shown}",
            where=index,
            remedy="Check the ids; the others that were named are dealt with",
        )


def _confirm(found: Missing, count: int | None, index: str, *, yes: bool) -> None:
    """Whoever deletes by a query says how many documents that is, or yes to any number, or is asked at a terminal."""
    if found.count in {0, count} or (yes and count is None):
        return
    if count is None and _is_terminal() and typer.confirm(f"{found} would be deleted. Delete them?", err=True):
        return
    raise IngestError(
        f"the query matches {found}, which was not confirmed: none was deleted",
        where=index,
        remedy=f"If they are to go: --confirm {found.count}, or --yes",
    )


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def migrate(
    index: Index,
    *,
    source_name: Annotated[str, typer.Option("--source", help="The source that its documents are from.")],
    settings_file: SettingsFile = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let the documents of an index of release 0.1 name their source, so that --sync and verify know them whole."""
    from hybrid_search.cli.signals import stop_cleanly
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest.maintain import migrate as migrating

    stop_cleanly()
    with connect(settings_of(settings_file, url).engine) as connection:
        found = migrating.migrate(connection, index, source_name)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        typer.echo(f"{found.documents:,} documents are of the source {source_name!r} now")
        if found.broken:
            typer.echo(f"{found.broken:,} lack passages: load them again")


@cache.command()
def info(*, as_json: Json = False) -> None:
    """Show how many texts' vectors are kept, and in how many bytes."""
    from rich.filesize import decimal

    from hybrid_search.ingest.state.cache import VectorCache, default_path

    with VectorCache(default_path()) as kept:
        found = kept.info()
        _say(kept.notes)
    if as_json:
        facts = {
            "path": str(found.path),
            "texts": found.texts,
            "models": found.models,
            "bytes": found.bytes,
            "max_bytes": found.max_bytes,
        }
        typer.echo(json.dumps(facts, indent=2))
    else:
        size = f"{decimal(found.bytes)} of at most {decimal(found.max_bytes)}"
        typer.echo(f"{found.texts:,} texts, {found.models} pairs of models, {size} in {found.path}")


@cache.command()
def prune(
    *,
    unused_days: Annotated[int, typer.Option(min=0, help="Forget what was not used for so many days; 0: all.")] = 30,
) -> None:
    """Forget vectors that have not been used for long, and give the room back."""
    from hybrid_search.ingest.state.cache import VectorCache, default_path

    with VectorCache(default_path()) as kept:
        gone = kept.prune(unused_days=unused_days)
        _say(kept.notes)
    typer.echo(f"{gone:,} texts forgotten")


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        typer.echo(note, err=True)


def _parsed(query: str) -> dict[str, Any]:
    try:
        parsed = json.loads(query)
    except ValueError as error:
        raise SettingsError(f"not JSON: {error}", where="--query") from error
    if not isinstance(parsed, dict):
        raise SettingsError("not a JSON object", where="--query")
    return parsed
