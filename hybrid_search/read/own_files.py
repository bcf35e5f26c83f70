"""The files that a load writes to, which are never part of its source."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from hybrid_search.errors import SourceError
from hybrid_search.read.objects import is_object

COMPANIONS = ("", "-wal", "-shm", "-journal")
"""What SQLite puts beside its file."""

_HEAD = re.compile(rb'(?:[0-9a-f]{8} )?\{"hybrid_search": "')
"""As :mod:`hybrid_search.ingest.state.lines` begins its files."""


class OwnFiles:
    """Some files, and folders with all that is in them; known through links too.

    A file may be made after this: it is then known by its path. Files of other loads are known by their first line.
    """

    def __init__(self, paths: Collection[Path] = ()) -> None:
        named = [path.with_name(f"{path.name}{companion}") for path in paths for companion in COMPANIONS]
        self._paths = {path.resolve() for path in named}
        self._inodes = {_inode(path) for path in named if path.exists()}

    def __contains__(self, path: Path) -> bool:
        if is_object(path):
            return False
        if self._paths:
            resolved = path.resolve()
            if resolved in self._paths or not self._paths.isdisjoint(resolved.parents):
                return True
        return path.is_file() and (_inode(path) in self._inodes or _says_so(path))

    def check_source(self, source: Path) -> None:
        """Raise SourceError where the source itself is one of these files."""
        if source in self:
            raise SourceError(
                "is a file that hybrid-search itself writes, so it cannot be the source",
                where=str(source),
                remedy="Name the source, or another file for the journal, dead letters, bad records or cache",
            )


def _says_so(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _HEAD.match(file.read(32)) is not None
    except OSError:
        return False  # the reader will say why


def _inode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
