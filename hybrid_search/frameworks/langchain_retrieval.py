"""LangChain's retriever, document index and compressor; see :mod:`hybrid_search.frameworks.langchain`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Self

import msgspec
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun, Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import DeleteResponse, UpsertResponse
from langchain_core.indexing.base import DocumentIndex
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from hybrid_search.encode import load_reranker
from hybrid_search.encode.protocols import Reranker
from hybrid_search.errors import SettingsError
from hybrid_search.frameworks.langchain_documents import PASSAGE, Asked, Content, Found, storable
from hybrid_search.frameworks.langchain_store import HybridVectorStore
from hybrid_search.records import Hit
from hybrid_search.search.steps import Score, boundary
from hybrid_search.settings import NO_MODEL, RerankSettings, Settings

PROVENANCE = "hybrid_search"
"""The key of a retrieved document's metadata that says why it was found."""

RELEVANCE = "relevance_score"
"""The key under which LangChain's rerankers put their score."""


class HybridRetriever(BaseRetriever):
    """Retrieves by a hybrid search; each document's metadata says why it is there, under ``hybrid_search``.

    That is the hit as JSON: ``rank``, ``score``, ``fused``, ``legs`` (of each leg that found it ``rank``, ``score`` and
    ``contribution``), ``rerank``, ``passage_id``, ``start``, ``end`` ..., and ``degraded``: what the search lacked.

    Attributes:
        store: what is searched; :meth:`from_index` makes it.
        k: documents, where ``invoke(..., k=...)`` does not say.
        search_kwargs: ``filter`` and options of a search, which those of ``invoke`` are added to.
        content: what documents show: the ``passage`` that was found, or the whole ``document``.
    """

    store: HybridVectorStore
    k: int = Field(default=4, ge=1)
    search_kwargs: dict[str, Any] = Field(default_factory=dict)
    content: Content = PASSAGE

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @classmethod
    def from_index(cls, index: str, embedding: Embeddings | None = None, *, k: int = 4, **options: Any) -> Self:
        """A retriever over an index.

        Args:
            index: an index or alias, such as ``hybrid-search index`` makes.
            embedding: what its vectors were made with, where that was LangChain's embeddings.
            k: documents.
            options: ``search_kwargs`` and ``content``; what is left is :class:`HybridVectorStore`'s.
        """
        own = {name: options.pop(name) for name in ("search_kwargs", "content", "tags", "metadata") if name in options}
        return cls(store=HybridVectorStore(index, embedding, **options), k=k, **own)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        del run_manager  # nothing in here reports to it
        return _explained(self.store.find(self._asked(query, kwargs), self.content))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        del run_manager  # nothing in here reports to it
        return _explained(await self.store.afind(self._asked(query, kwargs), self.content))

    def _asked(self, query: str, given: dict[str, Any]) -> Asked:
        options = {"k": self.k, **self.search_kwargs, **given}
        return Asked.by_text(query, options.pop("k"), options.pop("filter", None), options)


class HybridDocumentIndex(HybridRetriever, DocumentIndex):
    """LangChain's document index: documents put, read and deleted by their ids, and retrieved by a hybrid search."""

    def upsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        """Put documents in the place of those with the same ids; one without an id is given one.

        Raises what :meth:`HybridVectorStore.add_documents` raises: none fails in silence.
        """
        return {"succeeded": self.store.add_documents([*items], **kwargs), "failed": []}

    async def aupsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        """The same, awaited."""
        return {"succeeded": await self.store.aadd_documents([*items], **kwargs), "failed": []}

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """Delete documents by their ids, and say which were there.

        Raises:
            ValueError: no ids are given.
        """
        there = [str(one.id) for one in self.store.get_by_ids(ids or [])]
        self.store.delete(ids, **kwargs)
        return {"succeeded": there, "failed": [], "num_deleted": len(there), "num_failed": 0}

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """The same, in a thread."""
        return await asyncio.to_thread(self.delete, ids, **kwargs)

    def get(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        """The documents with these ids, in their order; those that are not there are left out."""
        return self.store.get_by_ids(ids, **kwargs)

    async def aget(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        """The same, in a thread."""
        return await self.store.aget_by_ids(ids, **kwargs)


class HybridReranker(BaseDocumentCompressor):
    """A reranker of the package as LangChain's document compressor: the best documents first, with their scores.

    Scores are under ``relevance_score`` in the metadata; the scale is the model's own.

    Attributes:
        reranker: scores texts against a query; :meth:`of` loads one.
        top_n: how many are kept; None for all.
    """

    reranker: Any
    top_n: int | None = Field(default=None, ge=1)

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @classmethod
    def of(cls, model: str, *, top_n: int | None = None) -> Self:
        """With a cross-encoder by its name or path.

        Raises:
            SettingsError: ``late`` and ``none`` are no cross-encoders.
            ModelError: it cannot be found, loaded or trusted.
        """
        found = load_reranker(Settings(rerank=RerankSettings(model=model))) if model != NO_MODEL else None
        if found is None:
            raise SettingsError("no reranker", where="model", remedy="Name a cross-encoder")
        return cls(reranker=found, top_n=top_n)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The documents by descending score, equals in their order.

        Raises:
            ModelError: the reranker failed.
        """
        del callbacks  # nothing in here reports to them
        if not documents:
            return []
        reranker: Reranker = self.reranker
        texts = [one.page_content for one in documents]
        with boundary(Score(query, texts, 0)):
            scores = [float(score) for score in reranker.score(query, texts)]
        best = sorted(zip(scores, documents, strict=True), key=lambda pair: -pair[0])[: self.top_n]
        return [one.model_copy(update={"metadata": {**one.metadata, RELEVANCE: score}}) for score, one in best]


def _explained(found: Found) -> list[Document]:
    """The documents with what the search says of each."""
    if found.result is None:
        return []
    lacks = {part: str(code) for part, code in found.result.degraded.items()}
    return [
        one.model_copy(update={"metadata": {**one.metadata, PROVENANCE: {**_provenance(hit), "degraded": lacks}}})
        for one, hit in found.pairs
    ]


def _provenance(hit: Hit) -> dict[str, Any]:
    """The hit as JSON, without what the document has of it."""
    told = msgspec.to_builtins(hit, str_keys=True)
    found: dict[str, Any] = storable({key: one for key, one in told.items() if key not in {"id", "text", "fields"}})
    return found
