"""One command at a time: a lock between processes, held for the time of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybrid_search.engine.local.folders import prepare_base
from hybrid_search.errors import LocalNodeError, MissingExtraError

PATIENCE_SECONDS = 900.0
"""Longer than another command should take, a download included."""


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold the lock file, which is made where it is missing; wait while another process holds it.

    Raises:
        LocalNodeError: the file cannot be written, or another process holds it for 15 minutes.
        MissingExtraError: the extra [local] is not installed.
    """
    try:
        from filelock import FileLock, Timeout
    except ModuleNotFoundError as error:
        raise MissingExtraError("The local node", "local") from error
    held = FileLock(lock, timeout=PATIENCE_SECONDS)
    try:
        prepare_base()
        lock.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except Timeout as error:
        raise LocalNodeError(
            "Another command that prepares, starts or stops a node is still at work",
            where=str(lock),
            remedy="Try again later",
        ) from error
    except OSError as error:
        raise LocalNodeError(
            f"The folder of local nodes cannot be written: {error.strerror}",
            where=str(lock.parent),
            remedy="Name another folder in HYBRID_SEARCH_LOCAL_DIR",
        ) from error
    try:
        yield
    finally:
        held.release()
