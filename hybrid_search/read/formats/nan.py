"""``NaN`` as Python and pandas write it into JSON, which has no such word: a missing value is ``null``."""

from __future__ import annotations

import re
from typing import Protocol

MAX_DEPTH = 1000
"""Levels of arrays and objects, about as many as JSON lines may have: what a parser keeps grows with their square."""

_BRACKETS = re.compile(rb"[\[\]{}]")
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
    """A stream of JSON with ``null`` for each ``NaN`` that is in no string, which ends where it is too deep."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._rest = b""
        self._in_string = False
        self._depth = 0

    def read(self, size: int = -1) -> bytes:
        """About ``size`` bytes; nothing only at the end.

        Raises:
            ValueError: arrays and objects are nested more than 1,000 deep.
        """
        if not size:
            return b""
        data = self._rest + self._stream.read(size)
        kept = _unfinished(data) if len(data) > len(self._rest) else 0
        self._rest = data[len(data) - kept :]
        data = data[: len(data) - kept]
        if not data and kept:
            return self.read(size)
        was_in_string = self._in_string
        self._follow(data)
        return _cleaned(data, was_in_string) if b"NaN" in data else data

    def _follow(self, data: bytes) -> None:
        """Where strings end, and how deep it goes."""
        pieces = (_ESCAPED.sub(b"", data) if b"\\" in data else data).split(b'"')
        outside = b"".join(pieces[int(self._in_string) :: 2])
        self._in_string ^= len(pieces) % 2 == 0
        opened = outside.count(b"{") + outside.count(b"[")
        if self._depth + opened > MAX_DEPTH:
            self._check_depth(outside)
        self._depth += opened - outside.count(b"}") - outside.count(b"]")

    def _check_depth(self, outside: bytes) -> None:
        depth = self._depth
        for bracket in _BRACKETS.findall(outside):
            depth += 1 if bracket in b"[{" else -1
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH:,} levels")


def _cleaned(data: bytes, in_string: bool) -> bytes:
    """A piece of JSON that begins inside a string or outside of one, with ``null`` for NaN."""
    pieces, start = [], 0
    for match in _QUOTES.finditer(data):
        if match[0] != b'"':
            continue
        piece = data[start : match.end()]
        pieces.append(piece if in_string else _NAN.sub(b"null", piece))
        start, in_string = match.end(), not in_string
    rest = data[start:]
    return b"".join([*pieces, rest if in_string else _NAN.sub(b"null", rest)])


def _unfinished(data: bytes) -> int:
    """How many bytes at the end may belong to what follows: a backslash, or the beginning of a NaN."""
    slashes = len(data) - len(data.rstrip(b"\\"))
    if slashes % 2:
        return 1
    return next((kept for end, kept in ((b"NaN", 0), (b"Na", 2), (b"N", 1)) if data.endswith(end)), 0)
