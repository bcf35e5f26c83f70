"""Files of lines that are only appended and survive a crash at any instruction."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from hybrid_search.errors import IngestError

BLOCK = 65_536


class LineFile:
    """An append-only file of lines, locked against other processes while it is open.

    Nothing is buffered in the process: a line is with the operating system when :meth:`append` returns. Every
    failure is an IngestError that names the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise IngestError(
                "another load has this file open",
                where=str(path),
                remedy="Wait until it has ended: a source is loaded into an index by one process at a time",
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error

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

    def lines(self) -> list[bytes]:
        """All lines, with their ends."""
        return self.path.read_bytes().splitlines(keepends=True)

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
        self._file.truncate(0)

    def truncate(self, size: int) -> None:
        """Keep only the first ``size`` bytes."""
        self._file.truncate(size)

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
