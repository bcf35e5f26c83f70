"""What a backend runs: a network with named inputs and outputs, and how well two of them agree."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from hybrid_search.encode.backends.packing import Packable, attention, packings
from hybrid_search.encode.devices import synchronize, to_device

Feeds = Mapping[str, Tensor]
"""Inputs by name, on the CPU: token ids (int64) and whatever else has shape (texts, tokens)."""

MASKS = ("mask", "attention_mask")
"""Names of the input that tells tokens from padding."""

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Network(Protocol):
    """A forward pass; safe to call from several threads."""

    def __call__(self, feeds: Feeds) -> Sequence[Tensor]:
        """The outputs in their order, float32."""
        ...


@dataclass(frozen=True, slots=True)
class Exportable:
    """A network in torch that a graph can be made of.

    Attributes:
        module: takes the inputs by position, and gives a tuple of the outputs.
        inputs: their names, in order.
        outputs: their names, in order.
        identity: tells the network from all others: of weights, configuration and what of it is run.
        name: for messages.
        limit: tokens that it reads at most.
        rows: ids that it knows.
        kept: weights that are still needed where another backend runs the network.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    identity: str
    name: str
    limit: int
    rows: int
    kept: tuple[Tensor, ...] = ()

    @property
    def probes(self) -> list[Feeds]:
        """Feeds of unlike shapes, the first of several texts and tokens, on which backends are compared."""
        return [self.feeds(*shape) for shape in ((3, 24), (1, 8), (2, 2), (1, 1))]

    def feeds(self, texts: int, tokens: int) -> Feeds:
        """Random tokens, the same at each call; at most as many as the network reads."""
        return token_feeds(self.inputs, (texts, min(tokens, self.limit)), self.rows)

    def free(self) -> None:
        """Let the weights go that nobody needs any more: the module cannot be run after this."""
        kept = {weight.data_ptr() for weight in self.kept}
        for weight in (*self.module.parameters(), *self.module.buffers()):
            if weight.data_ptr() not in kept:
                weight.data = torch.empty(0, dtype=weight.dtype, device=weight.device)


def token_feeds(names: Sequence[str], shape: tuple[int, int], rows: int) -> dict[str, Tensor]:
    """Random ids, and whatever else goes with them, of texts of unlike lengths: each is one token shorter.

    Args:
        names: of the inputs.
        shape: texts and tokens.
        rows: ids are smaller than this.

    Raises:
        ValueError: an input that is not known.
    """
    ids = torch.randint(0, rows, shape, generator=torch.Generator().manual_seed(shape[0] * 1000 + shape[1]))
    lengths = (shape[1] - torch.arange(shape[0])).clamp(min=1)
    mask = (torch.arange(shape[1]) < lengths[:, None]).long()
    known = {
        "ids": ids,
        "input_ids": ids,
        "mask": mask.bool(),
        "attention_mask": mask,
        "token_type_ids": torch.zeros_like(ids),
        "position_ids": torch.arange(shape[1]).expand(shape).contiguous(),
    }
    if unknown := set(names) - known.keys():
        raise ValueError(f"inputs {', '.join(sorted(unknown))}")
    return {name: known[name] for name in names}


class TorchNetwork:
    """The network as it is, or in half precision; its outputs stay on the module's device.

    Args:
        exportable: the network.
        device: where the module is.
        precision: ``fp32``, ``bf16`` or ``fp16``.
    """

    def __init__(self, exportable: Exportable, device: torch.device, precision: str = "fp32") -> None:
        self.module = exportable.module
        self._inputs = exportable.inputs
        self.way: str | None = None
        self.device = device
        self.dtype = DTYPES.get(precision, torch.float32)
        if precision in DTYPES:
            self.module = copy.deepcopy(self.module).to(self.dtype)

    @property
    def packings(self) -> list[str]:
        """The ways of attention by which it can be run without padding."""
        return packings(self.device, self.dtype) if isinstance(self.module, Packable) else []

    def packing(self, way: str | None) -> TorchNetwork:
        """The same weights, run without padding by a way of attention; None pads."""
        other = copy.copy(self)
        other.way = way
        return other

    @torch.inference_mode()
    def __call__(self, feeds: Feeds) -> Sequence[Tensor]:
        """The outputs in float32, on the module's device."""
        given = [to_device(feeds[name], self.device) for name in self._inputs]
        if self.way is not None and isinstance(self.module, Packable):
            lengths = feeds["mask"].sum(dim=1).tolist()
            ids, mask = given
            outputs = self.module.packed(ids, mask, attention(self.way, lengths, self.device))
        else:
            outputs = self.module(*given)
        return [output.float() for output in outputs]


def agreement(ours: Sequence[Tensor], reference: Sequence[Tensor], feeds: Feeds) -> float:
    """The least cosine between two results, over all vectors of all outputs; of padding none counts.

    Of outputs that are single numbers (a score for each text), 1 less their largest relative difference. -1 where a
    shape differs or a number is not finite.
    """
    return min(_alike(one.cpu(), other.cpu(), feeds) for one, other in zip(ours, reference, strict=True))


def _alike(ours: Tensor, reference: Tensor, feeds: Feeds) -> float:
    if ours.shape != reference.shape or not ours.isfinite().all():
        return -1.0
    mask = next((feeds[name].bool() for name in MASKS if name in feeds), None)
    if reference.dim() == 3 and mask is not None:
        ours, reference = ours[mask], reference[mask]
    if reference.shape[-1] == 1:
        scale = max(float(reference.abs().max()), 1.0)
        return 1.0 - float((ours - reference).abs().max()) / scale
    return float(torch.nn.functional.cosine_similarity(ours.double(), reference.double(), dim=-1).min())


def seconds(network: Network, feeds: Feeds, rounds: int) -> float:
    """The least time of one pass, of several after a first that is not counted."""
    network(feeds)
    return min(_timed(network, feeds) for _ in range(rounds))


def _timed(network: Network, feeds: Feeds) -> float:
    begun = time.perf_counter()
    outputs = network(feeds)
    synchronize(outputs[0].device)
    return time.perf_counter() - begun
