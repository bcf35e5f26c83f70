"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685) on every linear layer of a transformer's encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

RANK = 16
SCALE = 2.0


class LoraLinear(nn.Module):
    """A frozen linear layer plus a trained product of two thin matrices, zero at the start.

    Args:
        frozen: the layer to adapt.
    """

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen.requires_grad_(requires_grad=False)
        self.down = nn.Parameter(torch.randn(RANK, frozen.in_features) / frozen.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(frozen.out_features, RANK))

    def forward(self, states: Tensor) -> Tensor:
        """The frozen output plus the adapter's."""
        output: Tensor = self.frozen(states) + SCALE * (states @ self.down.T) @ self.up.T
        return output


def adapt(model: nn.Module) -> None:
    """Freeze a model and put adapters on every linear layer under ``encoder``, in place."""
    model.requires_grad_(requires_grad=False)
    for name, module in list(model.encoder.named_modules()):
        for child_name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and not name.endswith("frozen"):
                setattr(module, child_name, LoraLinear(child))


def adapters(model: nn.Module) -> dict[str, Tensor]:
    """The trained tensors by name, in float16: what is saved."""
    return {name: tensor.detach().half().cpu() for name, tensor in model.named_parameters() if tensor.requires_grad}
