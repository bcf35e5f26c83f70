"""``NaN`` as Python and pandas write it into JSON, which has no such word: a missing value is ``null``."""

from __future__ import annotations

import re
from typing import Protocol

_NAN = re.compile(rb"NaN")
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_QUOTES = re.compile(rb'\\.|"', re.DOTALL)
_STRING_OR_NAN = re.compile(rb'"(?:[^"\\]|\\.)*"|NaN', re.DOTALL)


class Readable(Protocol):
    """What can be read from."""

    def read(self, size: int = -1) -> bytes: ...


def without_nan(text: bytes) -> bytes:
    """A whole JSON text with ``null`` for each NaN outside its strings."""
    return _STRING_OR_NAN.sub(lambda match: match[0] if match[0].startswith(b'"') else b"null", text)


class NanIsNull:
    """A stream of JSON with ``null`` for each ``NaN`` that is in no string."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._rest = b""
        self._in_string = False

    def read(self, size: int = -1) -> bytes:
        """About ``size`` bytes; nothing only at the end."""
        if not size:
            return b""
        data = self._rest + self._stream.read(size)
        kept = _unfinished(data) if len(data) > len(self._rest) else 0
        self._rest = data[len(data) - kept :]
        data = data[: len(data) - kept]
        if not data and kept:
            return self.read(size)
        return self._cleaned(data)

    def _cleaned(self, data: bytes) -> bytes:
        if b"NaN" not in data:
            quotes = (_ESCAPED.sub(b"", data) if b"\\" in data else data).count(b'"')
            self._in_string ^= quotes % 2 == 1
            return data
        pieces, start = [], 0
        for match in _QUOTES.finditer(data):
            if match[0] != b'"':
                continue
            piece = data[start : match.end()]
            pieces.append(piece if self._in_string else _NAN.sub(b"null", piece))
            start, self._in_string = match.end(), not self._in_string
        rest = data[start:]
        pieces.append(rest if self._in_string else _NAN.sub(b"null", rest))
        return b"".join(pieces)


def _unfinished(data: bytes) -> int:
    """How many bytes at the end may belong to what follows: a backslash, or the beginning of a NaN."""
    slashes = len(data) - len(data.rstrip(b"\\"))
    if slashes % 2:
        return 1
    return next((kept for end, kept in ((b"NaN", 0), (b"Na", 2), (b"N", 1)) if data.endswith(end)), 0)
