"""Token states kept small: what an index stores beside a passage so that late interaction is a matrix product.

A token's state is turned by a fixed rotation, so that no few components carry it, and then of every component only the
sign is kept, and of every token the mean size of its components: 50 bytes for 384 components. A query keeps its own
states whole, turned likewise (asymmetric, as in RaBitQ: Gao and Long 2024, arXiv:2405.12497), so that the error is that
of the passage's side alone. What that costs, and what other ways cost, is in docs/encoding.md.

A passage is its tokens one after the other: the size as a little-endian float16, then one bit a component, 1 where it
is positive, filled up to whole bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hybrid_search.errors import ModelError

FORMAT = "turned-sign"
"""What the fingerprint of an index says about how its token states are stored."""

SIZE = 2
"""Bytes of a token before its bits."""

SEED = 0
"""Of the rotation: another one is another format."""

WORST = -1.0
"""The score of a passage without tokens."""


def compress(states: NDArray[np.float32]) -> bytes:
    """The token states of one passage (tokens, hidden), of any length each, as bytes."""
    units = _turned(states)
    sizes = np.abs(units).mean(axis=1, dtype=np.float32).astype("<f2")
    bits = np.packbits(units > 0, axis=1)
    return np.concatenate([sizes.view(np.uint8).reshape(-1, SIZE), bits], axis=1).tobytes()


def max_sims(query: NDArray[np.float32], passages: Sequence[bytes]) -> NDArray[np.float32]:
    """MaxSim of a query's token states (q, hidden) with stored passages, shape (n,), about as from whole states.

    Raises:
        ModelError: a passage is not of whole tokens of this width.
    """
    hidden = query.shape[1]
    width = SIZE + -(-hidden // 8)
    if broken := [place for place, data in enumerate(passages) if len(data) % width]:
        raise ModelError(
            f"the stored tokens of {len(broken)} of {len(passages)} passages are not of {hidden} components",
            remedy="Index them again, or set rerank.stored to false",
        )
    counts = np.array([len(data) // width for data in passages])
    scores = np.full(len(passages), WORST, np.float32)
    if not counts.sum():
        return scores
    tokens = np.frombuffer(b"".join(passages), np.uint8).reshape(-1, width)
    sizes = tokens[:, :SIZE].copy().view("<f2")[:, 0].astype(np.float32)
    positive = np.unpackbits(tokens[:, SIZE:], axis=1, count=hidden).astype(np.float32)
    units = _turned(query)
    # A sign is 2 bit - 1, so that q . sign = 2 q . bit - sum(q): the bits are multiplied as they are.
    cosines = (2 * (positive @ units.T) - units.sum(axis=1)) * sizes[:, None]  # (tokens, q)
    there = counts > 0
    starts = np.concatenate([[0], np.cumsum(counts[there])[:-1]])
    scores[there] = np.maximum.reduceat(cosines, starts, axis=0).mean(axis=1)
    return scores


@cache
def rotation(hidden: int) -> NDArray[np.float32]:
    """An orthogonal matrix (hidden, hidden), the same on every machine: Haar-distributed, of one seed."""
    drawn = np.random.default_rng(SEED).standard_normal((hidden, hidden))
    turning, triangle = np.linalg.qr(drawn)
    # The signs of a decomposition are the library's choice; with a positive diagonal it is the only one.
    signed: NDArray[np.float32] = (turning * np.where(np.diag(triangle) < 0, -1.0, 1.0)).astype(np.float32)
    return signed


def _turned(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """The states with length one, turned."""
    lengths = np.maximum(np.linalg.norm(states, axis=-1, keepdims=True), 1e-12)
    turned: NDArray[np.float32] = (states / lengths).astype(np.float32) @ rotation(states.shape[1])
    return turned
