"""The hash of a part of a file, or of both ends of a large one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

HASHED = 128 << 20
"""Of what is larger, and cannot be cut, only both ends are hashed, and its time of change counts."""

_END = 64 << 10
_BLOCK = 1 << 20


def hash_part(path: Path, first: int, size: int, digest: hashlib.blake2b) -> None:
    """Add ``size`` bytes of a file, or its ends and its time of change (:data:`HASHED`); OSError: not readable."""
    status = path.stat()
    with path.open("rb") as file:
        for place, length in _ranges(first, size):
            file.seek(place)
            _add(file, length, digest)
    if size > HASHED:
        digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())


def _ranges(first: int, size: int) -> Sequence[tuple[int, int]]:
    return [(first, size)] if size <= HASHED else [(first, _END), (first + size - _END, _END)]


def _add(file: BinaryIO, length: int, digest: hashlib.blake2b) -> None:
    digest.update(f"{length} ".encode())
    while length > 0 and (block := file.read(min(_BLOCK, length))):
        digest.update(block)
        length -= len(block)
