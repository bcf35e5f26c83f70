"""LlamaIndex: a vector store that searches by words, by embeddings and by both, and a retriever of all that is here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Self

import msgspec
import numpy as np

from hybrid_search.frameworks import need

need("llama-index")

from llama_index.core.base.base_retriever import BaseRetriever  # noqa: E402 the framework is known to be there
from llama_index.core.bridge.pydantic import PrivateAttr  # noqa: E402
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle  # noqa: E402
from llama_index.core.vector_stores.types import (  # noqa: E402
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from hybrid_search.encode import PRECOMPUTED  # noqa: E402
from hybrid_search.errors import QueryError  # noqa: E402
from hybrid_search.filters import And, Filter, In  # noqa: E402
from hybrid_search.frameworks.llama_index_filters import NODE_ID, REF_DOC_ID, translated  # noqa: E402
from hybrid_search.frameworks.llama_index_nodes import NodeIndex, dimension_of, document_of, node_of  # noqa: E402
from hybrid_search.ingest.pipeline import PROGRAM  # noqa: E402
from hybrid_search.read.settings_file import load_settings  # noqa: E402
from hybrid_search.records import Document, Hit, Leg, Query  # noqa: E402
from hybrid_search.search.fusion import Fusion  # noqa: E402
from hybrid_search.search.mmr import MAX_WINDOW, Mmr  # noqa: E402
from hybrid_search.settings import Settings  # noqa: E402

IDF = "idf"
"""The sparse model beside a framework's embeddings: it needs no library and no GPU."""

THRESHOLD = 0.5
"""LlamaIndex's own for MMR, where the query says none: 1 is likeness to the query alone."""

Mode = VectorStoreQueryMode
LEGS: dict[Mode, list[str] | None] = {
    Mode.DEFAULT: [Leg.DENSE],
    Mode.MMR: [Leg.DENSE],
    Mode.SPARSE: [Leg.SPARSE],
    Mode.TEXT_SEARCH: [Leg.BM25],
    Mode.HYBRID: None,
    Mode.SEMANTIC_HYBRID: None,
}
"""The legs of each mode; None is all that the index has."""


class HybridVectorStore(BasePydanticVectorStore):
    """Nodes in an index of Elasticsearch or OpenSearch; safe to share between threads, and a context manager.

    ``DEFAULT`` and ``MMR`` search by the embedding, ``TEXT_SEARCH`` by BM25, ``SPARSE`` by the sparse model, ``HYBRID``
    by all of them, fused; ``alpha`` is then the weight of the embedding, from 0 to 1. ``SEMANTIC_HYBRID`` reranks what
    ``HYBRID`` finds, where ``settings.rerank`` names a model. Similarities are cosines for ``DEFAULT`` and ``MMR``, the
    final scores for the others.

    Every key of the metadata becomes a field to filter on with the first nodes that have it. The index is made with the
    first nodes; one that is not there holds nothing.

    Args:
        index: an index or alias.
        url: the cluster, instead of that of ``settings``; without either, the local node.
        settings: fusion, chunking, engine and models; None takes the defaults and the environment. Of the models, the
            dense one is LlamaIndex's unless ``own_models``, and the sparse one is ``idf`` where none is named.
        own_models: whether the models of the settings read nodes and queries; embeddings are then neither needed nor
            kept.
        source: under which nodes are put; documents of another source are not overwritten.

    Raises:
        FrameworkError: when this module is imported: llama-index-core is not installed, or too old.
        EngineError: the cluster cannot be reached, or refuses.
    """

    stores_text: bool = True
    index_name: str

    _own_models: bool = PrivateAttr()
    _settings: Settings = PrivateAttr()
    _source: str = PrivateAttr()
    _index: NodeIndex = PrivateAttr()
    _making: threading.Lock = PrivateAttr()

    def __init__(
        self,
        index: str,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        own_models: bool = False,
        source: str = PROGRAM,
    ) -> None:
        super().__init__(stores_text=True, is_embedding_query=not own_models, index_name=index)  # type: ignore[call-arg]
        settings = load_settings() if settings is None else settings
        if url is not None:
            settings = msgspec.structs.replace(settings, engine=msgspec.structs.replace(settings.engine, url=url))
        self._own_models, self._settings, self._source = own_models, settings, source
        self._index = NodeIndex(index, settings=settings, source=source)
        self._making = threading.Lock()

    @classmethod
    def class_name(cls) -> str:
        """What LlamaIndex calls it."""
        return "HybridVectorStore"

    @property
    def client(self) -> NodeIndex:
        """The index as the adapters see it."""
        return self._index

    def add(self, nodes: Sequence[BaseNode], **_kwargs: Any) -> list[str]:
        """Put nodes in the place of those with the same ids; they are found when it returns.

        Raises:
            RecordError: a node without text, or without an embedding of the index's dimension where such are kept.
            IndexMismatchError: the index has vectors of a model of its own, or none.
            IngestError: the engine refused nodes, or an id belongs to another source.
        """
        documents = [document_of(node, embedded=not self._own_models) for node in nodes]
        if documents:
            self._made_for(documents).put(documents)
        return [one.id for one in documents]

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """The same, in a thread."""
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    def delete(self, ref_doc_id: str, **_kwargs: Any) -> None:
        """Delete the nodes of a document; of one that is not there, none."""
        if REF_DOC_ID in self._index.kinds():
            self._index.delete_where(In(REF_DOC_ID, (ref_doc_id,)))

    async def adelete(self, ref_doc_id: str, **kwargs: Any) -> None:
        """The same, in a thread."""
        await asyncio.to_thread(self.delete, ref_doc_id, **kwargs)

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_kwargs: Any
    ) -> None:
        """Delete nodes with these ids that pass the filters; without either, none."""
        matching = self._matching(filters, node_ids=node_ids)
        if matching is None or not (kinds := self._index.kinds()):
            return
        if NODE_ID in kinds or node_ids is None:
            self._index.delete_where(matching)

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **kwargs: Any
    ) -> None:
        """The same, in a thread."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **kwargs)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """The nodes with these ids that pass the filters, with their embeddings; those that are not there are left out.

        With ids in their order, else by ascending id.
        """
        if filters is None and node_ids is not None:
            return [node_of(one) for one in self._index.get(node_ids, vectors=True)]
        if not self._index.kinds():
            return []
        found = [node_of(one) for one in self._index.find(self._matching(filters, node_ids=node_ids))]
        places = {id_: place for place, id_ in enumerate(node_ids or ())}
        return sorted(found, key=lambda node: places.get(node.node_id, 0))

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The same, in a thread."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    def clear(self) -> None:
        """Delete all nodes that stores of this ``source`` have put; the index stays, with what others have loaded."""
        self._index.clear()

    async def aclear(self) -> None:
        """The same, in a thread."""
        await asyncio.to_thread(self.clear)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The best nodes in the mode of the query.

        Args:
            query: with ``query_embedding``, ``query_str`` or both, as the mode needs them.
            kwargs: ``mmr_threshold`` and ``mmr_prefetch_k``, or any option of a search
                (:class:`~hybrid_search.search.request.SearchRequest`).

        Raises:
            QueryError: an unknown mode or option, a missing text or embedding, a filter that cannot be.
            EngineError: the index cannot be searched.
        """
        if query.mode not in LEGS:
            modes = ", ".join(mode.value for mode in LEGS)
            raise QueryError(f"there is no mode {Mode(query.mode).value!r} here", remedy=f"There are: {modes}")
        options = self._options(query, kwargs)
        vector = None if query.query_embedding is None else np.asarray(query.query_embedding, dtype=np.float32)
        asked = Query(query.query_str or "", dense=None if self._own_models else vector)
        k = query.similarity_top_k
        if query.mode in {Mode.HYBRID, Mode.SEMANTIC_HYBRID} and query.hybrid_top_k is not None:
            k = query.hybrid_top_k
        found = self._index.search(asked, k, **options) if k > 0 else None
        return self._result([] if found is None else list(found.hits), Mode(query.mode))

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The same, in a thread."""
        return await asyncio.to_thread(self.query, query, **kwargs)

    def close(self) -> None:
        """Close the connections."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _made_for(self, documents: Sequence[Document]) -> NodeIndex:
        """The index, which the first nodes say how to make: with vectors of their dimension, read by no model here."""
        with self._making:
            if not self._own_models:
                self._index.check_takes_embeddings()
            if not self._own_models and not self._index.is_there:
                settings, usual = self._settings, Settings()
                dense = msgspec.structs.replace(settings.dense, model=PRECOMPUTED, dimension=dimension_of(documents))
                sparse = settings.sparse
                if sparse == usual.sparse:
                    sparse = msgspec.structs.replace(sparse, model=IDF)
                settings = msgspec.structs.replace(settings, dense=dense, sparse=sparse)
                self._index.close()
                self._index = NodeIndex(self.index_name, settings=settings, source=self._source)
            return self._index

    def _matching(
        self,
        filters: MetadataFilters | None,
        *,
        node_ids: Sequence[str] | None = None,
        doc_ids: Sequence[str] | None = None,
    ) -> Filter | None:
        parts: list[Filter] = []
        if node_ids is not None:
            parts.append(In(NODE_ID, tuple(node_ids)))
        if doc_ids is not None:
            parts.append(In(REF_DOC_ID, tuple(doc_ids)))
        if (given := translated(filters, self._index.kinds() if filters is not None else {})) is not None:
            parts.append(given)
        return parts[0] if len(parts) == 1 else And(tuple(parts)) if parts else None

    def _options(self, query: VectorStoreQuery, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Of the search that a query asks for."""
        given = dict(kwargs)
        threshold, window = given.pop("mmr_threshold", query.mmr_threshold), given.pop("mmr_prefetch_k", None)
        # LlamaIndex's retriever gives an empty list where it means all.
        matching = self._matching(query.filters, node_ids=query.node_ids or None, doc_ids=query.doc_ids or None)
        options: dict[str, Any] = {"legs": LEGS[query.mode], "filter": matching, "rerank": False}
        if query.mode == Mode.MMR:
            usual = min(MAX_WINDOW, max(50, 4 * query.similarity_top_k)) if window is None else window
            options["diversity"] = Mmr(1 - (THRESHOLD if threshold is None else threshold), usual)
        if query.mode == Mode.SEMANTIC_HYBRID:
            options["rerank"] = True
        if query.mode in {Mode.HYBRID, Mode.SEMANTIC_HYBRID} and query.alpha is not None:
            weights = {Leg.BM25: 1 - query.alpha, Leg.SPARSE: 1 - query.alpha, Leg.DENSE: query.alpha}
            options["fusion"] = Fusion(weights={str(leg): weight for leg, weight in weights.items()})
        return {**options, **given}

    def _result(self, hits: Sequence[Hit], mode: Mode) -> VectorStoreQueryResult:
        """Whole nodes: of a node that the own models read in passages, a hit has but one."""
        whole = {one.id: one for one in self._index.get([hit.id for hit in hits])} if self._own_models else {}
        nodes = [node_of(whole.get(hit.id, Document(hit.id, hit.text, hit.fields))) for hit in hits]
        return VectorStoreQueryResult(nodes, [_similarity(hit, mode) for hit in hits], [hit.id for hit in hits])


def _similarity(hit: Hit, mode: Mode) -> float:
    """The cosine of the embeddings, which engines score as (1 + cosine) / 2; of other searches the score."""
    if mode in {Mode.DEFAULT, Mode.MMR} and Leg.DENSE in hit.legs:
        return 2 * hit.legs[Leg.DENSE].score - 1
    return hit.score


class HybridRetriever(BaseRetriever):
    """Retrieves by everything that the index has: all legs, fused, and reranked where the settings say so.

    Args:
        store: where nodes are; its own models read the query, or ``embed_model`` does.
        embed_model: the embeddings of the nodes, where the store keeps LlamaIndex's.
        k: how many nodes.
        filters: what they must pass.
        options: of every search (:class:`~hybrid_search.search.request.SearchRequest`).
    """

    def __init__(
        self,
        store: HybridVectorStore,
        *,
        embed_model: Any | None = None,
        k: int = 10,
        filters: MetadataFilters | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._store = store
        self._embed_model = embed_model
        self._k = k
        self._filters = filters
        self._options = {"rerank": None, **options}

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        embedding = query_bundle.embedding
        if embedding is None and self._embed_model is not None:
            embedding = self._embed_model.get_agg_embedding_from_queries(query_bundle.embedding_strs)
        return self._found(self._store.query(self._query(query_bundle, embedding), **self._options))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        embedding = query_bundle.embedding
        if embedding is None and self._embed_model is not None:
            embedding = await self._embed_model.aget_agg_embedding_from_queries(query_bundle.embedding_strs)
        return self._found(await self._store.aquery(self._query(query_bundle, embedding), **self._options))

    def _query(self, asked: QueryBundle, embedding: list[float] | None) -> VectorStoreQuery:
        return VectorStoreQuery(
            query_embedding=embedding,
            query_str=asked.query_str,
            similarity_top_k=self._k,
            mode=Mode.HYBRID,
            filters=self._filters,
        )

    def _found(self, result: VectorStoreQueryResult) -> list[NodeWithScore]:
        nodes, scores = result.nodes or [], result.similarities or []
        return [NodeWithScore(node=node, score=score) for node, score in zip(nodes, scores, strict=True)]


__all__ = ["HybridRetriever", "HybridVectorStore"]
