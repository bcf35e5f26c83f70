"""Making an index anew: built beside the one that serves, which goes only when the new one is whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hybrid_search import build
from hybrid_search.build import Stage
from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import IndexMismatchError, IngestError, SettingsError
from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.source import LoadFiles, Opened, SourceOptions, index_source
from hybrid_search.ingest.state.ledger import OnProgress
from hybrid_search.settings import Settings


def recreate(
    source: str | Path,
    index: str,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    *,
    files: LoadFiles | None = None,
    what: SourceOptions | None = None,
    confirm: str | None = None,
    progress: OnProgress | None = None,
    options: LoadOptions | None = None,
) -> IngestReport:
    """Load a source into a new index ``index-n``, which then takes the place of ``index`` in one step.

    ``index`` is an alias of it afterwards. Until then the old one serves; whatever fails leaves it as it was. Where
    there is no ``index`` yet, this is an ordinary load.

    Args:
        source: as for :func:`hybrid_search.ingest.source.index_source`, as for what is not said here.
        index: an index, or an alias of one.
        connection: the cluster.
        encoder: the models of the new index.
        settings: its settings.
        files: where the load keeps its files.
        what: the name of the source; ``max_removed`` is how many documents the new index may lack.
        confirm: the name of the index again, to replace one that this package did not make.
        progress: see there.
        options: see there.

    Raises:
        IndexMismatchError: the index was not made by this package and is not confirmed.
        IngestError: documents were refused, or the new index lacks too many.
    """
    files, what = files or LoadFiles(), what or SourceOptions()
    if not indices.exists(connection, index):
        return index_source(
            source, index, connection, encoder, settings, files=files, what=what, progress=progress, options=options
        )
    behind = indices.aliased(connection, index)
    live = build.live_index(connection, index) if behind else index
    _check_ours(connection, live or index, index, confirm)
    with Opened(source, encoder, settings, files, what) as looked_at:
        new = build.begin(
            connection,
            index,
            live,
            source=source,
            encoder=encoder,
            settings=settings,
            retry=(options or LoadOptions()).retry,
        )
        report = looked_at.load(new, connection, progress, options)
    if report.refused:
        raise IngestError(
            f"{report.refused:,} documents were refused, {index} goes on serving as it was",
            where=str(report.dead_letters),
            remedy="Remove the cause, then run it again",
        )
    build.mark(connection, new.name, Stage.LOADED)
    build.check_count(connection, live or index, new.name, what.max_removed)
    _swap(connection, index, live, new.name, is_alias=bool(behind))
    return replace(report, index=index)


def _check_ours(connection: Connection, live: str, index: str, confirm: str | None) -> None:
    if confirm is not None and confirm != index:
        raise SettingsError(f"says {confirm!r}, the index is {index!r}", where="--confirm")
    if not indices.read_meta(connection, live) and confirm is None:
        raise IndexMismatchError(
            "this index was not made by hybrid-search, and would be lost",
            where=f"{connection.where}/{live}",
            remedy=f"To replace it all the same, repeat its name: --confirm {index}",
        )


def _swap(connection: Connection, index: str, live: str | None, new: str, *, is_alias: bool) -> None:
    if is_alias:
        build.take_place(connection, index, live, new)
        if live is not None:
            indices.delete_index(connection, live)
        return
    indices.update_meta(connection, new, {build.WAS_LIVE: True, build.REPLACED: None})
    indices.swap_index_for_alias(connection, index, new)
    build.mark(connection, new, Stage.LIVE)
