"""One TextEncoder out of a dense and a sparse encoder, either of which may be off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.dense import READS_IMAGES, DenseEncoder
from hybrid_search.encode.folder import UNLIMITED
from hybrid_search.encode.protocols import EncodedTexts, Pixels, QueryLimit, Tokenizer
from hybrid_search.encode.tokens import WordSpans
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.records import Fingerprint, SparseVector


class DenseHalf(Protocol):
    """Vectors of shape (n, dimension), or None where the caller brings them."""

    fingerprint: Fingerprint
    tokenizer: Tokenizer
    max_tokens: int
    query_limit: QueryLimit | None

    def encode_documents(self, texts: Sequence[str]) -> NDArray[np.float32] | None: ...

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32] | None: ...


class SparseHalf(Protocol):
    """Vectors by vocabulary id, or None where the caller brings them."""

    fingerprint: Fingerprint
    tokenizer: Tokenizer
    max_tokens: int
    query_limit: QueryLimit | None

    def encode_documents(self, texts: Sequence[str]) -> Sequence[SparseVector] | None: ...

    def encode_queries(self, texts: Sequence[str]) -> Sequence[SparseVector] | None: ...


class Precomputed:
    """Stands for a model that is not here: documents and queries bring their vectors.

    Args:
        dimension: of dense vectors; None for sparse ones.
    """

    def __init__(self, dimension: int | None = None) -> None:
        self.fingerprint = Fingerprint(kind="precomputed", name="precomputed", weights="", dimension=dimension)
        self.tokenizer = WordSpans()
        self.max_tokens = UNLIMITED
        self.query_limit = None

    def encode_documents(self, texts: Sequence[str]) -> None:
        """Nothing: the document's own vector is taken."""

    def encode_queries(self, texts: Sequence[str]) -> None:
        """Nothing: the query's own vector is taken."""


class PairEncoder:
    """A dense and a sparse encoder side by side; a :class:`~hybrid_search.encode.protocols.TextEncoder`.

    ``late`` is the identity of the bi-encoder's token states, which passages get beside their vectors; None for none.

    Passages are measured with the tokenizer of whichever model reads less, the dense one where they are even.

    Raises:
        SettingsError: both are off.
    """

    def __init__(self, dense: DenseHalf | None, sparse: SparseHalf | None, *, late: Fingerprint | None = None) -> None:
        halves = [half for half in (dense, sparse) if half is not None]
        if not halves:
            raise SettingsError(
                "both dense.model and sparse.model are none", remedy="Give at least one of them a model"
            )
        self.late = late
        self._dense = dense
        self._sparse = sparse
        self._tightest = min(halves, key=lambda half: half.max_tokens)

    @property
    def dense(self) -> Fingerprint | None:
        """Identity of the dense model, None where the leg is off."""
        return self._dense.fingerprint if self._dense else None

    @property
    def sparse(self) -> Fingerprint | None:
        """Identity of the sparse model, None where the leg is off."""
        return self._sparse.fingerprint if self._sparse else None

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose tokens count against :attr:`max_tokens`."""
        return self._tightest.tokenizer

    @property
    def max_tokens(self) -> int:
        """The longest passage in tokens, special tokens and document prompt already subtracted."""
        return self._tightest.max_tokens

    @property
    def halves(self) -> tuple[DenseHalf | None, SparseHalf | None]:
        """The dense and the sparse encoder, for whoever wants the vectors of one leg alone."""
        return self._dense, self._sparse

    def query_limits(self) -> dict[str, QueryLimit]:
        """How much of a query each leg reads; none where queries bring their vectors."""
        halves = {"dense": self._dense, "sparse": self._sparse}
        limits = {leg: None if half is None else half.query_limit for leg, half in halves.items()}
        return {leg: limit for leg, limit in limits.items() if limit is not None}

    @property
    def bi_encoder(self) -> DenseEncoder | None:
        """The bi-encoder itself, for late interaction; None where there is none."""
        return self._dense if isinstance(self._dense, DenseEncoder) else None

    @property
    def reads_images(self) -> bool:
        """Whether the dense model makes vectors of images too."""
        return self.bi_encoder is not None and self.bi_encoder.reads_images

    def encode_images(self, images: Sequence[Pixels], *, query: bool = False) -> NDArray[np.float32]:
        """Vectors of RGB images, shape (n, dimension), in order.

        Raises:
            ModelError: there is no dense model here, or it reads no images.
        """
        if self.bi_encoder is None:
            raise ModelError("no dense model here reads images", remedy=READS_IMAGES)
        return self.bi_encoder.encode_images(images, query=query)

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of passages, in order."""
        bi_encoder = self.bi_encoder
        if self.late is not None and bi_encoder is not None:
            vectors, late = bi_encoder.encode_with_tokens(texts)
            return EncodedTexts(vectors, self._sparse.encode_documents(texts) if self._sparse else None, late)
        where = [getattr(half, "device", None) for half in self.halves]
        if self._dense is not None and self._sparse is not None and None not in where:
            return _side_by_side(self._dense, self._sparse, where, texts)
        return EncodedTexts(
            dense=self._dense.encode_documents(texts) if self._dense else None,
            sparse=self._sparse.encode_documents(texts) if self._sparse else None,
        )

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of queries, in order."""
        return EncodedTexts(
            dense=self._dense.encode_queries(texts) if self._dense else None,
            sparse=self._sparse.encode_queries(texts) if self._sparse else None,
        )


def _side_by_side(dense: DenseHalf, sparse: SparseHalf, devices: Sequence[Any], texts: Sequence[str]) -> EncodedTexts:
    """Vectors of passages by two local models: on a GPU one computes while the other copies or tokenizes."""
    from hybrid_search.encode.devices import side_by_side

    jobs: list[Callable[[], Any]] = [partial(half.encode_documents, texts) for half in (dense, sparse)]
    found: list[Any] = side_by_side(jobs, devices)
    return EncodedTexts(dense=found[0], sparse=found[1])
