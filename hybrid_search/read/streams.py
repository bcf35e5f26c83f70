"""Bytes of a source: a file or standard input, its compression undone, whatever the name says."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from hybrid_search.errors import SourceError
from hybrid_search.read.packed import Xz, only_member
from hybrid_search.read.storage import open_binary, shown_path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STDIN = "-"
PACKED = {
    ".gz": b"\x1f\x8b",
    ".zst": b"\x28\xb5\x2f\xfd",
    ".bz2": b"BZh",
    ".xz": b"\xfd7zXZ\x00",
    ".zip": b"PK\x03\x04",
}
"""Suffix and first bytes of the compressions that are undone."""
_SKIPPABLE = bytes(range(0x50, 0x60))
"""First bytes of a Zstandard frame that holds no data of ours, before ``2A 4D 18``: pzstd and others begin with one."""
_BUFFER = 1 << 20


def shown(source: str | Path) -> str:
    """How messages and origins name a source."""
    return "<stdin>" if str(source) == STDIN else printable(shown_path(source))


def printable(text: str) -> str:
    """A text that every stream of UTF-8 takes: half a surrogate pair, as bytes in names become, is written out."""
    return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def opened(source: str | Path, version: str | None = None) -> Iterator[BinaryIO]:
    """A source as a stream of plain bytes; ``-`` is standard input, which is left open.

    ``version`` is that of an object which is wanted (:mod:`hybrid_search.read.objects`).

    The compression is known by the first bytes, so a stream on standard input may be compressed too. What is neither
    compressed nor a pipe can be sought in: ``seekable()`` says so.

    Raises:
        SourceError: the file is missing, cannot be read, or is not what its suffix says; also while it is being
            read, where compressed data is broken or cut short.
    """
    if str(source) == STDIN:
        if sys.stdin is None or getattr(sys.stdin, "closed", False):
            raise SourceError("standard input is closed", where=shown(source), remedy="Pipe the documents into it")
        yield _unpacked(sys.stdin.buffer, shown(source), can_seek=False)
        return
    try:
        file = open_binary(Path(source), version)
    except FileNotFoundError:
        raise SourceError("no such file or folder", where=shown(source), remedy="Check the path") from None
    except OSError as error:
        raise SourceError(f"cannot be opened ({error.strerror or error})", where=shown(source)) from error
    with file:
        yield _unpacked(file, shown(source), can_seek=file.seekable())


def _unpacked(file: BinaryIO, place: str, *, can_seek: bool) -> BinaryIO:
    start = cast("io.BufferedReader", file).peek(6)[:6]
    suffix = Path(place).suffix.lower()
    plain: Any = file
    if start.startswith(PACKED[".gz"]):
        plain = gzip.GzipFile(fileobj=file)
    elif start.startswith(PACKED[".zst"]) or (start[:1] in _SKIPPABLE and start[1:4] == b"\x2a\x4d\x18"):
        plain = zstd.ZstdFile(file)
    elif start.startswith(PACKED[".bz2"]) and start[3:4].isdigit():
        plain = bz2.BZ2File(file)
    elif start.startswith(PACKED[".xz"]):
        plain = Xz(file)
    elif start.startswith(PACKED[".zip"]):
        plain = only_member(file, place)
    elif start and suffix in PACKED:
        remedy = "Rename it, or fetch it again"
        raise SourceError(f"is named {suffix}, but holds no such data", where=place, remedy=remedy)
    return io.BufferedReader(_Translating(plain, place, can_seek=can_seek and plain is file), _BUFFER)


class _Translating(io.RawIOBase):
    """A stream whose read errors are the package's own; it does not close what it reads."""

    def __init__(self, inner: Any, place: str, *, can_seek: bool) -> None:
        self._inner = inner
        self._place = place
        self._can_seek = can_seek

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        """Whether it is cheap: compressed data would be undone from its beginning."""
        return self._can_seek

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return cast("int", self._inner.seek(offset, whence))

    def tell(self) -> int:
        return cast("int", self._inner.tell())

    def readinto(self, buffer: Any) -> int:
        try:
            return cast("int", self._inner.readinto(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError, lzma.LZMAError, zipfile.BadZipFile) as error:
            what = f"the compressed data is broken or cut short ({error})"
            raise SourceError(what, where=self._place, remedy="Fetch or write the file again") from error
        except OSError as error:  # of bz2 too
            raise SourceError(f"cannot be read ({error.strerror or error})", where=self._place) from error
