"""Small passes on a GPU, recorded once for each shape and replayed: handing the operators over is most of their time.

A CUDA graph (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs) has fixed shapes and fixed memory, so
that a pass is padded to the next of a few shapes, copied into the memory of its graph, and copied out again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from hybrid_search.encode.backends.network import Feeds

Pass = Callable[[], Sequence[Tensor]]
Capture = Callable[[Pass, torch.device], Pass]
"""From a pass over tensors that stay where they are to what does it again, whatever they hold then."""

STEP = 16
"""Tokens of a shape are a multiple of this."""

LARGEST = 128
"""Padded tokens of the largest pass that is recorded."""

WARM = 3
"""Passes before the recording, in which libraries choose their kernels."""


@runtime_checkable
class Recordable(Protocol):
    """A network whose pass never waits for the device."""

    def masked(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Its outputs, of ids and mask (texts, tokens)."""
        ...


class Recorded:
    """One shape: memory for its input, and the pass over it."""

    def __init__(self, network: Recordable, shape: tuple[int, int], device: torch.device, capture: Capture) -> None:
        self.ids = torch.zeros(shape, dtype=torch.long, device=device)
        self.mask = torch.zeros(shape, dtype=torch.bool, device=device)
        self.mask[:, 0] = True  # a row without a token would be a division by zero
        self.replay = capture(lambda: network.masked(self.ids, self.mask), device)


class Graphs:
    """A network whose small passes are replayed; safe to share between threads, which take turns.

    Args:
        network: what is recorded.
        otherwise: runs larger passes.
        device: where it is.
        limit: tokens that the network reads at most.
        capture: records a pass.
    """

    def __init__(
        self,
        network: Recordable,
        otherwise: Callable[[Feeds], Sequence[Tensor]],
        device: torch.device,
        *,
        limit: int,
        capture: Capture,
    ) -> None:
        self._network, self._otherwise, self._device = network, otherwise, device
        self._limit, self._capture = limit, capture
        self._recorded: dict[tuple[int, int], Recorded] = {}
        self._turn = threading.Lock()

    @torch.inference_mode()
    def __call__(self, feeds: Feeds) -> Sequence[Tensor]:
        """The outputs in float32."""
        ids, mask = feeds["ids"], feeds["mask"]
        texts, tokens = ids.shape
        shape = bucket(texts, tokens, self._limit)
        if shape is None:
            return self._otherwise(feeds)
        with self._turn:
            one = self._recorded.get(shape)
            if one is None:
                one = self._recorded[shape] = Recorded(self._network, shape, self._device, self._capture)
            one.mask.zero_()[:, 0] = True
            one.ids[:texts, :tokens].copy_(ids, non_blocking=True)
            one.mask[:texts, :tokens].copy_(mask, non_blocking=True)
            states, embeddings = one.replay()
            return [states[:texts, :tokens].float().clone(), embeddings[:texts].float().clone()]


def bucket(texts: int, tokens: int, limit: int) -> tuple[int, int] | None:
    """The next shape that is recorded: a power of two and a multiple of :data:`STEP`; None where that is too large."""
    if not texts or not tokens:
        return None
    shape = 1 << (texts - 1).bit_length(), min(-(-tokens // STEP) * STEP, max(tokens, limit))
    return shape if shape[0] * shape[1] <= LARGEST else None


def capture_for(device: torch.device) -> Capture | None:
    """How passes are recorded on a device; None where they are not."""
    return _cuda_graph if device.type == "cuda" else None


def _cuda_graph(run: Pass, device: torch.device) -> Pass:
    with torch.cuda.device(device):
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch has no types for it
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM):
                run()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = run()

    def replay() -> Sequence[Tensor]:
        graph.replay()
        return outputs

    return replay
