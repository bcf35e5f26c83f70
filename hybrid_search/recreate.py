"""Making an index anew: built beside the one that serves, which goes only when the new one is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hybrid_search import build
from hybrid_search.build import Stage
from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.names import check_new_name
from hybrid_search.errors import HybridSearchError, IndexMismatchError, IngestError, SettingsError, counted
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.patience import patient
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.source import Opened, SourceOptions, index_source
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

    See :func:`hybrid_search.ingest.source.index_source` for what is not said here. ``what.max_removed`` is how many
    documents of the old index the new one may lack; ``confirm`` repeats the name of an index that this package did not
    make.

    Raises:
        IndexMismatchError: the index was not made by this package and is not confirmed.
        IngestError: documents were refused, or the new index lacks too many.
    """
    files, what, retry = files or LoadFiles(), what or SourceOptions(), (options or LoadOptions()).retry
    waiting = patient(connection, retry)
    check_new_name(index)  # of which that of the new index is made
    if not indices.exists(waiting, index):
        return index_source(
            source, index, connection, encoder, settings, files=files, what=what, progress=progress, options=options
        )
    live = (build.live_index(waiting, index) if indices.aliased(waiting, index) else None) or index
    _check_ours(waiting, live, index, confirm)
    build.check_idle(waiting, live)
    with Opened(source, encoder, settings, files, what) as looked_at:
        new = build.begin(waiting, index, live, source=source, encoder=encoder, settings=settings, retry=retry)
        with _left_behind(new.name):
            report = looked_at.load(new, connection, progress, options)
    with _left_behind(new.name):
        _check_whole(waiting, report, index, live, what)
        build.check_idle(waiting, live)
    _swap(waiting, index, live, new.name)
    return replace(report, index=index)


@contextmanager
def _left_behind(new: str) -> Iterator[None]:
    """Say of a refusal, or a load that ended early, that the new index is there."""
    try:
        yield
    except HybridSearchError as error:
        remedy = "" if error.remedy is None else f"{error.remedy}. "
        error.remedy = f"{remedy}The new index is left as {new}: run it again to continue it, or delete it"
        raise


def _check_whole(connection: Connection, report: IngestReport, index: str, live: str, what: SourceOptions) -> None:
    """Refuse a new index that lacks documents."""
    if report.refused:
        raise IngestError(
            f"{counted(report.refused, 'document was', 'documents were')} refused, {index} goes on serving as it was",
            where=str(report.dead_letters),
            remedy="Remove the cause, then run it again",
        )
    if report.excess is not None:
        raise IngestError(
            f"{report.excess}, {index} goes on serving as it was", where=index, remedy="To allow it: --max-bad"
        )
    build.mark(connection, report.index, Stage.LOADED)
    build.check_count(connection, live, report.index, what.max_removed)


def _check_ours(connection: Connection, live: str, index: str, confirm: str | None) -> None:
    if confirm is not None and confirm != index:
        raise SettingsError(f"says {confirm!r}, the index is {index!r}", where="--confirm")
    if not indices.read_meta(connection, live) and confirm is None:
        raise IndexMismatchError(
            "this index was not made by hybrid-search, and would be lost",
            where=f"{connection.where}/{live}",
            remedy=f"To replace it all the same, repeat its name: --confirm {index}",
        )


def _swap(connection: Connection, index: str, live: str, new: str) -> None:
    """Let the new index take the place of the live one, which is deleted; all of its aliases go with it."""
    indices.update_meta(connection, new, {build.WAS_LIVE: True, build.REPLACED: None})
    indices.swap_index_for_alias(connection, index, new, old=live)
    build.mark(connection, new, Stage.LIVE)
