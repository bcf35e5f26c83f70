"""The seam between a loaded model and the encoders built on it: one forward pass over one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hybrid_search.encode.protocols import Pixels

if TYPE_CHECKING:
    import tokenizers
    from torch import Tensor, device

    from hybrid_search.encode.backends.choice import Switched


@dataclass(frozen=True, slots=True)
class Output:
    """What one forward pass gives, on the model's device.

    ``ids`` (int64) and ``mask`` (true for tokens, false for padding) have shape (texts, tokens); ``states``, the last
    hidden states, (texts, tokens, hidden), None for a model without token states; ``embeddings`` (texts, dimension).
    """

    ids: Tensor
    mask: Tensor
    states: Tensor | None
    embeddings: Tensor


class Backbone(Protocol):
    """A loaded bi-encoder; safe to call from several threads.

    ``max_tokens`` counts special tokens; ``rows`` are the token embeddings, None where they are not known;
    ``tokenizer`` neither cuts nor pads; ``networks`` are what a backend runs. One that ``reads_images``
    is an :class:`ImageBackbone`.
    """

    device: device
    dimension: int
    max_tokens: int
    rows: int | None
    pooling: str | None
    normalized: bool
    tokenizer: tokenizers.Tokenizer
    networks: Sequence[Switched]
    reads_images: bool

    def __call__(self, texts: Sequence[str], ids: Sequence[Sequence[int]], *, prompt: str, query: bool) -> Output:
        """One forward pass.

        Args:
            texts: the texts without their prompt, for models that tokenize by themselves.
            ids: their token ids, prompt and special tokens included, cut at ``max_tokens``.
            prompt: the prompt that ``ids`` begin with.
            query: which route a model with routes takes.
        """
        ...


class ImageBackbone(Backbone, Protocol):
    """One that ``reads_images``."""

    def embed_images(self, images: Sequence[Pixels], *, prompt: str, query: bool) -> Tensor:
        """One forward pass over RGB images of shape (height, width, 3), uint8: (images, dimension)."""
        ...
