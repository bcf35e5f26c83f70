"""The process that decodes: requests on standard input, answers on standard output, until its parent is gone.

A message is the length of its head (4 bytes, big-endian), the head in JSON, and the bytes that the head counts. What a
damaged or hostile file does to a decoder ends here: the parent sees a process that ended, and begins another.
"""

from __future__ import annotations

import json
import math
import os
import signal
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

LENGTH = struct.Struct(">I")
MEMORY = 4 << 30
"""Bytes of address space that a decoder may take, where the system knows such a limit."""

GRACE = 1.0
"""Seconds after which a decoder ends itself whom nobody has ended in time."""


def write(stream: BinaryIO, head: Mapping[str, Any], *parts: bytes) -> None:
    """Write one message; the head gets the lengths of its parts."""
    written = json.dumps({**head, "parts": [len(part) for part in parts]}).encode()
    stream.write(LENGTH.pack(len(written)) + written)
    stream.writelines(parts)
    stream.flush()


def read(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]]:
    """Read one message; EOFError where the other side has ended."""
    head: dict[str, Any] = json.loads(_exactly(stream, LENGTH.unpack(_exactly(stream, LENGTH.size))[0]))
    return head, [_exactly(stream, length) for length in head["parts"]]


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # no such limits there
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _only_answers() -> BinaryIO:
    """Standard output for the answers alone: what a library prints goes nowhere."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return own


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """End this process where it takes longer: whoever waits would end it, and may have been killed meanwhile."""
    if not hasattr(signal, "alarm"):
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the system ends it, also in the midst of a library's loop
    signal.alarm(math.ceil(seconds + GRACE))
    try:
        yield
    finally:
        signal.alarm(0)


def main() -> None:
    """Answer until standard input ends."""
    from hybrid_search.read.images.decode import Decoding, NoImageError, decoded

    _limit_memory()
    requests, answers = sys.stdin.buffer, _only_answers()
    write(answers, {"ready": True})
    while True:
        try:
            head, parts = read(requests)
        except EOFError:
            return
        how = Decoding(**{**head["how"], "formats": tuple(head["how"]["formats"])})
        try:
            with _within(how.timeout):
                found = decoded(parts[0], how)
        except NoImageError as error:
            write(answers, {"error": str(error)})
            continue
        pixels = found.take()
        write(answers, {"shape": pixels.shape, "text": found.text}, pixels.tobytes(), found.thumbnail)


if __name__ == "__main__":
    main()
