"""One engine for all workers of a run: the first that needs it starts it, and stops it when no other uses it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest


def folder_of_the_run(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run see, and no other run does."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def shared(folder: Path, name: str, start: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """The URL of the engine ``name`` of the run, started by ``start`` in the first worker that comes here.

    Locks of the operating system go with their process: a worker that is killed leaves nobody waiting.
    """
    url, users, door = (folder / f"{name}.{what}" for what in ("url", "users", "door"))

    def retire() -> None:
        with locked(door, fcntl.LOCK_EX):
            url.unlink()
        with locked(users, fcntl.LOCK_EX):
            pass  # nobody uses it any more, and nobody new has found its URL

    with ExitStack() as running, ExitStack() as using:
        with locked(door, fcntl.LOCK_EX):
            if not url.exists():
                url.write_text(running.enter_context(start()))
                running.callback(retire)
            using.enter_context(locked(users, fcntl.LOCK_SH))
            where = url.read_text()
        yield where


@contextmanager
def locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock on a file, exclusive or shared, waiting for it."""
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield
