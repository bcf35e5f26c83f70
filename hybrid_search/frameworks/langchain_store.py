"""LangChain's vector store over one index; see :mod:`hybrid_search.frameworks.langchain`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.errors import HybridSearchError, InputError, QueryError
from hybrid_search.frameworks.embeddings import EmbeddingEncoder, name_of
from hybrid_search.frameworks.index import FrameworkIndex
from hybrid_search.frameworks.langchain_documents import (
    BATCH,
    DOCUMENT,
    ENCODING,
    PASSAGE,
    Asked,
    Content,
    Found,
    batches,
    cosines,
    given_back,
    passage,
    refuse,
    with_ids,
    with_vectors,
)
from hybrid_search.ingest.pipeline import PROGRAM
from hybrid_search.records import Leg, SearchResult
from hybrid_search.search.steps import boundary
from hybrid_search.settings import Settings

log = logging.getLogger(__name__)


class HybridVectorStore(VectorStore):
    """Documents of one index, searched by words and by vectors at once; safe to share between threads and event loops.

    The index is made with the first documents; before that, the store is empty. Keys of the metadata are fields to
    filter on, of the kind that their first values have (:mod:`hybrid_search.frameworks.metadata_fields`).

    Args:
        index: an index or alias.
        embedding: LangChain's embeddings; None takes the models of the settings, or those that made the index.
        url: the cluster, instead of that of ``settings``; without either, the local node.
        settings: models, fusion and engine; None takes the defaults and the environment.
        encoder: in the place of ``embedding``, an encoder of the package.
        reranker: reranks every search, instead of the one that the settings name.
        content: what a hit shows. With ``embedding`` documents are not cut, and both are the same.
        source: under which documents are put; those that another source has put are not overwritten.

    Raises:
        InputError: both ``embedding`` and ``encoder``.
        EngineError: the cluster cannot be reached, or refuses.
    """

    def __init__(
        self,
        index: str,
        embedding: Embeddings | None = None,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
        reranker: Reranker | None = None,
        content: Content = DOCUMENT,
        source: str = PROGRAM,
    ) -> None:
        if embedding is not None:
            if encoder is not None:
                raise InputError("embedding and encoder are both given", remedy="Give one of them")
            encoder = EmbeddingEncoder(name_of(embedding), embedding.embed_documents, embedding.embed_query)
        self._embedding = embedding
        self._content: Content = content
        self._index = FrameworkIndex(
            index, url=url, settings=settings, encoder=encoder, reranker=reranker, source=source
        )

    @property
    def embeddings(self) -> Embeddings | None:
        """What was given."""
        return self._embedding

    def close(self) -> None:
        """Close the connections."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Documents

    def add_documents(
        self, documents: list[Document], *, ids: list[str] | None = None, batch_size: int = BATCH, **kwargs: Any
    ) -> list[str]:
        """Add documents in the place of those with the same ids; they are found once it returns.

        Args:
            documents: of which one without an id is given one.
            ids: in the place of the documents' own.
            batch_size: texts that the embeddings are given at a time.
            kwargs: none.

        Returns:
            Their ids, in order.

        Raises:
            RecordError: a document that no index can hold, as one without text.
            IndexMismatchError: the index was made with other models, or not by this package.
            IngestError: the engine refused documents, or an id belongs to another source.
        """
        refuse(kwargs, "add_documents")
        given = with_ids(documents, ids)
        if self._embedding is not None:
            embed = self._embedding.embed_documents
            with boundary(ENCODING):
                vectors = [embed(texts) for texts in batches(given, batch_size)]
            given = with_vectors(given, vectors, self._embedding)
        self._index.put(given)
        return [one.id for one in given]

    async def aadd_documents(
        self, documents: list[Document], *, ids: list[str] | None = None, batch_size: int = BATCH, **kwargs: Any
    ) -> list[str]:
        """The same; what the embeddings are asked is awaited, and what the engine is asked runs in a thread."""
        refuse(kwargs, "add_documents")
        given = with_ids(documents, ids)
        if self._embedding is not None:
            embed = self._embedding.aembed_documents
            with boundary(ENCODING):
                vectors = [await embed(texts) for texts in batches(given, batch_size)]
            given = with_vectors(given, vectors, self._embedding)
        await asyncio.to_thread(self._index.put, given)
        return [one.id for one in given]

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in their order; those that are not there are left out."""
        return [given_back(one) for one in self._index.get(ids)]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The same, in a thread."""
        return await asyncio.to_thread(self.get_by_ids, ids)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete the documents with these ids; those that are not there count for nothing.

        Raises:
            ValueError: no ids are given: a store is not emptied by leaving them out.
        """
        if ids is None:
            raise ValueError("delete was given no ids: a store is not emptied by leaving them out")
        refuse(kwargs, "delete")
        self._index.delete(ids)
        return True

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """The same, in a thread."""
        return await asyncio.to_thread(self.delete, ids, **kwargs)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        index: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store with texts added.

        Args:
            texts: of documents.
            embedding: see :class:`HybridVectorStore`.
            metadatas: of each.
            ids: of each.
            index: an index or alias; must be given.
            kwargs: see :class:`HybridVectorStore`.

        Raises:
            InputError: no index; besides what :meth:`add_documents` raises.
        """
        store = cls(_named(index), embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        index: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """The same, awaited."""
        store = await asyncio.to_thread(cls, _named(index), embedding, **kwargs)
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store

    # Searches

    def similarity_search(self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any) -> list[Document]:
        """The best documents for a text.

        Args:
            query: the text.
            k: how many.
            filter: LangChain's operators, or a filter of the package, as an object or as text.
            kwargs: options of a search (:class:`~hybrid_search.search.request.SearchRequest`).

        Raises:
            QueryError: the text, the filter or an option is wrong.
            IndexMismatchError: the index was made with other models, or not by this package.
            EngineError: nothing could be searched.
        """
        return self.find(Asked.by_text(query, k, filter, kwargs)).documents

    async def asimilarity_search(self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any) -> list[Document]:
        """The same, awaited."""
        return (await self.afind(Asked.by_text(query, k, filter, kwargs))).documents

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same with the score of each, which ranks and has no scale of its own; higher is better."""
        return self.find(Asked.by_text(query, k, filter, kwargs)).scored

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same, awaited."""
        return (await self.afind(Asked.by_text(query, k, filter, kwargs))).scored

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[Document]:
        """The documents with the nearest vectors: the dense leg alone."""
        return self.find(Asked.by_vector(embedding, k, filter, kwargs)).documents

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[Document]:
        """The same, awaited."""
        return (await self.afind(Asked.by_vector(embedding, k, filter, kwargs))).documents

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Any = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Documents that are relevant and unlike each other, of the ``fetch_k`` best of the hybrid search.

        Args:
            query: the text.
            k: how many.
            fetch_k: among how many they are chosen, from 1 to 1,000.
            lambda_mult: from 0, unlikeness alone, to 1, relevance alone.
            filter: as in :meth:`similarity_search`.
            kwargs: as there.
        """
        asked = Asked.by_text(query, k, filter, kwargs).diverse(fetch_k, lambda_mult)
        return self.find(asked).documents

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Any = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The same, awaited."""
        asked = Asked.by_text(query, k, filter, kwargs).diverse(fetch_k, lambda_mult)
        return (await self.afind(asked)).documents

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Any = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The same of the nearest vectors."""
        asked = Asked.by_vector(embedding, k, filter, kwargs).diverse(fetch_k, lambda_mult)
        return self.find(asked).documents

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Any = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The same, awaited."""
        asked = Asked.by_vector(embedding, k, filter, kwargs).diverse(fetch_k, lambda_mult)
        return (await self.afind(asked)).documents

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The hybrid ranking with the cosine of each document's vector and the query's, 0 where that is negative."""
        found = self.find(Asked.by_text(query, k, filter, kwargs))
        return self._relevances(found)

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        found = await self.afind(Asked.by_text(query, k, filter, kwargs))
        return await asyncio.to_thread(self._relevances, found)

    def _relevances(self, found: Found) -> list[tuple[Document, float]]:
        """Each document with its cosine; of one that the dense leg did not rank, from the vector that is stored."""
        if found.result is None:
            return []
        if found.result.query.dense is None:
            remedy = "Search with similarity_search_with_score, or with embeddings"
            raise QueryError("relevance is the cosine of dense vectors, and the query has none", remedy=remedy)
        unranked = [hit.id for _, hit in found.pairs if Leg.DENSE not in hit.legs]
        stored = self._index.get(unranked, vectors=True) if unranked else []
        known = cosines(found.result, {one.id: one.dense for one in stored if one.dense is not None})
        return [(document, known.get(hit.id, 0.0)) for document, hit in found.pairs]

    def find(self, asked: Asked, content: Content | None = None) -> Found:
        """What a search found, each document with the hit that says why; ``content`` instead of the store's."""
        return self._found(self._index.search(asked.query, asked.k, **asked.options), content or self._content)

    async def afind(self, asked: Asked, content: Content | None = None) -> Found:
        """The same, awaited; the query is embedded on the caller's event loop, beside others."""
        if self._embedding is not None and asked.query.dense is None:
            try:
                with boundary(ENCODING):
                    asked = asked.with_vector(await self._embedding.aembed_query(asked.query.text))
            except HybridSearchError as error:  # the search asks once more, and says what it went on without
                log.debug("%s", error)
        result = await self._index.asearch(asked.query, asked.k, **asked.options)
        if self._is_passage(content):
            return self._found(result, PASSAGE)
        return await asyncio.to_thread(self._found, result, DOCUMENT)

    def _is_passage(self, content: Content | None) -> bool:
        """Whether hits show what was asked for as they are: what came with embeddings is not cut."""
        return self._embedding is not None or (content or self._content) == PASSAGE

    def _found(self, result: SearchResult | None, content: Content) -> Found:
        if result is None:
            return Found()
        for warning in result.warnings:
            log.warning("%s: %s", self._index.name, warning)
        if self._is_passage(content):
            return Found([(passage(hit), hit) for hit in result.hits], result)
        whole = {one.id: one for one in self._index.get([hit.id for hit in result.hits])}
        return Found([(given_back(whole[hit.id]), hit) for hit in result.hits if hit.id in whole], result)


def _named(index: str | None) -> str:
    if index is None:
        raise InputError("no index is named", remedy="Give index=, the name of an index that is there or to be made")
    return index
