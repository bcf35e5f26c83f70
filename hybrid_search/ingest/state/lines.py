"""Files of lines that are only appended, survive a crash at any instruction, and are known to be ours by their head."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hybrid_search.errors import IngestError, SettingsError
from hybrid_search.private_files import FILE, close, make_folder

VERSION = 2
"""Of the formats of these files; the first one had no header."""
BLOCK = 65_536
"""Bytes at the head of a file by which it is recognised."""
JSON_STRING = r'"(?:[^"\\]|\\.)*"'
"""A pattern, for the heads of files of the released version."""
_HEADER = re.compile(
    rb"(?:(?P<sum>[0-9a-f]{8}) )?"
    rb'(?P<record>\{"hybrid_search":\s*"(?P<name>[^"]*)",\s*"version":\s*(?P<version>\d+)\})\r?\n'
)
_OPENINGS = 10


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file of ours holds.

    Attributes:
        name: for people, and in the header.
        header: the first line of a new file, with its end.
        is_earlier: whether the head of a file is one of the released version, which wrote no header.
    """

    name: str
    header: bytes
    is_earlier: Callable[[bytes], bool]


def header_record(name: str) -> bytes:
    """The JSON object that says what a file is, on one line without its end."""
    return json.dumps({"hybrid_search": name, "version": VERSION}).encode()


def checksum(data: bytes) -> bytes:
    """CRC-32 in eight hexadecimal digits."""
    return b"%08x" % zlib.crc32(data)


class LineFile:
    """An append-only file of lines, locked against other processes while it is open.

    Nothing is buffered in the process: a line is with the operating system when :meth:`append` returns. A file that
    is there and not ours is refused as it is: it is not locked, cut or written to. The file is for its owner only.
    """

    def __init__(self, path: Path, kind: Kind) -> None:
        """Open a file of this kind, or begin one with its header.

        Raises:
            SettingsError: the file is there and is something else.
            IngestError: another process has it open, or it cannot be written.
        """
        self.path = path
        self._kind = kind
        try:
            self._file = _opened(path, kind)
            start = _header_size(self._file, kind, path)
        except OSError as error:
            raise self._unwritable(error) from error
        self._start = start or 0
        if start is None:
            self._begin()

    @property
    def is_empty(self) -> bool:
        """Whether the file of this name, which may have taken our file's place, holds nothing but a header."""
        if not self.path.exists() or self.path.stat().st_size > len(self._kind.header):
            return False
        return self.path.read_bytes() in {b"", self._kind.header}

    def append(self, data: bytes, *, sync: bool = False) -> None:
        """Write whole lines; with ``sync`` wait until they are on the disk."""
        try:
            written = self._file.write(data)
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error
        if written != len(data):
            raise self._unwritable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def lines(self) -> Iterator[bytes]:
        """All lines after the header, with their ends."""
        with os.fdopen(os.dup(self.fileno()), "rb") as file:
            file.seek(self._start)
            yield from file

    def cut_torn_line(self) -> None:
        """Cut off what a crash left of an unfinished last line."""
        end = self._file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - BLOCK)
            self._file.seek(start)
            newline = self._file.read(end - start).rfind(b"\n")
            if newline >= 0:
                self._file.truncate(start + newline + 1)
                return
            end = start
        self.clear()

    def clear(self) -> None:
        """Keep only the header."""
        self._file.truncate(0)
        self.append(self._kind.header, sync=True)
        self._start = len(self._kind.header)

    def _begin(self) -> None:
        try:
            self.clear()
        except IngestError:
            self._file.truncate(0)
            self._file.close()
            raise

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()

    def _unwritable(self, error: OSError) -> IngestError:
        return IngestError(
            f"cannot be written: {error.strerror}",
            where=str(self.path),
            remedy="Make room or name another place; the load then goes on where it stopped",
        )


def check_is_ours(path: Path, kind: Kind) -> None:
    """Look whether a load may write to a file, without touching it or its folder; one that is missing is right.

    Raises:
        SettingsError: the file is there and is something else.
        IngestError: it cannot be read.
    """
    try:
        if path.exists():
            _check_is_file(path.stat(), path)
            with path.open("rb") as file:
                _header_size(file, kind, path)
    except OSError as error:
        remedy = "Name another file, or give yourself the right to it"
        raise IngestError(f"cannot be read: {error.strerror}", where=str(path), remedy=remedy) from error


def own_lines(path: Path, kind: Kind) -> Iterator[tuple[str, bytes]]:
    """The lines of a file of this kind after its header, each with its place (``file:line``).

    Raises:
        SettingsError: the file is something else.
        OSError: it is missing or cannot be read.
    """
    _check_is_file(path.stat(), path)
    with path.open("rb") as file:
        start = _header_size(file, kind, path) or 0
        file.seek(start)
        for number, line in enumerate(file, 2 if start else 1):
            yield f"{path}:{number}", line


def _opened(path: Path, kind: Kind) -> BinaryIO:
    """The file, locked, and still the one of that name: who held it before may have removed or replaced it."""
    for _ in range(_OPENINGS):
        file = _existing_or_new(path)
        try:
            _header_size(file, kind, path)
            _lock(file, path)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                close(path)
                return file
        except BaseException:
            file.close()
            raise
        file.close()
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _existing_or_new(path: Path) -> BinaryIO:
    make_folder(path.parent)
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    if path.exists():
        _check_is_file(path.stat(), path)  # before it is opened: to open a pipe or a device can do something
    return os.fdopen(os.open(path, flags | os.O_CREAT, FILE), "r+b", buffering=0)


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise IngestError(
            "another load has this file open",
            where=str(path),
            remedy="Wait until it has ended: a source is loaded into an index by one process at a time",
        ) from error


def _check_is_file(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise SettingsError(f"is {what}, not a file", where=str(path), remedy="Name a file, or a new one")


def _header_size(file: BinaryIO, kind: Kind, path: Path) -> int | None:
    """The bytes of the header, 0 where the released version wrote none, None where the file is still to be begun.

    Raises:
        SettingsError: the file is not of this kind.
    """
    file.seek(0)
    head = file.read(BLOCK)
    header = _HEADER.match(head)
    if header is None or header["sum"] not in {None, checksum(header["record"])}:
        is_torn = not head or (b'"hybrid_search"' in head and kind.header.startswith(head))
        if not is_torn and not kind.is_earlier(head):
            raise _foreign(path, kind, "is not a file that hybrid-search has made")
        return None if is_torn else 0
    name, version = header["name"].decode("utf-8", "replace"), int(header["version"])
    if name != kind.name:
        raise _foreign(path, kind, f"is a file of hybrid-search for another purpose ({name})")
    if version > VERSION:
        raise _foreign(path, kind, f"was made by a later release of hybrid-search (format {version})")
    return header.end()


def _foreign(path: Path, kind: Kind, what: str) -> SettingsError:
    return SettingsError(
        f"{what}, so it is left untouched",
        where=str(path),
        remedy=f"Name a new file for the {kind.name}, or remove this one yourself",
    )
