"""Copies of an index of ours: into another engine or version, and to and from a folder of Parquet files.

Nothing is encoded again: passages go as they are stored, with their vectors, and with what the index says of itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hybrid_search.copying.folder import FolderOrigin, FolderTarget
from hybrid_search.copying.index_origin import IndexOrigin
from hybrid_search.copying.index_target import IndexTarget
from hybrid_search.copying.stored import Origin
from hybrid_search.engine.connection import Connection, connect
from hybrid_search.errors import IngestError, SettingsError, SourceError, counted
from hybrid_search.ingest.patience import RetryPolicy, patient
from hybrid_search.read.indexed import index_of, is_index
from hybrid_search.settings import Settings
from hybrid_search.settings.source import of_source

__all__ = ["CopyReport", "copy_index", "is_folder"]

SHOWN = 5


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy did.

    Attributes:
        source: what was copied.
        target: where it is now.
        passages: how many it has.
        written: how many of them this run has written; the others were there.
        deep: whether every passage was compared, not only their number.
        notes: what is otherwise than in the source, and why it was begun anew.
    """

    source: str
    target: str
    passages: int
    written: int
    deep: bool
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def copy_index(
    source: str | Path,
    target: str | Path,
    settings: Settings | None = None,
    *,
    deep: bool = True,
    retry: RetryPolicy | None = None,
) -> CopyReport:
    """Copy an index of ours with its vectors, and compare the copy with it; interrupted, the same call goes on.

    Args:
        source: an index, or the alias of one, in the cluster of ``settings.source`` (without an address that of
            ``settings.engine``); ``es:NAME`` and ``os:NAME`` say its engine too. Or the folder of a copy.
        target: a new index in the cluster of ``settings.engine``, or a folder, which is empty or not there. What holds
            a ``/`` is a folder.
        settings: the clusters.
        deep: compare every passage with its vectors, not only their number.
        retry: how long a busy or silent engine is waited for.

    Raises:
        IngestError: the target holds something else, the engine refuses a passage, or the copy is not as its source.
        SettingsError: the target can be no index, or no cluster is named.
        SourceError: a folder that is no copy; an index that has changed while its point in time was lost.
        EngineError: a cluster refuses, or cannot be reached.
    """
    settings = settings or Settings()
    with _origin(source, settings, retry) as origin, _target(target, settings, origin, retry) as into:
        is_whole = into.begin()
        written = 0 if is_whole else into.write()
        found = into.compare(deep=deep)
        if found.wrong:
            shown = "; ".join(found.wrong[:SHOWN]) + ("; ..." if len(found.wrong) > SHOWN else "")
            what = f"the copy is not as its source, {counted(len(found.wrong), 'difference', 'differences')}: {shown}"
            raise IngestError(what, where=into.where, remedy="Delete the copy and make it again")
        if not is_whole:
            into.finish()  # nobody takes for a copy what was not compared
        return CopyReport(origin.where, into.where, found.passages, written, deep, tuple(into.notes))


def is_folder(place: str | Path) -> bool:
    """Whether a place is a folder: a name of an index holds no slash."""
    return isinstance(place, Path) or "/" in place or "\\" in place or place in {".", ".."}


@contextmanager
def _origin(source: str | Path, settings: Settings, retry: RetryPolicy | None) -> Iterator[Origin]:
    if is_folder(source):
        yield FolderOrigin(Path(source))
        return
    with _connected(settings) as connection:
        engine, name = index_of(source) if is_index(source) else (connection.dialect.engine, str(source))
        if engine != connection.dialect.engine:
            what = f"the cluster at {connection.where} is {connection.dialect.engine}"
            raise SourceError(what, where=str(source), remedy="Name its cluster: --source-url")
        with closing(IndexOrigin(patient(connection, retry), name)) as origin:
            yield origin


@contextmanager
def _connected(settings: Settings) -> Iterator[Connection]:
    wanted = settings.source.engine(settings.engine)
    try:
        connection = connect(wanted)
    except SettingsError as error:
        raise (error if wanted == settings.engine else of_source(error)) from None
    with connection:
        yield connection


@contextmanager
def _target(
    target: str | Path, settings: Settings, origin: Origin, retry: RetryPolicy | None
) -> Iterator[IndexTarget | FolderTarget]:
    if is_folder(target):
        yield FolderTarget(Path(target), origin)
        return
    with connect(settings.engine) as connection:
        yield IndexTarget(patient(connection, retry), str(target), origin, retry)
