"""The forward pass of a BERT bi-encoder in plain torch (arXiv:1810.04805), its pooling that of SBERT (1908.10084)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hybrid_search.encode.onednn import OneDnnLinear

Weights = Callable[[str], Tensor]
"""The stored tensor of a name, without the prefix ``bert.``."""

HIDDEN = -1e4
"""Added to the logits of what is not seen: its weight is then exactly 0 in float32. Float16 has the number, too."""

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Attention over queries, keys and values of one row of texts, each (tokens, heads, hidden / heads)."""


class PlainBert(nn.Module):
    """From token ids to token states and pooled embeddings; of inference only.

    Args:
        one: looks weights up, float32.
        layers: how many the model has.
        heads: of its attention.
        epsilon: of its layer norms.
        pooling: ``mean`` or ``cls``.
        normalized: whether embeddings get length one.
    """

    def __init__(
        self, one: Weights, *, layers: int, heads: int, epsilon: float, pooling: str | None, normalized: bool
    ) -> None:
        super().__init__()
        # Public: heads that score the vocabulary are tied to these, shape (vocabulary, hidden).
        self.words = _fixed(one("embeddings.word_embeddings.weight"))
        # One text is one segment, so that segment 0's embedding can be added to the positions once.
        segment = one("embeddings.token_type_embeddings.weight")[0]
        self.positions = _fixed(one("embeddings.position_embeddings.weight") + segment)
        self.norm = _norm(one, "embeddings.LayerNorm", epsilon)
        self.layers = nn.ModuleList(Layer(one, f"encoder.layer.{n}", heads, epsilon) for n in range(layers))
        self.pooling = pooling
        self.normalized = normalized

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States (texts, tokens, hidden) and embeddings (texts, hidden), of ids and mask (texts, tokens).

        ``mask`` is true for tokens; of padding, states are whatever they are.
        """
        # In a graph all shapes are unknown, and so is whether there is padding.
        if torch.compiler.is_exporting():
            return self._through(ids, mask, (1.0 - mask.float())[:, None, None, :] * HIDDEN)
        return self._through(ids, mask, None if bool(mask.all()) else mask[:, None, None, :])

    def masked(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The same without a look at the mask, for which a device would have to be waited for."""
        return self._through(ids, mask, mask[:, None, None, :])

    def _through(self, ids: Tensor, mask: Tensor, visible: Tensor | None) -> tuple[Tensor, Tensor]:
        states: Tensor = self.norm(self.words[ids] + self.positions[: ids.shape[1]])
        for layer in self.layers:
            states = layer(states, visible)
        return states, self._pool(states, mask)

    def packed(self, ids: Tensor, mask: Tensor, attend: Attend) -> tuple[Tensor, Tensor]:
        """The same without padding: the tokens of all texts are one row, and a text attends to itself alone.

        Args:
            ids: (texts, tokens).
            mask: true for tokens, which stand before the padding.
            attend: attention over the row.
        """
        places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)[mask]
        row: Tensor = self.norm(self.words[ids[mask]] + self.positions[places])
        for layer in self.layers:
            row = cast("Layer", layer).packed(row, attend)
        states = row.new_zeros(*ids.shape, row.shape[-1])
        states[mask] = row
        return states, self._pool(states, mask)

    def _pool(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "cls":
            pooled = states[:, 0].float()
        else:
            pooled = (states.float() * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return functional.normalize(pooled, dim=1) if self.normalized else pooled


class Layer(nn.Module):
    """Attention and two matrices, each with a residual and a norm; query, key and value are one matrix."""

    def __init__(self, one: Weights, name: str, heads: int, epsilon: float) -> None:
        super().__init__()
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        self.heads = heads
        self.qkv = _linear(
            torch.cat([one(f"{part}.weight") for part in parts]), torch.cat([one(f"{part}.bias") for part in parts])
        )
        self.attention = _linear(*_pair(one, f"{name}.attention.output.dense"))
        self.attention_norm = _norm(one, f"{name}.attention.output.LayerNorm", epsilon)
        self.up = _linear(*_pair(one, f"{name}.intermediate.dense"))
        self.down = _linear(*_pair(one, f"{name}.output.dense"))
        self.norm = _norm(one, f"{name}.output.LayerNorm", epsilon)

    def forward(self, states: Tensor, visible: Tensor | None) -> Tensor:
        """States (texts, tokens, hidden); ``visible`` is a mask that broadcasts over heads and queries."""
        attend = self._attend_in_steps if torch.compiler.is_exporting() else self._attend
        return self._rest(states, attend(states, visible))

    def packed(self, row: Tensor, attend: Attend) -> Tensor:
        """The same of a row of tokens (tokens, hidden)."""
        query, key, value = self.qkv(row).view(len(row), 3, self.heads, -1).unbind(1)
        return self._rest(row, attend(query, key, value).reshape(row.shape))

    def _rest(self, states: Tensor, mixed: Tensor) -> Tensor:
        states = self.attention_norm(self.attention.plus(mixed, states))
        out: Tensor = self.norm(self.down.plus(self.up.then_gelu(states), states))
        return out

    def _attend(self, states: Tensor, visible: Tensor | None) -> Tensor:
        texts, tokens, hidden = states.shape
        # (texts, tokens, 3 x hidden) -> three of (texts, heads, tokens, hidden / heads)
        split = self.qkv(states).view(texts, tokens, 3, self.heads, hidden // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        return mixed.transpose(1, 2).reshape(texts, tokens, hidden)

    def _attend_in_steps(self, states: Tensor, bias: Tensor | None) -> Tensor:
        """The same for a graph, ``bias`` being added to the logits.

        PyTorch's operator is exported with a look for rows that see nothing, over all logits: a quarter of the time of
        ONNX Runtime, and no pattern that OpenVINO knows. Here every row sees a token.
        """
        texts, tokens, hidden = states.shape
        parts = self.qkv(states).split(hidden, dim=-1)
        query, key, value = (one.view(texts, tokens, self.heads, -1).transpose(1, 2) for one in parts)
        logits = query @ key.transpose(-1, -2) * (hidden // self.heads) ** -0.5
        weights = functional.softmax(logits if bias is None else logits + bias, dim=-1)
        mixed: Tensor = weights @ value
        return mixed.transpose(1, 2).reshape(texts, tokens, hidden)


def _pair(one: Weights, name: str) -> tuple[Tensor, Tensor]:
    return one(f"{name}.weight"), one(f"{name}.bias")


def _fixed(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight, requires_grad=False)


def _linear(weight: Tensor, bias: Tensor) -> OneDnnLinear:
    made = OneDnnLinear(weight.shape[1], weight.shape[0], device="meta")
    made.weight, made.bias = _fixed(weight), _fixed(bias)
    return made


def _norm(one: Weights, name: str, epsilon: float) -> nn.LayerNorm:
    weight, bias = _pair(one, name)
    made = nn.LayerNorm(len(weight), eps=epsilon, device="meta")
    made.weight, made.bias = _fixed(weight), _fixed(bias)
    return made
