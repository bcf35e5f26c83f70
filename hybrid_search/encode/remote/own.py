"""Both legs from one server of ours, in one request: a :class:`~hybrid_search.encode.protocols.TextEncoder`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hybrid_search.encode.protocols import EncodedTexts, QueryLimit, Tokenizer
from hybrid_search.encode.remote import answers
from hybrid_search.encode.remote.post import Service
from hybrid_search.encode.remote.tei import OWN, TeiSpans, served_info, told_of
from hybrid_search.records import Fingerprint, SparseVector
from hybrid_search.settings import Settings

SHARED = ("url", "service", "api_key", "timeout", "concurrency", "batch_size")
"""What both sections must say alike, for one request to do for both."""


class OwnPair:
    """The dense and the sparse model of one ``hybrid-search models serve``.

    Args:
        service: that server.
        own: what its ``/info`` tells of our models.

    Raises:
        ModelError: it serves only one of them.
    """

    def __init__(self, service: Service, own: Mapping[str, Any]) -> None:
        self._service = service
        self._tokenizer = TeiSpans(service)
        self._dense, (self.max_tokens, dense_tokens) = told_of(service, own, "dense")
        self._sparse, (_, sparse_tokens) = told_of(service, own, "sparse")
        self._query_tokens = {"dense": dense_tokens, "sparse": sparse_tokens}

    @property
    def dense(self) -> Fingerprint:
        """Identity of the dense model."""
        return self._dense

    @property
    def sparse(self) -> Fingerprint:
        """Identity of the sparse model."""
        return self._sparse

    @property
    def tokenizer(self) -> Tokenizer:
        """The server's."""
        return self._tokenizer

    def query_limits(self) -> dict[str, QueryLimit]:
        """How much of a query each leg reads."""
        return {leg: QueryLimit(tokens, self._tokenizer) for leg, tokens in self._query_tokens.items()}

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of passages, in order."""
        return self._encode(texts, "document")

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of queries, in order."""
        return self._encode(texts, "query")

    def _encode(self, texts: Sequence[str], role: str) -> EncodedTexts:
        rows = self._service.post_all(texts, lambda batch: self._asked(batch, role))
        dense = np.vstack([row[0] for row in rows]) if rows else np.empty((0, self._dense.dimension or 0), np.float32)
        return EncodedTexts(dense=dense, sparse=[row[1] for row in rows])

    def _asked(self, batch: Sequence[str], role: str) -> list[tuple[answers.Row, SparseVector]]:
        answer = self._service.post("/encode", {"inputs": list(batch), "prompt_name": role})
        try:
            dense, sparse = answer["dense"], answer["sparse"]
            entries = [[{"index": term, "value": weight} for term, weight in row.items()] for row in sparse]
        except (TypeError, KeyError, AttributeError):
            raise self._service.refused("what /encode gives are no vectors") from None
        vectors = answers.dense_rows(self._service, dense, self._dense.dimension)
        weights = [answers.sparse_row(self._service, row) for row in entries]
        if len(vectors) != len(weights):
            raise self._service.refused("what /encode gives are no vectors of the same texts")
        return list(zip(vectors, weights, strict=True))


def own_pair(settings: Settings) -> OwnPair | None:
    """Both legs of one server of ours; None where the settings name two services, or the service is none of ours.

    Raises:
        ModelError: it does not answer, or serves only one of the models.
    """
    dense, sparse = settings.dense, settings.sparse
    if dense.service != "tei" or any(getattr(dense, name) != getattr(sparse, name) for name in SHARED):
        return None
    service = Service.of("dense", dense)
    own = served_info(service).get(OWN)
    return OwnPair(service, own) if own is not None and dense.dimension is None else None
