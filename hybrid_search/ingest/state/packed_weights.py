"""Sparse vectors in few bytes, losslessly: numbers of terms and their weights as they are in memory.

Terms are numbers of a vocabulary in nearly every model, and weights float32: 6 bytes a term instead of the 15 of
MessagePack. What is neither, is not packed.
"""

from __future__ import annotations

import numpy as np

from hybrid_search.records import SparseVector

MARK = 0xC1
"""The one first byte that MessagePack never writes."""

_NARROW, _WIDE = np.dtype("<u2"), np.dtype("<u4")
_WEIGHT = np.dtype("<f4")
_MOST_DIGITS = 9


def packed(weights: SparseVector) -> bytes | None:
    """``MARK``, the bytes of a number, the numbers, the weights; None for what does not come back the same."""
    if not all(term.isascii() and term.isdigit() and len(term) <= _MOST_DIGITS for term in weights):
        return None
    if any(term[0] == "0" and term != "0" for term in weights):
        return None
    numbers = np.fromiter(map(int, weights), dtype=_WIDE, count=len(weights))
    given = np.fromiter(weights.values(), dtype="<f8", count=len(weights))
    kept = given.astype(_WEIGHT)
    if not np.array_equal(kept.astype("<f8"), given):
        return None
    width = _NARROW if not len(numbers) or numbers.max() <= np.iinfo(_NARROW).max else _WIDE
    return bytes((MARK, width.itemsize)) + numbers.astype(width).tobytes() + kept.tobytes()


def unpacked(data: bytes) -> SparseVector:
    """The vector, its terms in the order in which they were given."""
    width = _NARROW if data[1] == _NARROW.itemsize else _WIDE
    count = (len(data) - 2) // (width.itemsize + _WEIGHT.itemsize)
    numbers = np.frombuffer(data, dtype=width, count=count, offset=2)
    weights = np.frombuffer(data, dtype=_WEIGHT, count=count, offset=2 + count * width.itemsize)
    return dict(zip(map(str, numbers.tolist()), weights.tolist(), strict=True))
