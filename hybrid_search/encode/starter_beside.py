"""The starter beside a bi-encoder that was trained from the starter's own: two passes, the starter's as it was.

The head reads the token states of the frozen encoder, which a trained one has no more. So the sparse leg keeps its own
pass, and costs one more for each text, and the dense leg takes the trained model.
"""

from __future__ import annotations

from collections.abc import Sequence

from hybrid_search.encode.protocols import QueryLimit, Tokenizer
from hybrid_search.encode.starter import StarterEncoder
from hybrid_search.errors import ModelError
from hybrid_search.records import Fingerprint, SparseVector


class SparseOfStarter:
    """The sparse half of a starter, for :class:`~hybrid_search.encode.pair.PairEncoder`.

    Args:
        starter: an encoder without its dense leg.

    Raises:
        ModelError: it has no sparse leg.
    """

    def __init__(self, starter: StarterEncoder) -> None:
        if starter.sparse is None:
            raise ModelError("the starter has no sparse leg", where=starter.bi_encoder.fingerprint.name)
        self.starter = starter
        self.fingerprint: Fingerprint = starter.sparse
        self.tokenizer: Tokenizer = starter.tokenizer
        self.max_tokens: int = starter.max_tokens
        self.query_limit: QueryLimit | None = starter.bi_encoder.query_limit

    def encode_documents(self, texts: Sequence[str]) -> Sequence[SparseVector] | None:
        """Vectors of passages, in order."""
        return self.starter.encode_documents(texts).sparse

    def encode_queries(self, texts: Sequence[str]) -> Sequence[SparseVector] | None:
        """Vectors of queries, in order."""
        return self.starter.encode_queries(texts).sparse
