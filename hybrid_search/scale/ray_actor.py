"""What Ray runs on a node: a worker, with a box in which its messages wait. Ray itself is not imported here."""

from __future__ import annotations

import os
import queue
import threading

from hybrid_search.ingest.pace import Pace, Refused
from hybrid_search.scale.work import EACH, Ended, Failed, Message, Share, work


class Actor:
    """A worker in a process of Ray; its methods are called in threads of their own, by whoever watches."""

    def __init__(self) -> None:
        self._box: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._pace = Pace(self._box.put)
        self._stopped = threading.Event()

    def __repr__(self) -> str:
        return "Worker"

    def work(self, share: Share, threads: int) -> None:
        """Do a share, to the end."""
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        if share.folder is not None and share.folder.is_dir():  # a node was started in another
            os.chdir(share.folder)
        try:
            work(share, self._box.put, self._pace, self._stopped)
        except Exception as error:  # noqa: BLE001  # whoever watches would not hear of it
            self._box.put(Failed(f"{type(error).__name__}: {error}"))
        finally:
            self._box.put(Ended())

    def news(self) -> list[Message]:
        """What was told since; waits for something, but not for long."""
        found: list[Message] = []
        try:
            found.append(self._box.get(timeout=EACH))
            while True:
                found.append(self._box.get_nowait())
        except queue.Empty:
            return found

    def hear(self, said: Refused) -> None:
        """Another worker was refused."""
        self._pace.hear(said)

    def stop(self) -> None:
        """End in order, at the next body."""
        self._stopped.set()
