"""What a reader is given: one file of a source, and whom to tell what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from hybrid_search.errors import SourceError
from hybrid_search.read.encodings import as_utf8
from hybrid_search.read.raw import OnBad, OnNote
from hybrid_search.read.storage import is_file, open_binary
from hybrid_search.read.streams import STDIN, opened, shown
from hybrid_search.records import ResumePoint

_HEAD = 1 << 10
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read.

    Attributes:
        path: the file; ``-`` is standard input.
        folder: what ids that are paths are relative to.
        on_bad: told of each bad record.
        on_note: told what was detected.
        start: where reading begins, None for the beginning.
        stop: the byte or row before which a record begins, None for the end of the file.
        dense: a field of dense vectors.
        records_path: where in the file its records are (``--records``).
        query: what is asked of a database (``--query``).
        is_alone: whether it is the whole source.
        version: of an object, the one that is wanted; None for that of the moment.
        known_as: what messages and ids name, where ``path`` is a copy of it.
    """

    path: Path
    folder: Path
    on_bad: OnBad
    on_note: OnNote
    start: ResumePoint | None = None
    stop: int | None = None
    dense: str | None = None
    records_path: str | None = None
    query: str | None = None
    is_alone: bool = True
    version: str | None = None
    known_as: Path | None = None

    @property
    def place(self) -> str:
        """How messages name it."""
        return shown(self.known_as or self.path)

    @property
    def name(self) -> str:
        """Its path below the folder."""
        return (self.known_as or self.path).relative_to(self.folder).as_posix()

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole source, and read from its beginning to its end."""
        return self.is_alone and self.start is None and self.stop is None

    @contextmanager
    def opened(self, declaration: re.Pattern[bytes] | None = None) -> Iterator[BinaryIO]:
        """Its bytes, unpacked and in UTF-8.

        ``declaration`` finds the name of an encoding at the beginning, which is believed where it is not UTF-8.
        """
        with self.opened_as_is() as stream:
            if self.start is not None or self.stop is not None:  # only what is UTF-8 is cut, or gone on with
                yield stream
                return
            said = declaration and declaration.search(cast("BufferedReader", stream).peek(_HEAD)[:_HEAD])
            yield as_utf8(stream, self.place, self.on_note, said=said[1].decode("ascii", "replace") if said else None)

    @contextmanager
    def opened_as_is(self) -> Iterator[BinaryIO]:
        """Its bytes, unpacked, in whatever encoding."""
        with opened(self.path, self.version) as stream:
            check_is_no_pointer(cast("BufferedReader", stream).peek(64), self.place)
            yield stream

    def check_is_file(self, kind: str) -> None:
        """Raise SourceError for what cannot be read in order, and comes from a pipe."""
        if str(self.path) == STDIN:
            remedy = "Write it to a file first"
            raise SourceError(f"{kind} cannot be read from a pipe", where=self.place, remedy=remedy)
        if not is_file(self.path):
            raise SourceError("no such file or folder", where=self.place, remedy="Check the path")
        with open_binary(self.path, self.version) as file:
            check_is_no_pointer(file.read(64), self.place)


def check_is_no_pointer(head: bytes, place: str) -> None:
    """Raise SourceError for what Git keeps in the place of a large file."""
    if head.startswith(_POINTER):
        raise SourceError("is a pointer of Git LFS, not the file itself", where=place, remedy="Run: git lfs pull")
