"""LangChain's documents and searches as the package has them, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from typing import Any, Literal, Self
from uuid import UUID, uuid4

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from hybrid_search import records
from hybrid_search.errors import InputError
from hybrid_search.frameworks.embeddings import Vectors, matrix, name_of, vector
from hybrid_search.frameworks.langchain_filters import translated
from hybrid_search.ingest.stages.checks import check_document
from hybrid_search.records import Hit, Leg, Query, SearchResult
from hybrid_search.search.mmr import Mmr
from hybrid_search.search.steps import Encode

Content = Literal["document", "passage"]
"""What a hit shows: the whole document as it was added, or the passage that was found."""

DOCUMENT: Content = "document"
PASSAGE: Content = "passage"

BATCH = 256
"""Texts that the embeddings are given at a time."""

ENCODING = Encode((), 0)
"""What the embeddings are asked for; where they fail, the error says so."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it is sent: what the methods of a store differ in."""

    query: Query
    k: int
    options: Mapping[str, Any]

    @classmethod
    def by_text(cls, text: str, k: int, filter: Any, options: Mapping[str, Any]) -> Self:
        """By all legs; raises QueryError for what is no filter."""
        return cls(Query(text), k, {"filter": translated(filter), **options})

    @classmethod
    def by_vector(cls, embedding: Sequence[float], k: int, filter: Any, options: Mapping[str, Any]) -> Self:
        """By the dense leg alone, for a vector without a text."""
        query = Query("", dense=vector(embedding, "the embedding"))
        return cls(query, k, {"filter": translated(filter), "legs": [Leg.DENSE], "rerank": False, **options})

    def with_vector(self, embedding: Sequence[float]) -> Self:
        """The same with the query's vector, which is not encoded again."""
        return replace(self, query=replace(self.query, dense=vector(embedding, "the embedding")))

    def diverse(self, fetch_k: int, lambda_mult: float) -> Self:
        """The same by maximal marginal relevance; LangChain's lambda is 1 for relevance alone."""
        return replace(self, options={**self.options, "diversity": Mmr(1 - lambda_mult, window=fetch_k)})


@dataclass(frozen=True, slots=True)
class Found:
    """Documents, each with the hit that says why it is there; ``result`` is None where there is no index."""

    pairs: Sequence[tuple[Document, Hit]] = ()
    result: SearchResult | None = field(default=None, repr=False)

    @property
    def documents(self) -> list[Document]:
        """Those alone, in rank order."""
        return [document for document, _ in self.pairs]

    @property
    def scored(self) -> list[tuple[Document, float]]:
        """Each with its score."""
        return [(document, hit.score) for document, hit in self.pairs]


def with_ids(documents: Sequence[Document], ids: Sequence[str | None] | None) -> list[records.Document]:
    """The package's documents: with the ids given beside them, else their own, else new ones.

    Raises:
        InputError: not as many ids as documents.
        RecordError: a document that no index can hold; nothing was spent on it, nor on the others.
    """
    if ids is not None and len(ids) != len(documents):
        raise InputError(f"{len(ids)} ids for {len(documents)} documents", remedy="Give one for each, or none")
    own = [one.id for one in documents] if ids is None else ids
    found = [
        records.Document(str(uuid4()) if id_ is None else str(id_), one.page_content, storable(one.metadata))
        for id_, one in zip(own, documents, strict=True)
    ]
    for document in found:
        check_document(document, None)
    return found


def batches(documents: Sequence[records.Document], size: int) -> Iterator[list[str]]:
    """Their texts, so many at a time."""
    if size < 1:
        raise InputError(f"batch_size is {size}", remedy="Give 1 or more")
    for begin in range(0, len(documents), size):
        yield [one.text for one in documents[begin : begin + size]]


def with_vectors(
    documents: Sequence[records.Document], vectors: Sequence[Vectors], embedding: Embeddings
) -> list[records.Document]:
    """The documents with the vectors of their texts, which came in batches; what carries vectors is not cut."""
    rows = [row for batch in vectors for row in batch]
    found = matrix(rows, len(documents), name_of(embedding)) if rows else ()
    return [replace(one, dense=row) for one, row in zip(documents, found, strict=True)]


def given_back(document: records.Document) -> Document:
    """A stored document as LangChain has it."""
    return Document(id=document.id, page_content=document.text, metadata=dict(document.fields))


def passage(hit: Hit) -> Document:
    """What a hit shows of its document."""
    return Document(id=hit.id, page_content=hit.text, metadata=dict(hit.fields))


def storable(value: Any) -> Any:
    """Metadata as JSON has it: dates as ISO text, sets and tuples as lists, numpy's numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [storable(inner) for inner in value]
    if isinstance(value, Enum):
        return storable(value.value)
    if isinstance(value, np.generic | np.ndarray):
        return storable(value.tolist())
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def refuse(options: Mapping[str, Any], method: str) -> None:
    """Raise InputError for keyword arguments that a method does not have, by their names."""
    if options:
        raise InputError(f"{method} has no {', '.join(options)}", remedy="Leave it out; see docs/frameworks.md")


def cosines(result: SearchResult, vectors: Mapping[str, records.Vector]) -> dict[str, float]:
    """The cosine of each hit and the query, from 0: as the dense leg scored it, else of ``vectors`` by document id."""
    found = {hit.id: 2 * hit.legs[Leg.DENSE].score - 1 for hit in result.hits if Leg.DENSE in hit.legs}
    query = result.query.dense
    if query is not None:
        for id_, one in vectors.items():
            lengths = float(np.linalg.norm(one) * np.linalg.norm(query))
            found.setdefault(id_, float(one @ query) / lengths if lengths else 0.0)
    return {id_: min(1.0, max(0.0, cosine)) for id_, cosine in found.items()}
