"""Files of the disk and objects of a store, asked in the same words."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hybrid_search.read.objects import FIRST, address_of, is_object, is_prefix, look, open_object

BUFFER = 1 << 20


def shown_path(path: str | Path) -> str:
    """How a path is written for people: that of an object as its address."""
    return address_of(path) if is_object(path) else str(path)


def is_file(path: Path) -> bool:
    """Whether it can be opened."""
    return look(path) is not None if is_object(path) else path.is_file()


def is_dir(path: Path) -> bool:
    """Whether it is a folder, or the prefix of objects."""
    return is_prefix(path) if is_object(path) else path.is_dir()


def exists(path: Path) -> bool:
    """Whether it is a file or a folder."""
    return is_file(path) or is_dir(path) if is_object(path) else path.exists()


def open_binary(path: Path, version: str | None = None, *, first: int = FIRST) -> BinaryIO:
    """A file as a buffered stream; of an object the wanted version, as :func:`hybrid_search.read.objects.open_object`.

    Raises:
        OSError: a file of the disk cannot be opened.
        SourceError: an object cannot be.
    """
    if not is_object(path):
        return path.open("rb", buffering=BUFFER)
    return io.BufferedReader(open_object(path, version, first=first), min(BUFFER, 4 * first))


@contextmanager
def on_disk(path: Path, version: str | None = None) -> Iterator[Path]:
    """A file for libraries that open files by their names: an object is copied, for the time of the block."""
    if not is_object(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="hybrid-search-") as folder:
        copy = Path(folder) / path.name
        with open_binary(path, version) as stream, copy.open("wb") as file:
            shutil.copyfileobj(stream, file, BUFFER)
        yield copy
