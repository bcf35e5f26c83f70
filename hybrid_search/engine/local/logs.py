"""Read the logs of a node: their last lines, and what is added.

A log is in a folder of the server's account, which could put a link there to what root alone can read: no link is
followed.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from hybrid_search.errors import LocalNodeError

POLL_SECONDS = 0.3
MOST_BYTES = 8 << 20
"""From the end of a log: its files are begun anew at 10 MB."""


def tail(path: Path, count: int) -> list[str]:
    """The last ``count`` lines of a log, none where there is no such file.

    Raises:
        LocalNodeError: it is a link or no file, or cannot be read.
    """
    file = _opened(path) if count > 0 else None
    if file is None:
        return []
    with file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - MOST_BYTES))
        return file.read(MOST_BYTES).decode("utf-8", "replace").splitlines()[-count:]


def follow(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Lines as they are added to the logs, without end; a log that is rotated or begun anew is read from its start.

    Raises:
        LocalNodeError: as for :func:`tail`.
    """
    places = {path: _place(path) for path in paths}
    while True:
        for path in paths:
            lines, places[path] = _added(path, places[path])
            yield from ((path, line) for line in lines)
        time.sleep(POLL_SECONDS)


def _opened(path: Path) -> BinaryIO | None:
    """The file, None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        what = "is a link, which is not followed" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise _not_read(path, what) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_read(path, "is no file")
    return os.fdopen(descriptor, "rb")


def _not_read(path: Path, what: str) -> LocalNodeError:
    return LocalNodeError(f"The log {what}", where=str(path), remedy="See what put it there; the server writes a file")


def _place(path: Path) -> tuple[int, int]:
    """Which file it is, and how long."""
    file = _opened(path)
    if file is None:
        return (0, 0)
    with file:
        state = os.fstat(file.fileno())
        return (state.st_ino, state.st_size)


def _added(path: Path, seen: tuple[int, int]) -> tuple[list[str], tuple[int, int]]:
    """Whole lines beyond what was seen, and what is seen now."""
    file = _opened(path)
    if file is None:
        return [], (0, 0)
    with file:
        state = os.fstat(file.fileno())
        start = seen[1] if state.st_ino == seen[0] and state.st_size >= seen[1] else 0
        file.seek(start)
        whole, newline, _ = file.read().rpartition(b"\n")
    lines = whole.decode(errors="replace").splitlines()
    return lines, (state.st_ino, start + len(whole) + len(newline))
