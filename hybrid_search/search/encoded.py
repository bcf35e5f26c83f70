"""What an encoder gives for texts and images of queries, and how much of a text it has read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hybrid_search.encode.protocols import EncodedTexts, ImageEncoder, Pixels, QueryLimit, TextEncoder
from hybrid_search.errors import ModelError
from hybrid_search.search.steps import Encoded


def encoded_image(encoder: ImageEncoder, pixels: Pixels) -> Encoded:
    """The vector of one image."""
    return Encoded(EncodedTexts(encoder.encode_images([pixels], query=True), None))


def encoded_texts(encoder: TextEncoder, texts: Sequence[str]) -> Encoded:
    """The vectors of ``texts``, and which of them each leg's model cuts."""
    cut = {leg: _too_long(texts, limit) for leg, limit in _query_limits(encoder).items()}
    vectors = encoder.encode_queries(texts)
    if not isinstance(vectors, EncodedTexts):
        raise ModelError(f"the encoder gave {type(vectors).__name__} instead of EncodedTexts")
    return Encoded(vectors, cut)


def _query_limits(encoder: TextEncoder) -> Mapping[str, QueryLimit]:
    """An encoder that says nothing of queries reads them as it reads passages."""
    limits: Callable[[], Mapping[str, QueryLimit]] | None = getattr(encoder, "query_limits", None)
    if limits is not None:
        return limits()
    return {} if encoder.tokenizer is None else {"dense": QueryLimit(encoder.max_tokens, encoder.tokenizer)}


def _too_long(texts: Sequence[str], limit: QueryLimit) -> dict[int, tuple[int, int]]:
    """Tokens that are read and that there are; counted only of texts that could have more than are read."""
    long = [n for n, text in enumerate(texts) if len(text.encode()) > limit.max_tokens]
    spans = limit.tokenizer.spans([texts[n] for n in long]) if long else []
    return {n: (limit.max_tokens, len(s)) for n, s in zip(long, spans, strict=True) if len(s) > limit.max_tokens}
