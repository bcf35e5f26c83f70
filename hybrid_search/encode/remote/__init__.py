"""Models behind an address: nothing is loaded here, and the query client needs no torch.

    settings (dense.url, sparse.url, rerank.url) -> service (tei, openai, cohere) -> post -> vectors, checked

Each service is one small file that knows its paths and bodies; what travels, how it is tried again and what becomes
of a refusal is :mod:`.post`'s.
"""

from __future__ import annotations

from collections.abc import Callable

from hybrid_search.encode.pair import DenseHalf, SparseHalf
from hybrid_search.encode.protocols import Reranker
from hybrid_search.encode.remote.cohere import CohereDense, CohereReranker
from hybrid_search.encode.remote.openai import OpenAiDense
from hybrid_search.encode.remote.own import own_pair
from hybrid_search.encode.remote.post import Service
from hybrid_search.encode.remote.tei import TeiDense, TeiReranker, TeiSparse
from hybrid_search.settings import DenseSettings, RerankSettings, SparseSettings

__all__ = ["own_pair", "remote_dense", "remote_reranker", "remote_sparse"]

DENSE: dict[str, Callable[[Service, DenseSettings], DenseHalf]] = {
    "tei": TeiDense,
    "openai": OpenAiDense,
    "cohere": CohereDense,
}
RERANK: dict[str, Callable[[Service, RerankSettings], Reranker]] = {"tei": TeiReranker, "cohere": CohereReranker}


def remote_dense(settings: DenseSettings) -> DenseHalf:
    """The bi-encoder behind ``dense.url``.

    Raises:
        ModelError: nothing answers, it refuses, it has another model, or what it gives is no vector.
        SettingsError: the key cannot be had from the keyring.
    """
    kinds: dict[str, Callable[[Service, DenseSettings], DenseHalf]] = {
        "tei": TeiDense,
        "openai": OpenAiDense,
        "cohere": CohereDense,
    }
    return kinds[settings.service](Service.of("dense", settings), settings)


def remote_sparse(settings: SparseSettings) -> SparseHalf:
    """The sparse model behind ``sparse.url``; errors as for :func:`remote_dense`."""
    return TeiSparse(Service.of("sparse", settings), settings)


def remote_reranker(settings: RerankSettings) -> Reranker:
    """The cross-encoder behind ``rerank.url``; errors as for :func:`remote_dense`."""
    return RERANK[settings.service](Service.of("rerank", settings), settings)
