"""The embeddings of a framework as an encoder: its functions give the vectors of the dense leg."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.folder import UNLIMITED
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.encode.tokens import WordSpans
from hybrid_search.errors import ModelError
from hybrid_search.records import Fingerprint, Vector

Vectors = Sequence[Sequence[float]]

NAMES = ("model", "model_name", "model_id", "deployment", "repo_id")
"""Attributes by which embeddings say which model they ask."""


class EmbeddingEncoder:
    """Vectors by two functions; a :class:`~hybrid_search.encode.protocols.TextEncoder` without a sparse leg.

    Documents are not cut: they come as pieces of the length that the framework's splitter made.

    Args:
        name: of the model, by which an index knows whose vectors it holds.
        documents: vectors of texts.
        query: the vector of a query.
    """

    def __init__(
        self, name: str, documents: Callable[[list[str]], Vectors], query: Callable[[str], Sequence[float]]
    ) -> None:
        self._name = name
        self._documents = documents
        self._query = query
        self.tokenizer = WordSpans()
        self.max_tokens = UNLIMITED
        self.sparse = None

    @cached_property
    def dense(self) -> Fingerprint:
        """Who makes the vectors, and of which dimension: found out by encoding a word."""
        dimension = len(self._query("dimension"))
        return Fingerprint("embedding", self._name, "", dimension=dimension, extra={"model": self._name})

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of documents, in order."""
        return EncodedTexts(matrix(self._documents([*texts]), len(texts), self._name), None)

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of queries, in order."""
        return EncodedTexts(matrix([self._query(text) for text in texts], len(texts), self._name), None)


def name_of(embeddings: object) -> str:
    """The class of a framework's embeddings, and the model that they name where they name one."""
    given = (getattr(embeddings, name, None) for name in NAMES)
    model = next((value for value in given if isinstance(value, str) and value), None)
    kind = type(embeddings).__name__
    return kind if model is None else f"{kind} {model}"


def matrix(vectors: Vectors, count: int, name: str) -> NDArray[np.float32]:
    """Vectors as float32 of shape (count, dimension).

    Raises:
        ModelError: they are no numbers, not so many, or not of one length.
    """
    try:
        rows = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the vectors are no rows of numbers: {error}", where=name) from error
    if rows.ndim != 2 or len(rows) != count:
        raise ModelError(f"vectors of shape {rows.shape} for {count} texts", where=name)
    return rows


def vector(given: Sequence[float], name: str) -> Vector:
    """One vector as float32 of shape (dimension,). Raises ModelError as :func:`matrix` does."""
    found: Vector = matrix([given], 1, name)[0]
    return found
