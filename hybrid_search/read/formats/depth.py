"""How deep a stream of JSON nests, known while it is read: a parser keeps a path for each level, and so its square.

20 kB of brackets took 1 GB and 100 kB the machine. Brackets inside of strings do not count. One that closes what was
not opened lets the count fall below zero: the parser goes no further.
"""

from __future__ import annotations

import re

MOST_LEVELS = 1_000
"""Of objects and arrays within each other; no engine takes more."""

_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*+"', re.DOTALL)
_END = re.compile(rb'(?:[^"\\]+|\\.)*+"', re.DOTALL)
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))


class Depth:
    """Told the pieces of a stream in order, says whether they nest deeper than :data:`MOST_LEVELS`."""

    def __init__(self) -> None:
        self._levels = 0
        self._in_string = False
        self._is_escaped = False

    def is_exceeded_by(self, data: bytes) -> bool:
        """Whether the stream is too deep with its next piece."""
        brackets = self._outside(data).translate(None, _OTHERS)
        opened = brackets.count(b"[") + brackets.count(b"{")
        if self._levels + opened <= MOST_LEVELS:
            self._levels += 2 * opened - len(brackets)
            return False
        for bracket in brackets:
            self._levels += 1 if bracket in b"[{" else -1
            if self._levels > MOST_LEVELS:
                return True
        return False

    def _outside(self, data: bytes) -> bytes:
        """What of a piece is in no string."""
        begin = int(self._is_escaped and bool(data))
        self._is_escaped = self._is_escaped and not data
        if self._in_string:
            end = _END.match(data, begin)
            if end is None:
                self._is_escaped = _ends_escaped(data[begin:])
                return b""
            begin, self._in_string = end.end(), False
        outside, quote, rest = _STRING.sub(b"", data[begin:]).partition(b'"')
        self._in_string = bool(quote)
        self._is_escaped = self._in_string and _ends_escaped(rest)
        return outside


def _ends_escaped(data: bytes) -> bool:
    """Whether the first byte of what follows is escaped."""
    return (len(data) - len(data.rstrip(b"\\"))) % 2 == 1
