"""What an encoder says of passages for their highlights: the terms that stand in them, and vectors of sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hybrid_search.encode.protocols import EncodedTexts, TextEncoder
from hybrid_search.errors import ModelError
from hybrid_search.search.steps import Encoded, EncodePassages, Token

Tokens = Callable[[Sequence[str]], Sequence[Sequence[Token]]]


def read_passages(encoder: TextEncoder, step: EncodePassages) -> Encoded:
    """The answer to a step.

    Raises:
        ModelError: the encoder gives no vectors of texts.
    """
    tokens = _tokens_of(encoder)
    found = [()] * len(step.texts) if tokens is None else tokens(step.texts)
    if step.tokens_only:
        return Encoded(EncodedTexts(None, None), tokens=found)
    vectors = encoder.encode_documents(step.texts)
    if not isinstance(vectors, EncodedTexts):
        raise ModelError(f"the encoder gave {type(vectors).__name__} instead of EncodedTexts")
    return Encoded(vectors, tokens=found)


def _tokens_of(encoder: TextEncoder) -> Tokens | None:
    """How the sparse model splits a text; None for an encoder that does not say."""
    limits: Any = getattr(encoder, "query_limits", None)
    sparse = limits().get("sparse") if limits is not None else None
    tokenizer: Any = encoder.tokenizer if sparse is None else sparse.tokenizer
    found: Tokens | None = getattr(tokenizer, "tokens", None)
    return found
