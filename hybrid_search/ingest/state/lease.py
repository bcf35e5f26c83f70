"""Index settings for the time of a load, restored in every way that a load can end.

What was set before is kept in the index's own ``_meta``, before anything is changed. A load that was killed leaves it
there, and the next one, from whatever machine, restores from it instead of taking the load's settings for the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import count, read_meta, read_settings, update_meta, update_settings
from hybrid_search.errors import HybridSearchError, IndexMissingError

T = TypeVar("T")

BEFORE_LOAD = "before_load"
REPLICAS = "index.number_of_replicas"


class Patiently(Protocol):
    """Gives the result of a call, however often it takes."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


@contextmanager
def load_settings(connection: Connection, index: str, patiently: Patiently) -> Iterator[bool]:
    """Set the dialect's settings for a load, and restore those from before.

    Only an index that was empty does without replicas meanwhile: what is there already must survive the loss of a
    node, and copying all of it anew would cost more than the load of a few documents saves.

    ``patiently`` tries again while the engine is busy or restarts; after an error the settings are restored at once,
    or by the next load.

    Yields:
        Whether an earlier load ended without restoring them.

    Raises:
        IndexMissingError: at the end, when the index was deleted meanwhile; a bulk request silently makes a new one.
    """
    present = patiently(partial(read_settings, connection, index))
    wanted = flat(connection.dialect.load_settings())
    left = patiently(partial(read_meta, connection, index)).get(BEFORE_LOAD)
    if left is None and patiently(partial(count, connection, index)):
        del wanted[REPLICAS]
    before = {name: present.get(name) for name in wanted} if left is None else left
    wanted = {name: value for name, value in wanted.items() if name in before}  # what is changed will be restored
    patiently(partial(update_meta, connection, index, {BEFORE_LOAD: before}))
    patiently(partial(update_settings, connection, index, wanted))
    restore = partial(_restore, connection, index, before, present["index.uuid"])
    try:
        yield left is not None
    except BaseException as error:
        try:
            restore(_at_once)
        except HybridSearchError as failed:
            error.add_note(f"The index settings are not restored, the next load will do it: {failed}")
        raise
    restore(patiently)


def _restore(
    connection: Connection, index: str, before: Mapping[str, str | None], uuid: str, patiently: Patiently
) -> None:
    """Put back the settings from before a load; None means that the server's default held."""
    if patiently(partial(read_settings, connection, index))["index.uuid"] != uuid:
        raise IndexMissingError(
            "the index was deleted while it was loaded, and the engine has made another of that name",
            where=f"{connection.where}/{index}",
            remedy="Load it anew with --recreate",
        )
    patiently(partial(update_settings, connection, index, before))
    patiently(partial(update_meta, connection, index, {BEFORE_LOAD: None}))


def _at_once(call: Callable[[], T], /) -> T:
    return call()


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"index": {"refresh_interval": "-1"}}`` as ``{"index.refresh_interval": "-1"}``."""
    names: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{prefix}{name}"
        names |= flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return names
