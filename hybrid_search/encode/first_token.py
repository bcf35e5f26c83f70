"""The last layer of a cross-encoder for the first token alone: no other state of it is read.

A BERT that scores pairs (arXiv:1901.04085) makes its score of the first token's last state. So in the last layer keys
and values are needed of all tokens, and query, output and the two wide matrices of one: a sixth of the layer's
arithmetic, and the same numbers. Of six layers it is a seventh less.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

log = logging.getLogger(__name__)

HIDDEN = -1e4
"""Added to the logits of padding: its weight is then exactly 0, in float16 too."""

AGREE = 1e-6


class FirstTokenLayer(nn.Module):
    """A BERT-like layer that gives the first token's state, shape (texts, 1, hidden).

    Layers are given this class, not made of it; the names are those of transformers.
    """

    attention: Any
    intermediate: nn.Module
    output: Any

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
        """Of states (texts, tokens, hidden); a mask is boolean or added to the logits, (texts, 1, any, tokens)."""
        own, first = self.attention.self, hidden_states[:, :1]
        heads, size = own.num_attention_heads, own.attention_head_size

        def split(states: Tensor) -> Tensor:
            return states.view(states.shape[0], states.shape[1], heads, size).transpose(1, 2)

        logits = split(own.query(first)) @ split(own.key(hidden_states)).transpose(-1, -2) * size**-0.5
        if attention_mask is not None:
            of_first = attention_mask[..., :1, :]
            logits = logits.masked_fill(~of_first, HIDDEN) if of_first.dtype == torch.bool else logits + of_first
        mixed = functional.softmax(logits, dim=-1) @ split(own.value(hidden_states))
        attended = self.attention.output(mixed.transpose(1, 2).reshape(first.shape), first)
        made: Tensor = self.output(self.intermediate(attended), attended)
        return made


def only_first_token(model: nn.Module, scores: Callable[[], NDArray[np.float32]]) -> bool:
    """Let the last layer of a loaded cross-encoder compute what is read of it.

    Args:
        model: the ``CrossEncoder``; it is left as it was where its scores would change.
        scores: of a few pairs of unlike lengths by it.

    Returns:
        Whether it was done.
    """
    layer = _last_layer(model)
    if layer is None:
        return False
    before, own = scores(), layer.__class__
    layer.__class__ = FirstTokenLayer
    try:
        if np.allclose(scores(), before, atol=AGREE, rtol=AGREE):
            return True
    except (AttributeError, RuntimeError, TypeError, IndexError) as error:  # another release, another architecture
        log.info("the last layer of %s is computed whole: %s", type(model).__name__, error)
    layer.__class__ = own
    return False


def _last_layer(model: nn.Module) -> nn.Module | None:
    """The last layer of the one classifier inside, if it is made of the parts that a BERT's has."""
    found = [one for one in model.modules() if type(one).__name__.endswith("ForSequenceClassification")]
    stacks = list(_stacks(found[0])) if len(found) == 1 else []
    last = stacks[0][-1] if len(stacks) == 1 and len(stacks[0]) else None
    is_known = last is not None and dict(last.named_children()).keys() == {"attention", "intermediate", "output"}
    return last if is_known else None


def _stacks(network: nn.Module) -> Iterator[nn.ModuleList]:
    for module in network.modules():
        layers: Any = getattr(module, "layer", None)
        if isinstance(layers, nn.ModuleList):
            yield layers
