"""``hybrid-search reindex | rollback``: a new index behind an alias, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_models, check_source
from hybrid_search.cli.options import (
    FollowLinks,
    Format,
    Json,
    MaxBad,
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
from hybrid_search.cli.signals import stop_cleanly
from hybrid_search.errors import IngestError, SettingsError

if TYPE_CHECKING:
    from hybrid_search.ingest.source import SourceOptions
    from hybrid_search.reindex import Judged, Reindexed
    from hybrid_search.settings import Settings

Alias = Annotated[str, typer.Argument(help="The alias that readers search.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (reindex, rollback):
        app.command()(command)


def reindex(
    source: Source,
    alias: Alias,
    *,
    model: Annotated[str | None, typer.Option(help="The dense model of the new index.")] = None,
    queries: Annotated[Path | None, typer.Option(help="Compare on these: JSON lines, TSV, or a BEIR folder.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgements: TSV, TREC, or a BEIR folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Move the alias even if the new index is worse.")] = False,
    max_removed: MaxRemoved = "10%",
    keep: Annotated[int | None, typer.Option(min=0, help="Remove older indices but so many (default: none).")] = None,
    skip_bad: Annotated[Path | None, typer.Option(help="Leave out bad records and save them here.")] = None,
    max_bad: MaxBad = "1%",
    format: Format = None,
    records_path: RecordsPath = None,
    query: Query = None,
    source_url: SourceUrl = None,
    follow_links: FollowLinks = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Build a new index beside the live one and move the alias to it if it is not worse."""
    from hybrid_search.ingest.maintain.remove import Limit
    from hybrid_search.ingest.source import SourceOptions

    if (queries is None) != (qrels is None):
        raise SettingsError("give both, or neither", where="--queries, --qrels")
    check_source(source, format)
    settings = settings_of(
        settings_file, url, _with_model(overrides, model), follow_links=follow_links, source_url=source_url
    )
    check_models(settings)
    stop_cleanly()
    most = Limit.parse(max_removed), Limit.parse(max_bad, "--max-bad")
    what = SourceOptions(None, format, max_removed=most[0], max_bad=most[1], records_path=records_path, query=query)
    done = _reindexed(source, alias, settings, _judged(queries, qrels), what, skip_bad=skip_bad, force=force, keep=keep)
    if as_json:
        typer.echo(json.dumps(done.as_json(), indent=2))
    else:
        _print_built(done)
    if not done.moved:
        raise IngestError(
            f"{alias} still stands for {done.before or 'no index'}: {done.reason}",
            remedy=f"Look at {done.after}; to use it all the same: --force, or for fewer documents --max-removed N, "
            "for records left out --max-bad N",
        )
    if not as_json:
        is_way_back = done.before is not None and done.before not in done.removed
        back = f" Back to {done.before}: hybrid-search rollback {alias}" if is_way_back else ""
        typer.echo(f"{alias} stands for {done.after}.{back}")


def _with_model(overrides: list[str] | None, model: str | None) -> list[str]:
    return [*(overrides or ()), *([] if model is None else [f"dense.model={model}"])]


def _print_built(done: Reindexed) -> None:
    whole = done.load.documents + done.load.resumed
    typer.echo(f"{done.after}: {whole:,} documents" + (f"; {done.reason}" if done.moved else ""))
    if done.removed:
        typer.echo(f"Removed: {', '.join(done.removed)}")
    if done.left:
        typer.echo(f"Older indices that are still there: {', '.join(done.left)} (--keep N removes all but N)")


def rollback(alias: Alias, *, settings_file: SettingsFile = None, url: Url = None, as_json: Json = False) -> None:
    """Let an alias stand for the index before the last reindex."""
    from hybrid_search import reindex as blue_green
    from hybrid_search.engine.connection import connect

    with connect(settings_of(settings_file, url).engine) as connection:
        left, back = blue_green.rollback(connection, alias)
    typer.echo(json.dumps({"left": left, "index": back}) if as_json else f"{alias} stands for {back} again, not {left}")


def _judged(queries: Path | None, qrels: Path | None) -> Judged | None:
    from hybrid_search import read
    from hybrid_search import reindex as blue_green

    if queries is None or qrels is None:
        return None
    return blue_green.Judged(read.queries(queries), read.qrels(qrels))


def _reindexed(
    source: str,
    alias: str,
    settings: Settings,
    judged: Judged | None,
    what: SourceOptions,
    *,
    skip_bad: Path | None,
    force: bool,
    keep: int | None,
) -> Reindexed:
    from hybrid_search import reindex as blue_green
    from hybrid_search.cli.estimate import expected_documents
    from hybrid_search.cli.progress import progress_bar
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.names import check_new_name
    from hybrid_search.ingest.files import LoadFiles

    check_new_name(alias)  # of which those of the new indices are made
    with connect(settings.engine) as connection, progress_bar(alias, expected_documents(Path(source))) as progress:
        return blue_green.reindex(
            source,
            alias,
            connection,
            blue_green.Encoders(load_encoder(settings)),
            settings,
            judged=judged,
            force=force,
            keep=keep,
            files=LoadFiles(skip_bad=skip_bad),
            what=what,
            progress=progress,
        )
