"""SPLADE's head without its largest tensor.

A SPLADE vector is, per entry of the vocabulary, the maximum over a text's tokens of ``log(1 + relu(logit))``
(arXiv:2109.10086). log1p and relu grow with their argument, so the maximum of the logits comes first and both are
taken once for each entry instead of once for each token and entry. The logits are a matrix product of the tokens'
states with the vocabulary's, which is done for :data:`CHUNK` entries at a time: what is held beside the output is one
chunk, not (texts, tokens, vocabulary), and padding is left out of the product. The older head, a sum over tokens
(arXiv:2107.05720), needs the logarithm of every logit, but also of one chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.nn import Linear

CHUNK = 2048
"""Entries of the vocabulary in one product: with the 2,048 tokens of a CPU batch, 16 MiB of logits."""

AGREE = 1e-5
"""Largest difference of a weight from the library's own head on the probe, in float32."""


class VocabularyPooling(nn.Module):
    """Takes the place of a vocabulary's matrix and of ``SpladePooling`` on top of it.

    Args:
        decoder: the matrix (vocabulary, hidden) and bias (vocabulary) that make logits of states.
        strategy: ``max`` or ``sum`` over tokens.
        twice: take the logarithm of the logarithm (``log1p_relu``).
        chunk: entries of the vocabulary in one product.
    """

    def __init__(self, decoder: Linear, *, strategy: str = "max", twice: bool = False, chunk: int = CHUNK) -> None:
        super().__init__()
        # In a tuple, or the matrix would be a second module's, and moved and saved twice.
        self._decoder = (decoder,)
        self._strategy = strategy
        self._twice = twice
        self._chunk = chunk

    @property
    def weights(self) -> list[Tensor]:
        """The matrix and the bias."""
        return list(self._decoder[0].parameters())

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        """From ``token_embeddings`` (texts, tokens, hidden) to ``sentence_embedding`` (texts, vocabulary)."""
        states, mask = features.pop("token_embeddings"), features["attention_mask"].bool()
        lengths = mask.sum(dim=1).tolist()
        real = states[mask]  # (tokens of all texts, hidden): no padding
        del states  # the network's own, which nobody else holds: it makes room for a chunk of logits
        weight, bias = self._decoder[0].weight, self._decoder[0].bias
        pooled = torch.zeros(len(lengths), len(weight), dtype=real.dtype, device=real.device)
        for start in range(0, len(weight), self._chunk):
            part = slice(start, start + self._chunk)
            self._pool(real @ weight[part].T, None if bias is None else bias[part], lengths, pooled[:, part])
        features["sentence_embedding"] = self._saturate(pooled) if self._strategy == "max" else pooled
        return features

    def _pool(self, logits: Tensor, bias: Tensor | None, lengths: list[int], into: Tensor) -> None:
        """One chunk: logits (tokens, entries) to (texts, entries), a text without tokens stays zero."""
        if self._strategy == "sum":
            logits = self._saturate(logits if bias is None else logits + bias)
        ends = accumulate(lengths)
        for row, (length, end) in enumerate(zip(lengths, ends, strict=True)):
            text = logits[end - length : end]
            if length and self._strategy == "sum":
                into[row] = text.sum(dim=0)
            elif length:  # the bias is the same for all tokens, so that it does not move the maximum
                into[row] = text.amax(dim=0) if bias is None else text.amax(dim=0) + bias

    def _saturate(self, logits: Tensor) -> Tensor:
        saturated = logits.relu_().log1p_()
        return saturated.log1p_() if self._twice else saturated


def replace_heads(model: Any, texts: list[str]) -> bool:
    """Put :class:`VocabularyPooling` in the place of every SPLADE head of a ``SparseEncoder`` where it does the same.

    Args:
        model: a loaded model.
        texts: a probe of unlike lengths; where a vector differs from the library's own, the head is left as it was.

    Returns:
        Whether a head was replaced.
    """
    replaced = False
    for sequence, position in list(_heads(model)):
        network: Any = sequence[position - 1].auto_model
        pooling: Any = sequence[position]
        decoder = network.get_output_embeddings()
        if type(decoder) is not nn.Linear:
            continue
        own = VocabularyPooling(
            decoder, strategy=pooling.pooling_strategy, twice=pooling.activation_function == "log1p_relu"
        )
        before, nothing = _probe(model, texts), nn.Identity()
        sequence[position] = own
        _exchange(network, decoder, nothing)
        if _agree(model, texts, before):
            replaced = True
        else:
            sequence[position] = pooling
            _exchange(network, nothing, decoder)
    return replaced


def kept_weights(model: Any) -> tuple[Tensor, ...]:
    """What the heads of a model read, whoever runs its network."""
    return tuple(one for head in model.modules() if isinstance(head, VocabularyPooling) for one in head.weights)


def _heads(model: Any) -> Iterator[tuple[nn.Sequential, int]]:
    """Every ``SpladePooling`` that follows a network, with the sequence and its place in it; those of routes too."""
    for sequence in model.modules():
        if isinstance(sequence, nn.Sequential):
            for position in range(1, len(sequence)):
                is_head = type(sequence[position]).__name__ == "SpladePooling"
                if is_head and hasattr(getattr(sequence[position - 1], "auto_model", None), "get_output_embeddings"):
                    yield sequence, position


def _exchange(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in the place of another, wherever a network holds it."""
    for parent in list(network.modules()):
        for name in [name for name, child in parent.named_children() if child is old]:
            setattr(parent, name, new)


def _agree(model: Any, texts: list[str], before: Tensor) -> bool:
    """Whether the model gives what it gave; not where its parts do not fit together any more."""
    try:
        after = _probe(model, texts)
    except (RuntimeError, AttributeError, TypeError, KeyError):
        return False
    return after.shape == before.shape and bool((after - before).abs().max() <= AGREE)


@torch.inference_mode()
def _probe(model: Any, texts: list[str]) -> Tensor:
    """Weights of the probe by every route, (routes x texts, vocabulary)."""
    options = {"show_progress_bar": False, "convert_to_sparse_tensor": False, "save_to_cpu": True}
    return torch.cat([encode(texts, **options) for encode in (model.encode_query, model.encode_document)])
