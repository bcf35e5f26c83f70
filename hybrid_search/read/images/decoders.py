"""Processes that decode images: one that crashes or hangs costs its image alone."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from queue import LifoQueue
from typing import IO, Any, Self, TypeVar, cast

import numpy as np

from hybrid_search.errors import HybridSearchError, MissingExtraError, RecordError
from hybrid_search.images import DecodedImage
from hybrid_search.read.images.decode import Decoding
from hybrid_search.read.images.worker import read, write

STARTS = 60.0
"""Seconds that a process may take to begin."""
REMEDY = "Repair the image, or leave the record out"

T = TypeVar("T")
R = TypeVar("R")


class _Process:
    """One process that decodes."""

    def __init__(self) -> None:
        folders = [str(Path(place).resolve()) for place in sys.path if place]
        self._own = subprocess.Popen(
            [sys.executable, "-P", "-m", "hybrid_search.read.images.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Whatever this process can import, the other can; no more, as the folder that it happens to be in.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"},
        )
        try:
            self._in_time(lambda: read(self._answers), STARTS)
        except (EOFError, TimeoutError) as error:
            remedy = "Run: python -m hybrid_search.read.images.worker"
            raise HybridSearchError("the process that decodes images does not begin", remedy=remedy) from error

    @property
    def _requests(self) -> IO[bytes]:
        return cast("IO[bytes]", self._own.stdin)

    @property
    def _answers(self) -> Any:
        return self._own.stdout

    def decode(self, data: bytes, how: Decoding) -> tuple[dict[str, Any], list[bytes]]:
        """The answer; EOFError where the process has ended, TimeoutError where it had to be."""

        def ask() -> tuple[dict[str, Any], list[bytes]]:
            write(cast("Any", self._requests), {"how": how.as_json()}, data)
            return read(self._answers)

        return self._in_time(ask, how.timeout)

    def _in_time(self, ask: Callable[[], T], seconds: float) -> T:
        late = threading.Event()

        def end() -> None:
            late.set()
            self._own.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            return ask()
        except (EOFError, OSError, ValueError) as error:
            self.close()
            raise (TimeoutError if late.is_set() else EOFError) from error
        finally:
            timer.cancel()

    def close(self) -> None:
        """End it and what belongs to it."""
        self._own.kill()
        self._own.wait()
        for stream in (self._own.stdin, self._own.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()


class Decoders:
    """Up to ``count`` processes, begun when they are needed; safe to share between threads, and a context manager.

    Raises:
        MissingExtraError: Pillow is not installed.
    """

    def __init__(self, count: int = 1) -> None:
        if find_spec("PIL") is None:
            raise MissingExtraError("Decoding images", "images")
        self._count = count
        self._idle: LifoQueue[_Process | None] = LifoQueue()
        for _ in range(count):
            self._idle.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def decode(self, data: bytes, how: Decoding, where: str) -> DecodedImage:
        """What is made of the bytes of an image.

        Raises:
            RecordError: no image that may be decoded, or its decoder crashed, or took too long.
        """
        process = self._idle.get()
        try:
            process = process or _Process()
            head, parts = process.decode(data, how)
        except TimeoutError:
            process = None
            raise RecordError(f"the image took more than {how.timeout:g} s", where=where, remedy=REMEDY) from None
        except EOFError:
            process = None
            raise RecordError("the image made its decoder crash", where=where, remedy=REMEDY) from None
        finally:
            self._idle.put(process)
        if "error" in head:
            raise RecordError(f"the image cannot be read: {head['error']}", where=where, remedy=REMEDY)
        pixels = np.frombuffer(parts[0], dtype=np.uint8).reshape(head["shape"])
        return DecodedImage(pixels, parts[1], head["text"])

    def side_by_side(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """``work`` on all items, in order, on as many at once as there are processes."""
        with ThreadPoolExecutor(self._count, thread_name_prefix="images") as pool:
            yield from pool.map(work, items)

    def close(self) -> None:
        """End the processes that are idle; the next image begins another."""
        for _ in range(self._count):
            process = self._idle.get()
            if process is not None:
                process.close()
        for _ in range(self._count):
            self._idle.put(None)


@cache
def decoder_of_queries() -> Decoders:
    """The one process of this one for images of queries, begun with the first and ended with the program."""
    decoders = Decoders(1)
    atexit.register(decoders.close)
    return decoders
