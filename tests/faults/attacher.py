"""Attaches vectors to an index, or detaches them, a few documents at a time, in a process that a test kills."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerProcess

from loading import GeneratedEncoder

from hybrid_search.engine import connect
from hybrid_search.ingest.attach import attach, detach, detaching, encoding, plan_attachment
from hybrid_search.settings import EngineSettings, Settings

FEW = 5
"""Documents that are written together, so that there are many points to be killed at."""

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["attacher"])  # imported once, not for each process


class Attacher:
    """A process of its own that does ``attach`` or ``detach``."""

    def __init__(self, what: str, url: str, index: str) -> None:
        self._process: ForkServerProcess = _PROCESSES.Process(target=work, args=(what, url, index))
        self._process.start()

    def poll(self) -> int | None:
        """The exit status, None as long as it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join()


def work(what: str, url: str, index: str) -> None:
    """Attach or detach, to the end."""
    encoding.TOGETHER = detaching.TOGETHER = FEW
    encoder = GeneratedEncoder(max_tokens=4)
    with connect(EngineSettings(url=url)) as connection:
        if what == "attach":
            attach(connection, plan_attachment(connection, index, encoder, Settings()), encoder, Settings())
        else:
            detach(connection, index)
