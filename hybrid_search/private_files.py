"""Files and folders for their owner only, whatever the umask: what comes of documents is as private as they are."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TextIO

import platformdirs

APPLICATION = "hybrid-search"
FOLDER = 0o700
FILE = 0o600
OTHERS = 0o077
"""What group and others may do."""


def open_new(path: Path) -> TextIO:
    """A text file to write, empty: a new one is for its owner only; one that is there keeps the rights it was given.

    Raises:
        OSError: it cannot be written.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE), "w", encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file, with the rights of :func:`open_new`.

    Raises:
        OSError: it cannot be written.
    """
    with open_new(path) as file:
        file.buffer.write(content)


def make_folder(folder: Path) -> None:
    """Make a folder for files of ours, closed to other users; a folder of the user's choice that is there stays open.

    The package's own folders, of state and cache, are closed also where an earlier release made them open.

    Raises:
        OSError: it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=FOLDER, exist_ok=True)
    for own in (platformdirs.user_state_path(APPLICATION), platformdirs.user_cache_path(APPLICATION)):
        if folder.is_relative_to(own):
            for place in (folder, *folder.parents[: len(folder.relative_to(own).parts)]):
                close(place)


def close(place: Path) -> None:
    """Take the rights of group and others away, from a file or folder that has been recognised as ours.

    Nothing happens where it belongs to another user, who alone could.
    """
    status = place.stat()
    if status.st_mode & OTHERS and status.st_uid == os.geteuid():
        place.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
