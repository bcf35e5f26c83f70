"""Read the logs of a node: their last lines, and what is added."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

POLL_SECONDS = 0.3


def tail(path: Path, count: int) -> list[str]:
    """The last ``count`` lines of a log, none where there is no such file."""
    if count < 1 or not path.is_file():
        return []
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]


def follow(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Lines as they are added to the logs, without end; a log that is rotated or begun anew is read from its start."""
    places = {path: _place(path) for path in paths}
    while True:
        for path in paths:
            lines, places[path] = _added(path, places[path])
            yield from ((path, line) for line in lines)
        time.sleep(POLL_SECONDS)


def _place(path: Path) -> tuple[int, int]:
    """Which file it is, and how long."""
    if not path.is_file():
        return (0, 0)
    state = path.stat()
    return (state.st_ino, state.st_size)


def _added(path: Path, seen: tuple[int, int]) -> tuple[list[str], tuple[int, int]]:
    """Whole lines beyond what was seen, and what is seen now."""
    inode, size = _place(path)
    start = seen[1] if inode == seen[0] and size >= seen[1] else 0
    if size == start:
        return [], (inode, size)
    with path.open("rb") as file:
        file.seek(start)
        whole, newline, _ = file.read().rpartition(b"\n")
    lines = whole.decode(errors="replace").splitlines()
    return lines, (inode, start + len(whole) + len(newline))
