"""Index settings for the time of a load, restored in every way that a load can end.

What was set before is kept in the index's own ``_meta``, before anything is changed. A load that was killed leaves it
there, and the next one, from whatever machine, restores from it instead of taking the load's settings for the user's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import read_meta, read_settings, update_meta, update_settings

BEFORE_LOAD = "before_load"


@contextmanager
def load_settings(connection: Connection, index: str) -> Iterator[bool]:
    """Set the dialect's settings for a load, and restore those from before.

    Yields:
        Whether an earlier load ended without restoring them.
    """
    before = read_meta(connection, index).get(BEFORE_LOAD)
    interrupted = before is not None
    wanted = flat(connection.dialect.load_settings())
    if before is None:
        present = read_settings(connection, index)
        before = {name: present.get(name) for name in wanted}
        update_meta(connection, index, {BEFORE_LOAD: before})
    update_settings(connection, index, wanted)
    try:
        yield interrupted
    finally:
        restore(connection, index, before)


def restore(connection: Connection, index: str, before: Mapping[str, str | None]) -> None:
    """Put back the settings from before a load; None means that the server's default held."""
    update_settings(connection, index, before)
    update_meta(connection, index, {BEFORE_LOAD: None})


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"index": {"refresh_interval": "-1"}}`` as ``{"index.refresh_interval": "-1"}``."""
    names: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{prefix}{name}"
        names |= flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return names
