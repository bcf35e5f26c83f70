"""Ids of documents: made, limited, and given once."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping
from typing import Any

import orjson

from hybrid_search.errors import RecordError
from hybrid_search.records import MAX_DOCUMENT_ID_BYTES


def document_id(value: Any, field: str) -> str:
    """The id in a record's field as a string.

    Raises:
        RecordError: it is neither a string nor a whole number, is empty, or is longer than ``MAX_DOCUMENT_ID_BYTES``.
    """
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        what = f"the id in {field!r} must be a string or a whole number, got {value!r}"
        raise RecordError(what, remedy="Write it as a string")
    if not value:
        raise RecordError(f"the id in {field!r} is empty", remedy="Give every document its own id")
    size = len(value) if value.isascii() else _utf8_size(value, field)
    if size > MAX_DOCUMENT_ID_BYTES:
        what = f"the id {value[:40] + '…'!r} has {size} bytes, more than {MAX_DOCUMENT_ID_BYTES}"
        raise RecordError(what, remedy="The engines take 512, '#' and a passage's number included: use a hash")
    return value


def content_id(values: Mapping[str, Any]) -> str:
    """An id made of a record's values, 32 hexadecimal digits: equal records have equal ids, in every file."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    try:
        content = orjson.dumps(values, default=str, option=options)
    except TypeError as error:
        raise RecordError(f"no id can be made of the record: {error}", remedy="Correct its encoding") from None
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _utf8_size(value: str, field: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise RecordError(f"the id in {field!r} is not valid text: {value[:40]!r}") from None


class IdHashes:
    """A set of ids as their 64-bit hashes, in 11 to 23 bytes for each (23 to 46 while it grows).

    An open-addressing table rather than a set of integers, which would need about 70. Two different ids of n have
    the same hash with a probability of about ``n**2 / 2**65``: one in 15,000 for 50 million documents; the second of
    them would be refused as a duplicate, never lost silently.
    """

    def __init__(self) -> None:
        self._slots = array("q", bytes(8 << 10))
        self._count = 0

    def add(self, identifier: str) -> bool:
        """Remember an id; False when it was there already."""
        hashed = hash(identifier) or 1  # 0 marks a free slot
        if self._count * 10 >= len(self._slots) * 7:
            self._grow()
        place = _place(self._slots, hashed)
        if self._slots[place]:
            return False
        self._slots[place] = hashed
        self._count += 1
        return True

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("q", bytes(16 * len(old)))
        for hashed in old:
            if hashed:
                self._slots[_place(self._slots, hashed)] = hashed


def _place(slots: array[int], hashed: int) -> int:
    """The slot that holds the hash, or the free one where it belongs."""
    mask = len(slots) - 1
    place = hashed & mask
    while slots[place] and slots[place] != hashed:
        place = (place + 1) & mask
    return place
