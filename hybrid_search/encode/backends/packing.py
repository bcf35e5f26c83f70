"""Batches without padding: the texts laid end to end, each attending to itself alone.

All that a transformer does for each token is done for tokens alone; what remains is attention between the tokens of one
text, for which there are several ways. Which of them pays, and whether any does, depends on the device and on how much
padding there would be: :class:`PaddedOrPacked` tries them on the first passes that have some.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from hybrid_search.encode.devices import synchronize

Feeds = Mapping[str, Tensor]
Run = Callable[[Feeds], Sequence[Tensor]]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]

PADDED = "padded"
TRIES = 3
"""Passes of each way; the fastest of them counts."""

WORTH = 0.02
"""The share of padding from which a pass tells something; below, there is nothing to gain."""

LARGE = 512
"""Padded tokens of the least pass that tells something."""


@runtime_checkable
class Packable(Protocol):
    """A network that can be run without padding."""

    def packed(self, ids: Tensor, mask: Tensor, attend: Attend) -> tuple[Tensor, Tensor]:
        """Its outputs, of ids and mask (texts, tokens), by a way of attention over one row of all tokens."""
        ...


def packings(device: torch.device, dtype: torch.dtype) -> list[str]:
    """The ways of attention over one row that a device has."""
    if device.type == "cuda" and dtype in (torch.float16, torch.bfloat16):
        return ["nested", "varlen"]
    # On a CPU jagged tensors do nothing that one text after the other does not, and a build with CUDA wants a driver.
    return {"cuda": ["nested"], "cpu": ["each"]}.get(device.type, [])


def attention(way: str, lengths: Sequence[int], device: torch.device) -> Attend:
    """Attention over a row of texts of these lengths in tokens.

    Args:
        way: ``each``: one text after the other; ``nested``: torch's jagged tensors
            (https://docs.pytorch.org/docs/stable/nested.html); ``varlen``: the kernel of flash attention for texts of
            many lengths (arXiv:2307.08691), on CUDA and in 16 bits.
        lengths: of the texts, in their order.
        device: where the row is.
    """
    if way == "each":
        return _Each(lengths)
    ends = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32 if way == "varlen" else torch.int64)
    longest = max(lengths, default=0)
    return (_Varlen if way == "varlen" else _Nested)(ends.to(device), longest)


class _Each:
    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = list(lengths)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        mixed, start = torch.empty_like(query), 0
        for length in self._lengths:
            part = slice(start, start + length)
            heads = [one[part].transpose(0, 1)[None] for one in (query, key, value)]
            mixed[part] = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2])[0].transpose(0, 1)
            start += length
        return mixed


class _Nested:
    def __init__(self, ends: Tensor, longest: int) -> None:
        self._ends = ends
        self._longest = longest

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        texts = [
            torch.nested.nested_tensor_from_jagged(one, self._ends, max_seqlen=self._longest, min_seqlen=1).transpose(
                1, 2
            )
            for one in (query, key, value)
        ]
        mixed = functional.scaled_dot_product_attention(texts[0], texts[1], texts[2])
        row: Tensor = mixed.transpose(1, 2).contiguous().values()
        return row


class _Varlen:
    def __init__(self, ends: Tensor, longest: int) -> None:
        self._ends = ends
        self._longest = longest

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        from torch.nn.attention.varlen import varlen_attn

        mixed = varlen_attn(query, key, value, self._ends, self._ends, self._longest, self._longest)
        return mixed if isinstance(mixed, Tensor) else mixed[0]


class PaddedOrPacked:
    """One network by several ways, the fastest of which stays; safe to share between threads.

    The first passes that have padding are run by each way in turn: nothing is computed for the trial alone.

    Args:
        padded: the network as it is.
        find: the ways without padding that give what it gives; asked when the first pass comes for which it matters.
        device: where it runs.
        clock: seconds.
    """

    def __init__(
        self,
        padded: Run,
        find: Callable[[], Mapping[str, Run]],
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.padded, self._find = padded, find
        self._ways: dict[str, Run] = {PADDED: padded}
        self._times: dict[str, list[float]] = {}
        self._device = device
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def way(self) -> str:
        """The fastest; :data:`PADDED` until each was tried."""
        if any(len(times) < TRIES for times in self._times.values()):
            return PADDED
        return min(self._times, key=lambda name: min(self._times[name]), default=PADDED)

    def __call__(self, feeds: Feeds) -> Sequence[Tensor]:
        """The outputs of one pass."""
        tokens, padded = _filled(feeds)
        if tokens == padded:  # a query, or texts of one length: there is nothing to leave out
            return self.padded(feeds)
        trial = self._trial() if padded >= LARGE and padded - tokens >= WORTH * padded else None
        if trial is None:
            return self._ways[self.way](feeds)
        begun = self._clock()
        outputs = self._ways[trial](feeds)
        synchronize(self._device)
        with self._lock:
            self._times[trial].append((self._clock() - begun) / tokens)
        return outputs

    def _trial(self) -> str | None:
        """The way that was tried least, until all were tried enough."""
        with self._lock:
            if not self._times:
                self._ways |= self._find()
                self._times = {name: [] for name in self._ways} if len(self._ways) > 1 else {PADDED: [0.0] * TRIES}
            name = min(self._times, key=lambda way: len(self._times[way]))
            return name if len(self._times[name]) < TRIES else None


def _filled(feeds: Feeds) -> tuple[int, int]:
    """Tokens, and tokens with padding, of a pass whose mask is known; else the same number twice."""
    mask = feeds.get("mask")
    return (0, 0) if mask is None else (int(mask.sum()), mask.numel())
