"""The text form of a cursor: the rest of a ranking, signed, in at most 8 KB.

    base64url( version 1 | index 4 | expiry 4 | deflate(msgpack(list)) | HMAC-SHA256 16 )      numbers are bytes

``index`` is a digest of the index's name, for a message that fits; ``expiry`` counts seconds since 1970, big-endian.
The signature covers all before it and the whole name. Ids are kept as they are and compress to about what they tell:
an id of 9 digits to some 5 bytes, a UUID to some 20. A hit has about 3 bytes more for its score, and again where
reranking or boosts make another of the fused one. So a cursor holds some 740 hits with ids of 9 digits, 240 with UUIDs,
and 20 with random ids of 504 letters, the longest that there are (tests/unit/test_cursor_text.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hybrid_search.errors import CursorError
from hybrid_search.search.collapse import SEPARATOR

LONGEST = 8192
"""Characters of a cursor."""

VERSION = 1
_HEAD = struct.Struct(">B4sI")
_MAC = 16
_ROOM = LONGEST * 3 // 4
MOST = _ROOM // 4
"""Hits that could fit at all: a score alone has 4 bytes."""
_FAST, _SMALL = 1, 9
"""Levels of compression: the second in half again the time, where the first leaves too much."""
_INFLATED = 16 * 1024 * 1024
_AGAIN = "Begin again with a search without a cursor"


@dataclass(frozen=True, slots=True)
class Kept:
    """One hit of a list that is kept: ``fused`` is the score before reranking and boosts."""

    passage_id: str
    score: float
    fused: float


@dataclass(frozen=True, slots=True)
class Bound:
    """Digests of what a cursor belongs to, besides the index: nothing else may go on with it."""

    query: bytes
    filter: bytes
    options: bytes


@dataclass(frozen=True, slots=True)
class Kind:
    """How a list was made, as the results of its first page say it."""

    fusion: str
    reranker: str | None = None


@dataclass(frozen=True, slots=True)
class FrozenList:
    """The rest of a ranking, from ``rank`` on; ``is_cut`` where hits after the last of them found no room."""

    hits: Sequence[Kept]
    rank: int
    kind: Kind
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Seal:
    """What cursors are signed with: ``key``, for the ``index``; and for how many seconds they are good."""

    key: bytes = field(repr=False)
    index: str
    lifetime: float


def written(rest: FrozenList, bound: Bound, seal: Seal, *, now: float) -> str:
    """The cursor for a list; what finds no room in it is cut off."""
    count, level = min(len(rest.hits), MOST), _FAST
    while True:
        is_cut = rest.is_cut or count < len(rest.hits)
        body = _packed(FrozenList(rest.hits[:count], rest.rank, rest.kind, is_cut), bound, level)
        size = _HEAD.size + len(body) + _MAC
        if size <= _ROOM:
            break
        if level == _FAST:
            level = _SMALL
            continue
        count = min(count - 1, int(count * (_ROOM / size) ** 0.95))
    signed = _HEAD.pack(VERSION, _tag(seal.index), int(now + seal.lifetime)) + body
    return base64.urlsafe_b64encode(signed + _signature(signed, seal)).rstrip(b"=").decode()


def read(text: Any, bound: Bound, seal: Seal, *, now: float) -> FrozenList:
    """The list that a cursor holds.

    Raises:
        CursorError: it is none, was changed, has expired, or is of another index, query, filter or of other options.
    """
    data = decoded(text)
    version, tag, expires = _HEAD.unpack(data[: _HEAD.size])
    if version != VERSION:
        raise CursorError("made by another version of hybrid-search", remedy=_AGAIN)
    if tag != _tag(seal.index):
        raise CursorError(f"of another index than {seal.index}", remedy=_AGAIN)
    if not hmac.compare_digest(data[-_MAC:], _signature(data[:-_MAC], seal)):
        remedy = f"{_AGAIN}; processes that share cursors share search.cursor_key"
        raise CursorError("changed, or signed with another key", remedy=remedy)
    if now > expires:
        raise CursorError(f"expired {now - expires:,.0f} s ago", remedy=f"{_AGAIN}, or set search.cursor_lifetime")
    found, of = _unpacked(data[_HEAD.size : -_MAC])
    for name in Bound.__dataclass_fields__:
        if getattr(of, name) != getattr(bound, name):
            raise CursorError(f"of another search: another {name}", remedy=f"Give the same as before. {_AGAIN}")
    return found


def decoded(text: Any) -> bytes:
    """What a cursor says, whether it is true or not; CursorError where it is none."""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise CursorError("no cursor", remedy="Give the cursor of a result as it is")
    try:
        data = base64.b64decode(text.strip().encode("ascii") + b"=" * (-len(text.strip()) % 4), b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise CursorError("no cursor", remedy="Give the cursor of a result as it is") from None
    if len(data) < _HEAD.size + _MAC:
        raise CursorError("no cursor, or not the whole of it", remedy="Give the cursor of a result as it is")
    return data


def _packed(rest: FrozenList, bound: Bound, level: int) -> bytes:
    documents, numbers = zip(*(_parts(hit.passage_id) for hit in rest.hits), strict=True) if rest.hits else ((), ())
    scores = np.array([hit.score for hit in rest.hits], ">f4")
    fused = np.array([hit.fused for hit in rest.hits], ">f4")
    plain = (
        (bound.query, bound.filter, bound.options),
        rest.rank,
        rest.is_cut,
        (rest.kind.fusion, rest.kind.reranker),
        documents,
        numbers if any(numbers) else (),
        _planes(scores),
        b"" if np.array_equal(scores, fused) else _planes(fused),
    )
    return zlib.compress(msgspec.msgpack.encode(plain), level)


def _unpacked(body: bytes) -> tuple[FrozenList, Bound]:
    """What was packed: signed, so it is what this package wrote."""
    plain = zlib.decompressobj().decompress(body, _INFLATED)
    of, rank, is_cut, kind, documents, numbers, scores, fused = msgspec.msgpack.decode(plain)
    ids = [_joined(*parts) for parts in zip(documents, numbers or [0] * len(documents), strict=True)]
    finals = _floats(scores)
    before = _floats(fused) if fused else finals
    hits = [Kept(*parts) for parts in zip(ids, finals, before, strict=True)]
    return FrozenList(hits, rank, Kind(*kind), is_cut), Bound(*of)


def _planes(scores: NDArray[np.float32]) -> bytes:
    """The first bytes of all, then the second ...: those of scores in their order hardly differ, and compress."""
    return np.ascontiguousarray(scores.view(np.uint8).reshape(-1, 4).T).tobytes()


def _floats(planes: bytes) -> list[float]:
    rows = np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(4, -1).T)
    found: list[float] = rows.view(">f4").ravel().tolist()
    return found


def _parts(passage_id: str) -> tuple[str, int]:
    """Document and number; -1 stands for an id that is not made of them."""
    document, mark, number = passage_id.rpartition(SEPARATOR)
    if mark and len(number) < 10 and number.isascii() and number.isdigit() and (number[0] != "0" or number == "0"):
        return document, int(number)
    return passage_id, -1


def _joined(document: str, number: int) -> str:
    return document if number < 0 else f"{document}{SEPARATOR}{number}"


def _tag(index: str) -> bytes:
    return hashlib.sha256(index.encode()).digest()[:4]


def _signature(signed: bytes, seal: Seal) -> bytes:
    return hmac.new(seal.key, seal.index.encode() + b"\0" + signed, hashlib.sha256).digest()[:_MAC]
