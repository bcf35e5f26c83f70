"""Linear layers on a CPU by oneDNN itself, with what follows them in the same step.

PyTorch's linear layer copies the bias into its output before it multiplies, and reads the output again for an
activation or a residual. oneDNN (https://uxlfoundation.github.io/oneDNN/dev_guide_attributes_post_ops.html) does these
while it has the numbers at hand: about a tenth of the time of MiniLM's passes. PyTorch calls it so in compiled models;
the operator is not documented, and so it is tried, and timed, before it is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGE = 256
"""Rows from which it is used: below, calling it takes as long as it saves."""

AGREE = 1e-4
"""Largest difference of the trial, whose numbers are some tens: the order of additions differs."""

TRIES = 5


class OneDnnLinear(nn.Linear):
    """A linear layer that takes oneDNN's way for many rows of float32 on a CPU, and PyTorch's for all else."""

    def forward(self, input: Tensor) -> Tensor:
        """Rows times weights, and the bias."""
        if not self._takes(input):
            return super().forward(input)
        return _linear(input, self.weight, self.bias)

    def then_gelu(self, rows: Tensor) -> Tensor:
        """The exact GELU of it (arXiv:1606.08415)."""
        return _linear_gelu(rows, self.weight, self.bias) if self._takes(rows) else functional.gelu(self(rows))

    def plus(self, rows: Tensor, other: Tensor) -> Tensor:
        """The sum of it and another tensor, as for a residual."""
        if not self._takes(rows):
            added: Tensor = other + self(rows)
            return added
        return _linear_plus(rows, other, self.weight, self.bias)

    def _takes(self, rows: Tensor) -> bool:
        return (
            rows.device.type == "cpu"
            and rows.dtype == self.weight.dtype == torch.float32
            and rows.numel() >= LARGE * self.in_features
            and not torch.compiler.is_compiling()
            and not (torch.is_grad_enabled() and (rows.requires_grad or self.weight.requires_grad))
            and is_faster()
        )


class GeluIntermediate(nn.Module):
    """What widens the states in a BERT-like layer: ``dense``, then GELU. Modules are given this class, not made of it.

    ``dense`` and ``intermediate_act_fn`` are the names of transformers.
    """

    dense: OneDnnLinear

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Of states (texts, tokens, hidden)."""
        return self.dense.then_gelu(hidden_states)


def use_onednn(model: nn.Module) -> None:
    """Give the linear layers of a loaded model oneDNN's way; weights stay what and where they are."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = OneDnnLinear
    for module in model.modules():
        if _is_gelu_intermediate(module):
            module.__class__ = GeluIntermediate


def _is_gelu_intermediate(module: nn.Module) -> bool:
    """Whether a module is such, by what it is made of and by what it gives."""
    parts = dict(module.named_children())
    dense = parts.get("dense")
    if parts.keys() != {"dense", "intermediate_act_fn"} or type(dense) is not OneDnnLinear:
        return False
    if dense.weight.is_meta or dense.weight.dtype != torch.float32:
        return False
    with torch.inference_mode():
        probe = torch.linspace(-3, 3, dense.in_features, device=dense.weight.device).repeat(2, 1)
        return bool(torch.allclose(module(probe), functional.gelu(dense(probe)), atol=1e-6))


@cache
def is_faster() -> bool:
    """Whether this build has the operator, and it gives what PyTorch's layer does in less time; tried once."""
    draw = torch.Generator().manual_seed(0)
    rows, weight, bias = (torch.randn(shape, generator=draw) for shape in ((1024, 384), (1536, 384), (1536,)))
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch has no types for it
        return False
    try:
        with torch.inference_mode():
            ours: Callable[[], Tensor] = lambda: _linear_gelu(rows, weight, bias)  # noqa: E731 - timed like the other
            theirs: Callable[[], Tensor] = lambda: functional.gelu(functional.linear(rows, weight, bias))  # noqa: E731
            if not torch.allclose(ours(), theirs(), atol=AGREE):
                return False
            turns = [(_seconds(ours), _seconds(theirs)) for _ in range(TRIES)]
    except (AttributeError, RuntimeError, TypeError):  # another release of PyTorch
        return False
    return min(own for own, _ in turns) < min(other for _, other in turns)


def _seconds(run: Callable[[], Tensor]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _linear(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    made: Tensor = _operator()(rows, weight, bias, "none", [], "")
    return made


def _linear_gelu(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    made: Tensor = _operator()(rows, weight, bias, "gelu", [], "none")
    return made


def _linear_plus(rows: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    made: Tensor = _operator().binary(rows, other, weight, bias, "add")
    return made


def _operator() -> Any:
    return torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - PyTorch has no public name for it
