"""Archives with one file in them, and xz within a bound of memory."""

from __future__ import annotations

import io
import lzma
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from hybrid_search.errors import SourceError
from hybrid_search.read.storage import open_binary, shown_path

XZ_MEMORY = 1 << 29
"""512 MiB: more than any level of xz needs, and less than a file can ask for."""
_BLOCK = 1 << 16


class Xz(io.RawIOBase):
    """The data of an xz file, of all of its streams; LZMAError where it asks for more memory than is allowed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decompressor: lzma.LZMADecompressor | None = None
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            if self._decompressor is None or self._decompressor.eof:
                if not self._begin():
                    return 0
                continue
            packed = b"" if not self._decompressor.needs_input else self._rest or self._file.read(_BLOCK)
            self._rest = b""
            if not packed and self._decompressor.needs_input:
                raise EOFError("the end of the stream is missing")
            data = self._decompressor.decompress(packed, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _begin(self) -> bool:
        """Begin the next stream, behind any padding; whether there is one."""
        rest = b"" if self._decompressor is None else self._decompressor.unused_data
        while not (rest := rest.lstrip(b"\x00")):
            rest = self._file.read(_BLOCK)
            if not rest:
                return False
        self._rest = rest
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        return True


def only_member(file: BinaryIO, place: str) -> BinaryIO:
    """The one file of a zip archive, as a stream; folders, hidden files and what macOS adds are none.

    Raises:
        SourceError: it has several or none, is encrypted or broken, or comes from a pipe.
    """
    if not file.seekable():
        raise SourceError("a zip archive cannot be read from a pipe", where=place, remedy="Write it to a file first")
    try:
        archive = zipfile.ZipFile(file)
        return archive.open(_only(archive, place))  # type: ignore[return-value]  # read as bytes
    except (zipfile.BadZipFile, RuntimeError) as error:  # of an unknown method, or encrypted
        raise SourceError(f"cannot be read as zip ({error})", where=place, remedy="Unpack it") from error


def _only(archive: zipfile.ZipFile, place: str) -> zipfile.ZipInfo:
    names = {info.filename for info in archive.infolist()}
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise SourceError("is an office document, not an archive", where=place, remedy="Give it its usual suffix")
    found = [info for info in archive.infolist() if not info.is_dir() and not _is_aside(PurePosixPath(info.filename))]
    if len(found) != 1:
        first = f" ({', '.join(info.filename for info in found[:3])} ...)" if found else ""
        what = f"the archive holds {len(found):,} files{first}, not one"
        raise SourceError(what, where=place, remedy="Unpack it, and name the folder or one of the files")
    return found[0]


def _is_aside(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def member_name(path: Path) -> str | None:
    """The name of the one file of a zip archive, None where there is none."""
    try:
        return name_of_member(path)
    except SourceError:
        return None


def name_of_member(path: Path) -> str:
    """The name of the one file of a zip archive.

    Raises:
        SourceError: it has several or none, or is no archive that can be read.
    """
    try:
        with open_binary(path) as file, zipfile.ZipFile(file) as archive:
            return _only(archive, shown_path(path)).filename
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"cannot be read as zip ({error})", where=shown_path(path), remedy="Unpack it") from error
