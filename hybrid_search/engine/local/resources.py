"""Whether this machine has the memory and disk for a node, asked before anything is started."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import psutil

from hybrid_search.errors import LocalNodeError, SettingsError

UNITS = {"m": 1 << 20, "g": 1 << 30}
LEAST_HEAP = 256 << 20
BESIDE_HEAP = 256 << 20
"""Bytes that a server needs outside its heap: classes, threads, buffers."""

LEAST_DISK = 1 << 30
"""Free bytes below which the server would take no index (see ``launch.DISK_WATERMARKS``)."""


def heap_bytes(heap: str) -> int:
    """Bytes of a heap size such as ``1g`` or ``768m``.

    Raises:
        SettingsError: not a size, or below 256 MB.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})([mg])", heap.lower())
    size = int(match[1]) * UNITS[match[2]] if match else 0
    if size < LEAST_HEAP:
        raise SettingsError(
            f"{heap!r} is not a heap size", where="--heap", remedy="Give at least 256m, such as 512m, 1g or 4g"
        )
    return size


def check_memory(heap: str, servers: int) -> None:
    """Refuse to start what would push the machine out of memory.

    Raises:
        LocalNodeError: less memory is available than the servers need.
    """
    needed = servers * (heap_bytes(heap) + BESIDE_HEAP)
    available = psutil.virtual_memory().available
    if available < needed:
        raise LocalNodeError(
            f"{servers} x OpenSearch with a heap of {heap} needs {_megabytes(needed)} of memory, "
            f"and {_megabytes(available)} are available",
            remedy="Close other programs, or give a smaller heap such as --heap 512m",
        )


def check_disk(folder: Path) -> None:
    """Refuse to start where the server would make its indices read-only at once.

    Raises:
        LocalNodeError: less than 1 GB is free.
    """
    free = shutil.disk_usage(folder).free
    if free < LEAST_DISK:
        raise LocalNodeError(
            f"OpenSearch needs {_megabytes(LEAST_DISK)} of free disk space and {_megabytes(free)} are free",
            where=str(folder),
            remedy="Free some disk space, or choose a folder on another disk with --data",
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
