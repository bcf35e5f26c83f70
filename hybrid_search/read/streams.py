"""Bytes of a source: a file or standard input, gzip and Zstandard undone, whatever the name says."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from hybrid_search.errors import SourceError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STDIN = "-"
PACKED = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
"""Suffix and first bytes of the compressions that are undone."""
_BUFFER = 1 << 20


def shown(source: str | Path) -> str:
    """How messages and origins name a source."""
    return "<stdin>" if str(source) == STDIN else str(source)


@contextmanager
def opened(source: str | Path) -> Iterator[BinaryIO]:
    """A source as a stream of plain bytes; ``-`` is standard input, which is left open.

    The compression is known by the first bytes, so a stream on standard input may be compressed too. What is neither
    compressed nor a pipe can be sought in: ``seekable()`` says so.

    Raises:
        SourceError: the file is missing, cannot be read, or is not what its suffix says; also while it is being
            read, where compressed data is broken or cut short.
    """
    if str(source) == STDIN:
        yield _unpacked(sys.stdin.buffer, shown(source), can_seek=False)
        return
    try:
        file = Path(source).open("rb", buffering=_BUFFER)  # noqa: SIM115 closed below; opening is what may fail here
    except FileNotFoundError:
        raise SourceError("no such file or folder", where=shown(source), remedy="Check the path") from None
    except OSError as error:
        raise SourceError(f"cannot be opened ({error.strerror or error})", where=shown(source)) from error
    with file:
        yield _unpacked(file, shown(source), can_seek=file.seekable())


def _unpacked(file: BinaryIO, place: str, *, can_seek: bool) -> BinaryIO:
    start = cast("io.BufferedReader", file).peek(4)[:4]
    suffix = Path(place).suffix.lower()
    plain: Any = file
    if start.startswith(PACKED[".gz"]):
        plain = gzip.GzipFile(fileobj=file)
    elif start.startswith(PACKED[".zst"]):
        plain = zstd.ZstdFile(file)
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
        except (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
            what = f"the compressed data is broken or cut short ({error})"
            raise SourceError(what, where=self._place, remedy="Fetch or write the file again") from error
        except OSError as error:
            raise SourceError(f"cannot be read ({error.strerror or error})", where=self._place) from error
