"""What the pipelines ask of an encoder and of a reranker; no torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hybrid_search.images import Pixels as Pixels  # noqa: PLC0414 encoders import it from here
from hybrid_search.records import Fingerprint, SparseVector


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """Vectors of n texts: ``dense`` float32 of shape (n, dimension), ``sparse`` n mappings; None where a leg is off.

    ``late`` are the compressed token states of n passages, where an index is to store them. ``refused`` says why texts
    have no vectors, by their place: what is in their rows means nothing.
    """

    dense: NDArray[np.float32] | None
    sparse: Sequence[SparseVector] | None
    late: Sequence[bytes] | None = None
    refused: Mapping[int, str] = field(default_factory=dict)


class Tokenizer(Protocol):
    """Where tokens begin and end, for chunking."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Character offsets ``(start, end)`` of each text's tokens, special tokens left out, nothing truncated."""
        ...


class QueryLimit(NamedTuple):
    """How much of a query a model reads: ``max_tokens``, special tokens and prompt subtracted, of its ``tokenizer``."""

    max_tokens: int
    tokenizer: Tokenizer


class TextEncoder(Protocol):
    """Turns texts into the vectors of the dense and the sparse leg, in one forward pass where the model can.

    An encoder whose legs read unlike lengths may also have a method ``query_limits`` that gives a :class:`QueryLimit`
    for ``"dense"`` and for ``"sparse"``, where there is one; without it, queries are measured as passages are. One
    whose passages get token states to store has their identity as ``late``.
    """

    @property
    def dense(self) -> Fingerprint | None:
        """Identity of the dense model, None where there is no dense leg."""
        ...

    @property
    def sparse(self) -> Fingerprint | None:
        """Identity of the sparse model, None where there is no sparse leg."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose tokens count against :attr:`max_tokens`."""
        ...

    @property
    def max_tokens(self) -> int:
        """The longest passage in tokens, special tokens and document prompt already subtracted."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of passages, in order."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of queries, in order."""
        ...


@runtime_checkable
class ImageEncoder(Protocol):
    """A text encoder whose dense model may read images too, into the same space."""

    @property
    def reads_images(self) -> bool:
        """Whether it does: a class may be for models of both kinds."""
        ...

    def encode_images(self, images: Sequence[Pixels], *, query: bool = False) -> NDArray[np.float32]:
        """Vectors of images, shape (n, dimension), in order."""
        ...


def image_encoder(encoder: object) -> ImageEncoder | None:
    """The encoder, where it reads images; None where it does not."""
    return encoder if isinstance(encoder, ImageEncoder) and encoder.reads_images else None


@runtime_checkable
class StoredReranker(Protocol):
    """A reranker that also compares what an index stores of passages."""

    late: Fingerprint

    def score_stored(self, query: str, stored: Sequence[bytes]) -> NDArray[np.float32]:
        """Scores of shape (n,) of the passages whose token states these are."""
        ...


@runtime_checkable
class PairReranker(Protocol):
    """A reranker that also scores pairs of many queries together: fuller passes, and less padding."""

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Scores of shape (n,) of pairs of a query and a passage, in their order."""
        ...


class Reranker(Protocol):
    """Scores passages against a query, higher is better; the scale is the model's own."""

    @property
    def name(self) -> str:
        """What an explanation calls it."""
        ...

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Scores of shape (n,), in the order of ``passages``."""
        ...


def score_pairs(reranker: Reranker, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
    """Scores of shape (n,) of pairs of a query and a passage: together where the reranker can, else query by query."""
    if isinstance(reranker, PairReranker):
        return reranker.score_pairs(pairs)
    scores = np.empty(len(pairs), dtype=np.float32)
    for query in dict.fromkeys(query for query, _ in pairs):
        rows = [row for row, (asked, _) in enumerate(pairs) if asked == query]
        scores[rows] = reranker.score(query, [pairs[row][1] for row in rows])
    return scores
