"""``hybrid-search index | replay``: documents into an index."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli import maintain, reindex
from hybrid_search.cli.checks import check_models, check_source
from hybrid_search.cli.loads import merge, print_loads, print_report, raise_if_incomplete
from hybrid_search.cli.options import (
    FollowLinks,
    Format,
    Index,
    Json,
    MaxBad,
    MaxRemoved,
    Query,
    RecordsPath,
    Set,
    SettingsFile,
    Sources,
    SourceUrl,
    Url,
    settings_of,
)
from hybrid_search.cli.plans import print_plan, raise_if_refused
from hybrid_search.cli.shared_loads import shared
from hybrid_search.cli.signals import stop_cleanly
from hybrid_search.cli.told import also_told
from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from hybrid_search.ingest.files import LoadFiles
    from hybrid_search.ingest.maintain.plan import Plan
    from hybrid_search.ingest.report import IngestReport
    from hybrid_search.ingest.source import SourceOptions
    from hybrid_search.settings import Settings


class Vectors(StrEnum):
    """When documents are encoded."""

    NOW = "now"
    LATER = "later"


class Bulk(StrEnum):
    """As :class:`hybrid_search.ingest.bulk_mode.BulkMode`, which ``--help`` need not load."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


SourceName = Annotated[str | None, typer.Option("--source", help="The source's name (default: the file's).")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (index, replay):
        app.command()(command)
    maintain.register(app)
    reindex.register(app)


def index(
    source: Sources,
    index: Annotated[str, typer.Argument(help="The index, or an alias of one; made if it is not there.")],
    *,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    format: Format = None,
    source_name: SourceName = None,
    records_path: RecordsPath = None,
    query: Query = None,
    source_url: SourceUrl = None,
    follow_links: FollowLinks = False,
    skip_bad: Annotated[Path | None, typer.Option(help="Leave out bad records and save them here.")] = None,
    max_bad: MaxBad = "1%",
    dead_letters: Annotated[Path | None, typer.Option(help="Where refused documents are kept for replay.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Where progress is recorded.")] = None,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep vectors and use those kept.")] = True,
    sync: Annotated[bool, typer.Option("--sync", help="Remove what this source no longer has.")] = False,
    max_removed: MaxRemoved = "10%",
    expect: Annotated[int | None, typer.Option(min=1, help="Remove only if the source has so many documents.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be loaded and removed.")] = False,
    take_over: Annotated[bool, typer.Option("--take-over", help="Replace documents of other sources.")] = False,
    join: Annotated[bool, typer.Option("--join", help="Share the load with others that run this command.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes of this machine that share the load.")] = 1,
    ray: Annotated[str | None, typer.Option(help="The workers run on Ray: auto, local, or ray://host:port.")] = None,
    ray_least: Annotated[int, typer.Option(min=1, help="Workers on Ray at first; --workers is the most.")] = 1,
    ray_cpus: Annotated[float, typer.Option(min=0.0, help="CPUs of each worker on Ray.")] = 1.0,
    ray_gpus: Annotated[float, typer.Option(min=0.0, help="GPUs of each worker on Ray, as 0.5.")] = 0.0,
    recreate: Annotated[bool, typer.Option("--recreate", help="Build the index anew beside it, then swap.")] = False,
    confirm: Annotated[str | None, typer.Option(help="The index again, to --recreate a foreign one.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Load only the first so many documents.")] = None,
    vectors: Annotated[Vectors, typer.Option(help="When documents are encoded; later: by enrich.")] = Vectors.NOW,
    bulk_mode: Annotated[Bulk, typer.Option(help="No refresh and no replicas meanwhile.")] = Bulk.AUTO,
    force_merge: Annotated[int | None, typer.Option(min=1, help="Merge to so many segments a shard.")] = None,
    metrics_port: Annotated[int | None, typer.Option(min=0, help="Serve Prometheus metrics here meanwhile.")] = None,
    as_json: Json = False,
) -> None:
    """Load documents into an index; run again, it goes on where it stopped."""
    named = source_name, format, limit, sync
    what = _asked(named, (max_removed, max_bad), (expect, take_over, records_path, query), bulk_mode)
    what = replace(what, join=join or workers > 1 or ray is not None, vectors_later=vectors is Vectors.LATER)
    own = {"--source": source_name, "--expect": expect, "--journal": journal, "--dead-letters": dead_letters}
    _check(source, index, what, own, recreate=recreate, dry_run=dry_run, confirm=confirm)
    files = [_files(journal, dead_letters, _numbered(skip_bad, n), cache and not dry_run) for n in range(len(source))]
    settings = settings_of(settings_file, url, overrides, follow_links=follow_links, source_url=source_url)
    if dry_run:
        return _print_plans(source, index, settings, files, what, as_json=as_json)
    loads = shared(ray, ray_least, workers, ray_cpus, ray_gpus) or partial(_loads, recreate=recreate, confirm=confirm)
    return _load(partial(loads, source, index, settings, files, what), metrics_port, force_merge, as_json=as_json)


def _check(
    sources: list[str],
    index: str,
    what: SourceOptions,
    own: Mapping[str, object],
    *,
    recreate: bool,
    dry_run: bool,
    confirm: str | None,
) -> None:
    """What was asked for can be done, of each source."""
    has_journal = own["--journal"] is not None
    _check_recreate(what, recreate=recreate, dry_run=dry_run, confirm=confirm, has_journal=has_journal)
    _check_sources(sources, index, what, {**own, "--recreate": recreate or None})


def _load(loads: partial[Iterator[IngestReport]], metrics: int | None, segments: int | None, *, as_json: bool) -> None:
    """Load, and merge afterwards where that is asked for."""
    _, index, settings, *_ = loads.args
    check_models(settings)
    stop_cleanly()
    with also_told(index, metrics):
        print_loads(loads(), as_json=as_json)
        if segments is not None:
            merge(index, settings, segments)


def _asked(
    named: tuple[str | None, str | None, int | None, bool],
    limits: tuple[str, str],
    more: tuple[int | None, bool, str | None, str | None],
    bulk: Bulk,
) -> SourceOptions:
    """What is loaded: name, format, limit, sync; most to remove, to leave out; expected, take over, records, query."""
    from hybrid_search.ingest.bulk_mode import BulkMode
    from hybrid_search.ingest.maintain.remove import Limit
    from hybrid_search.ingest.source import SourceOptions

    removed, bad = Limit.parse(limits[0]), Limit.parse(limits[1], "--max-bad")
    return SourceOptions(*named, removed, *more, bad, bulk=BulkMode(bulk))


def _print_plans(
    sources: list[str], index: str, settings: Settings, files: list[LoadFiles], what: SourceOptions, *, as_json: bool
) -> None:
    check_models(settings)
    for source, own in zip(sources, files, strict=True):
        plan = _plan(source, index, settings, own, what)
        print_plan(plan, as_json=as_json)
        raise_if_refused(plan, index, what, skips_bad=own.skip_bad is not None)


def _check_sources(sources: list[str], index: str, what: SourceOptions, own: Mapping[str, object]) -> None:
    """Each source can be loaded so; of several none has options of its ``own``, and each its own name."""
    from hybrid_search.engine.names import check_name
    from hybrid_search.ingest.source import source_name

    check_name(index)
    for source in sources:
        what.check(source)
        check_source(source, what.format)
    if len(sources) < 2:
        return
    given = [option for option, value in own.items() if value is not None]
    if given:
        remedy = 'Load them one by one, or as one source: a folder, or a quoted pattern ("parts/*.jsonl")'
        raise SettingsError("is for one source", where=given[0], remedy=remedy)
    names = [source_name(source) for source in sources]
    if repeated := {name for name in names if names.count(name) > 1}:
        remedy = "Load them one by one, each with its own --source"
        raise SettingsError(f"two sources have the name {min(repeated)!r}", where="index", remedy=remedy)


def _files(journal: Path | None, dead_letters: Path | None, skip_bad: Path | None, caches: bool) -> LoadFiles:
    from hybrid_search.ingest.files import LoadFiles
    from hybrid_search.ingest.state.cache import default_path

    files = LoadFiles(journal, dead_letters, skip_bad, default_path() if caches else None)
    files.check()
    return files


def _numbered(path: Path | None, number: int) -> Path | None:
    """The file of the bad records of the first source; those of the others have a number: ``bad-2.jsonl``."""
    return path if path is None or not number else path.with_stem(f"{path.stem}-{number + 1}")


def _plan(source: str, index: str, settings: Settings, files: LoadFiles, what: SourceOptions) -> Plan:
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.names import check_name
    from hybrid_search.ingest.source import plan_source

    check_name(index)
    with connect(settings.engine) as connection:
        return plan_source(source, index, connection, load_encoder(settings), settings, files=files, what=what)


def _loads(
    sources: list[str],
    index: str,
    settings: Settings,
    files: list[LoadFiles],
    what: SourceOptions,
    *,
    recreate: bool,
    confirm: str | None,
) -> Iterator[IngestReport]:
    """Load the sources one after the other, with the models loaded once."""
    from hybrid_search.cli.estimate import expected_documents
    from hybrid_search.cli.outlook import outlook_of, sentences
    from hybrid_search.cli.progress import progress_bar
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.names import check_target
    from hybrid_search.ingest.source import index_source
    from hybrid_search.ingest.target import check_layout
    from hybrid_search.printed.console import Console
    from hybrid_search.read.indexed import is_index
    from hybrid_search.recreate import recreate as rebuilt

    with connect(settings.engine) as connection:
        check_target(connection, index)
        check_layout(connection, index, settings)
        encoder = load_encoder(settings)
        load = partial(rebuilt, confirm=confirm) if recreate else index_source
        for source, own in zip(sources, files, strict=True):
            outlook = None if what.vectors_later else outlook_of(source, settings, encoder, what)
            if outlook is not None:
                lines = sentences(outlook, settings, index, is_terminal=sys.stderr.isatty())
                Console(stderr=True).print("\n".join(lines), soft_wrap=True)
            known = outlook.documents if outlook is not None and is_index(source) else expected_documents(Path(source))
            with progress_bar(index, what.limit or known) as progress:
                report = load(source, index, connection, encoder, settings, files=own, what=what, progress=progress)
            yield report


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


def _check_join(*, join: bool, has_journal: bool, dry_run: bool) -> None:
    if join and (has_journal or dry_run):
        raise SettingsError(
            "goes with neither --journal nor --dry-run: the index itself records what is settled",
            where="--join (of --workers and --ray too)",
            remedy="Leave one of them out",
        )


def _check_recreate(
    what: SourceOptions, *, recreate: bool, dry_run: bool, confirm: str | None, has_journal: bool
) -> None:
    """Options that contradict each other are refused before anything is looked at."""
    _check_join(join=what.join, has_journal=has_journal, dry_run=dry_run)
    if confirm is not None and not recreate:
        raise SettingsError("is for --recreate", where="--confirm", remedy="Leave it out, or add --recreate")
    if recreate and (what.sync or what.join or what.limit is not None or dry_run):
        raise SettingsError(
            "makes the index anew from the whole source, and goes with none of --sync, --join, --limit, --dry-run",
            where="--recreate",
            remedy="Leave one of them out",
        )
