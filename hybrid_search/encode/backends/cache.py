"""Graphs that were made before, and which backend was the fastest on this machine.

A graph is a folder: its files, and ``manifest.json`` with the SHA-256 of each. What is not whole counts as not there
and is made again. Folders come into their places complete, by a rename under a lock, so that two processes that want
the same graph make it once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from hybrid_search.errors import ModelError
from hybrid_search.private_files import APPLICATION, make_folder

VERSION = 2
"""Of what graphs compute; another makes all of them anew."""

MANIFEST = "manifest.json"
PATIENCE = 600.0
"""Seconds to wait for another process that makes the same graph."""


class GraphCache:
    """The graphs of one network, by precision.

    Args:
        identity: of the network.
        root: where all graphs are; None takes the cache folder of the user.
    """

    def __init__(self, identity: str, root: Path | None = None) -> None:
        key = hashlib.sha256(f"{VERSION} {identity}".encode()).hexdigest()[:24]
        self.folder = (root or platformdirs.user_cache_path(APPLICATION) / "graphs") / key

    def find(self, precision: str) -> Path | None:
        """The folder of a whole graph, None where there is none."""
        folder = self.folder / precision
        return folder if is_whole(folder) else None

    def made(self, precision: str, make: Callable[[Path], None]) -> Path:
        """The folder of a graph, which ``make`` writes into an empty one where there is none that is whole.

        Raises:
            ModelError: the cache cannot be written, or another process is at it for too long.
        """
        if found := self.find(precision):
            return found
        with self._locked():
            if found := self.find(precision):
                return found
            folder, unfinished = self.folder / precision, self.folder / f"{precision}.unfinished"
            for old in (folder, unfinished):
                shutil.rmtree(old, ignore_errors=True)
            make_folder(unfinished)
            make(unfinished)
            digests = {path.name: _digest(path) for path in sorted(unfinished.iterdir())}
            (unfinished / MANIFEST).write_text(json.dumps(digests), "utf-8")
            unfinished.rename(folder)
            return folder

    def discard(self, precision: str) -> None:
        """Take a graph away that is whole and cannot be read all the same."""
        with self._locked():
            shutil.rmtree(self.folder / precision, ignore_errors=True)

    def has(self, what: str) -> bool:
        """Whether something was measured, in whatever situation."""
        return (self.folder / f"{what}.json").is_file()

    def recall(self, what: str, situation: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What was measured in this situation (versions, cores); None where nobody has."""
        kept = _read(self.folder / f"{what}.json")
        found = kept.get("found")
        return found if isinstance(found, dict) and kept.get("situation") == dict(situation) else None

    def keep(self, what: str, situation: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Remember what was measured."""
        with self._locked():
            unfinished = self.folder / f"{what}.unfinished"
            unfinished.write_text(json.dumps({"situation": dict(situation), "found": dict(found)}), "utf-8")
            unfinished.replace(self.folder / f"{what}.json")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout  # torch needs it, too

        try:
            make_folder(self.folder)
            with FileLock(self.folder / "lock", timeout=PATIENCE):
                yield
        except Timeout as error:
            raise ModelError(
                "another process has been making this graph for ten minutes",
                where=str(self.folder),
                remedy='End it, or set encode.backend to "torch"',
            ) from error
        except OSError as error:
            raise ModelError(
                f"the cache of graphs cannot be written ({error.strerror or error})",
                where=str(self.folder),
                remedy='Make room or give the rights, or set encode.backend to "torch"',
            ) from error


def is_whole(folder: Path) -> bool:
    """Whether every file of a graph is there and is what was written."""
    digests = _read(folder / MANIFEST)
    try:
        return bool(digests) and all(_digest(folder / name) == digest for name, digest in digests.items())
    except OSError:
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """The object in a file; an empty one where there is none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
