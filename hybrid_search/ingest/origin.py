"""The cluster that a source is read from, where the source is an index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybrid_search.engine.connection import Connection, connect
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.errors import SettingsError
from hybrid_search.ingest.patience import RetryPolicy, patient
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.read.indexed import Origin, is_index
from hybrid_search.read.objects import address_of, is_object
from hybrid_search.read.splits import can_be_split
from hybrid_search.read.streams import printable
from hybrid_search.settings import Settings
from hybrid_search.settings.source import of_source


def open_origin(source: str | Path, settings: Settings, retry: RetryPolicy | None = None) -> Origin | None:
    """The cluster of a source, to be closed; None for a source that is no index. It is waited for when it is busy.

    Raises:
        SettingsError: contradictory or incomplete settings of the section ``source``.
        EngineError: it cannot be reached, or refuses the credentials.
    """
    if not is_index(source):
        return None
    wanted = settings.source.engine(settings.engine)
    try:
        connection = connect(wanted)
    except SettingsError as error:
        raise (error if wanted == settings.engine else of_source(error)) from None
    return Origin(patient(connection, retry))


class Place:
    """Where a source is; the cluster of one that is an index is open, with what it kept of it, until this is closed.

    Raises what :func:`open_origin` raises.
    """

    def __init__(self, source: str | Path, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        self.origin = open_origin(source, settings)
        where = None if self.origin is None else self.origin.where
        self.text = place_of(source, where)
        is_path = where is None and not is_object(source)
        self.known_as: Path | str = Path(source) if is_path else self.text
        """What journals know it by."""

    def close(self) -> None:
        """Close the cluster, if there is one."""
        origin, self.origin = self.origin, None
        if origin is not None:
            origin.close()

    @contextmanager
    def open(self) -> Iterator[None]:
        """The cluster is open in the block, as it was where it is open, else as it is now."""
        if self.origin is not None or not is_index(self._source):
            yield
            return
        self.origin = open_origin(self._source, self._settings)
        try:
            yield
        finally:
            self.close()


def place_of(source: str | Path, where: str | None = None) -> str:
    """The place of a source; a link to today's file is the same place every day.

    ``where`` is the address of the cluster of an index.
    """
    if is_index(source):
        return printable(f"{source} at {where}")
    if is_object(source):
        return printable(address_of(source))
    return printable(str(Path(source).absolute()) if can_be_split(source) else str(source))


def check_moved(name: str, place: str, connection: Connection, opened: OpenedIndex) -> None:
    """Refuse a source of the same name at another place: that is another source, unless its name is said."""
    before = read_state(connection, opened.name).sources.get(name)
    if before is not None and before.place != place:
        raise SettingsError(
            f"the source {name!r} was loaded from {before.place}, this one is {place}",
            where="--sync",
            remedy=f"If it has only moved, say --source {name}; else give this one a name of its own",
        )


@contextmanager
def origin_of(source: str | Path, settings: Settings, retry: RetryPolicy | None = None) -> Iterator[Origin | None]:
    """The same for the time of a block."""
    origin = open_origin(source, settings, retry)
    try:
        yield origin
    finally:
        if origin is not None:
            origin.close()
