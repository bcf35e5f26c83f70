"""Haystack: a document store and a hybrid retriever over an index of Elasticsearch or OpenSearch.

    store = HybridDocumentStore("handbook", url="http://localhost:9200", embedding_dim=384)
    store.write_documents(embedded_documents)
    pipeline.add_component("retriever", HybridRetriever(store, top_k=5))

With ``embedding_dim`` the dense leg searches the embeddings that documents bring, and a query brings its own. Without
it, the models of the settings encode both, and no pipeline needs an embedder.
"""

# ruff: noqa: E402  # a framework that is missing or too old is named before its imports fail
from __future__ import annotations

from hybrid_search.frameworks import need

need("haystack")

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from typing import Any, Self

import msgspec
from haystack import component, default_from_dict, default_to_dict
from haystack.dataclasses import Document, SparseEmbedding
from haystack.document_stores.types import FilterPolicy, apply_filter_policy
from haystack.utils import Secret

from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.errors import SettingsError
from hybrid_search.frameworks.haystack_async import AsyncDocuments
from hybrid_search.frameworks.haystack_documents import (
    dense_vector,
    is_whole,
    passage_of,
    sparse_vector,
    to_haystack,
)
from hybrid_search.frameworks.haystack_opening import Access, Login, settings_of, told
from hybrid_search.records import Hit, Query, SearchResult
from hybrid_search.search import Fusion, Reranking
from hybrid_search.search.request import SearchRequest
from hybrid_search.settings import Settings


class HybridDocumentStore(AsyncDocuments):
    """Haystack's ``DocumentStore`` in an index that is made when the first documents are written.

    Documents come back as they were written, in the order in which they were: content, metadata of any shape, blobs,
    embeddings. Metadata need not be declared to be filtered on. Methods that end in ``_async`` do the same in a thread.

    Args:
        index: an index, or an alias of one.
        url: the cluster, instead of that of the settings; without either, the local node.
        embedding_dim: components of the embeddings that documents and queries bring for the dense leg; None: the models
            of the settings encode both. A document without an embedding is found by its words.
        sparse_embeddings: whether the sparse leg searches the sparse embeddings that documents and queries bring.
        settings: models, chunking, fusion and engine (:class:`~hybrid_search.settings.Settings`), or what differs in
            them from the defaults and the environment: ``{"rerank": {"model": "late"}}``.
        user: with ``password``, a login of the cluster.
        password: of that login.
        api_key: instead of it.
        bearer: instead of either.
        encoder: instead of the one that the settings name; a store with one cannot be written into a pipeline's file.
        reranker: the same.

    Raises:
        SettingsError: a setting is wrong. The cluster is asked nothing before the first method is called.
    """

    def __init__(
        self,
        index: str,
        *,
        url: str | None = None,
        embedding_dim: int | None = None,
        sparse_embeddings: bool = False,
        settings: Settings | Mapping[str, Any] | None = None,
        user: str | None = None,
        password: Secret | None = None,
        api_key: Secret | None = None,
        bearer: Secret | None = None,
        encoder: TextEncoder | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self.index = index
        self.url = url
        self._given = {"embedding_dim": embedding_dim, "sparse_embeddings": sparse_embeddings, "user": user}
        self._secrets = {"password": password, "api_key": api_key, "bearer": bearer}
        self._settings = settings
        self._models = {"encoder": encoder, "reranker": reranker}
        made = settings_of(settings, url, embedding_dim, sparse_embeddings=sparse_embeddings)
        super().__init__(Access(index, made, Login(user, **self._secrets), encoder, reranker))

    def to_dict(self) -> dict[str, Any]:
        """What makes the same store again; secrets are the names of their environment variables.

        Raises:
            ValueError: a secret that was given as it is.
            SettingsError: a secret in the settings, or a model that was given as an object.
        """
        for name, model in self._models.items():
            if model is not None:
                what = f"the {name} was given as an object, which cannot be written"
                raise SettingsError(what, where=f"HybridDocumentStore({self.index!r})", remedy="Name it in settings")
        settings = told(self._settings, self.url)
        given: dict[str, Any] = {"url": self.url, **self._given, "settings": settings, **self._secrets}
        return default_to_dict(self, index=self.index, **given)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The store of what :meth:`to_dict` gave."""
        made: Self = default_from_dict(cls, data)
        return made


@component
class HybridRetriever:
    """Retrieves documents by the legs of a :class:`HybridDocumentStore`, fused, optionally reranked, and explained.

    An index that is not there holds nothing. One that this package made in another way, as by ``hybrid-search index``,
    is searched too, with filters on the fields that its settings declared.

    Args:
        document_store: the store.
        top_k: documents that are returned.
        filters: of every run.
        filter_policy: whether filters of a run replace these or are merged with them.
        legs: which search: ``bm25``, ``dense``, ``sparse``; None: those of the settings.
        fusion: the name of a method, or a :class:`~hybrid_search.search.Fusion` or its fields.
        rerank: False leaves reranking out; a :class:`~hybrid_search.search.Reranking` or its fields say how.
        passages: return the best passage of each document rather than the whole of it: its own id, its text, and
            ``source_id`` and ``split_idx_start`` in its metadata.
        return_embedding: whether documents come with their embeddings.
        search_options: other options of a search (:class:`~hybrid_search.search.request.SearchRequest`).

    Raises:
        QueryError: an option that no search has, or a wrong one.
    """

    def __init__(
        self,
        document_store: HybridDocumentStore,
        *,
        top_k: int = 10,
        filters: dict[str, Any] | None = None,
        filter_policy: FilterPolicy = FilterPolicy.REPLACE,
        legs: Sequence[str] | None = None,
        fusion: str | Fusion | Mapping[str, Any] | None = None,
        rerank: bool | Reranking | Mapping[str, Any] | None = None,
        passages: bool = False,
        return_embedding: bool = False,
        search_options: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(document_store, HybridDocumentStore):
            raise TypeError(f"document_store is a {type(document_store).__name__}: give a HybridDocumentStore")
        self.document_store = document_store
        self.top_k = top_k
        self.filters = filters
        self.filter_policy = filter_policy
        self.legs = None if legs is None else list(legs)
        self.fusion = fusion
        self.rerank = rerank
        self.passages = passages
        self.return_embedding = return_embedding
        self.search_options = dict(search_options or {})
        SearchRequest.of(top_k, **self._options()).check()

    def to_dict(self) -> dict[str, Any]:
        """What makes the same retriever again, its store included."""
        return default_to_dict(
            self,
            document_store=self.document_store,
            top_k=self.top_k,
            filters=self.filters,
            filter_policy=self.filter_policy.value,
            legs=self.legs,
            fusion=_fields(self.fusion),
            rerank=_fields(self.rerank),
            passages=self.passages,
            return_embedding=self.return_embedding,
            search_options=self.search_options,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> HybridRetriever:
        """The retriever of what :meth:`to_dict` gave."""
        given = dict(data.get("init_parameters", {}))
        if isinstance(given.get("filter_policy"), str):
            given["filter_policy"] = FilterPolicy.from_str(given["filter_policy"])
        made: HybridRetriever = default_from_dict(cls, {**data, "init_parameters": given})
        return made

    def warm_up(self) -> None:
        """Open the index and load its models, if it is there; the first run does it otherwise."""
        self.document_store.open()

    @component.output_types(documents=list[Document], provenance=list[dict[str, Any]], warnings=list[str])
    def run(
        self,
        query: str,
        query_embedding: list[float] | None = None,
        query_sparse_embedding: SparseEmbedding | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, Any]:
        """The best documents for a query.

        Args:
            query: its text.
            query_embedding: of an embedder, where the documents' embeddings are searched.
            query_sparse_embedding: the same of a sparse embedder.
            filters: see ``filter_policy``.
            top_k: instead of that of the retriever.

        Returns:
            ``documents`` with their scores; ``provenance``, of each its rank, passage, and rank and score by leg;
            ``warnings`` of what the answer lacks.

        Raises:
            FilterError: no filter of Haystack's, or one that the index cannot be filtered by.
            QueryError: a wrong query, or an embedding of another length.
            EngineError: the cluster cannot be reached, or refuses.
        """
        asked = Query(query, dense_vector(query_embedding), sparse_vector(query_sparse_embedding))
        wanted = apply_filter_policy(self.filter_policy, self.filters, filters)
        k = self.top_k if top_k is None else top_k
        result = self.document_store.search(asked, wanted, k, self._options())
        if result is None:
            return {"documents": [], "provenance": [], "warnings": []}
        found = self._documents(result)
        return {
            "documents": [found[hit.id] for hit in result.hits if hit.id in found],
            "provenance": [_provenance(hit) for hit in result.hits if hit.id in found],
            "warnings": [str(warning) for warning in result.warnings],
        }

    @component.output_types(documents=list[Document], provenance=list[dict[str, Any]], warnings=list[str])
    async def run_async(
        self,
        query: str,
        query_embedding: list[float] | None = None,
        query_sparse_embedding: SparseEmbedding | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, Any]:
        """The same in a thread: the event loop goes on meanwhile."""
        given = (query, query_embedding, query_sparse_embedding, filters, top_k)
        return await asyncio.to_thread(self.run, *given)

    def _options(self) -> dict[str, Any]:
        made = {"legs": self.legs, "fusion": _made(Fusion, self.fusion), "rerank": _made(Reranking, self.rerank)}
        return {**self.search_options, **{name: one for name, one in made.items() if one is not None}}

    def _documents(self, result: SearchResult) -> dict[str, Document]:
        """The documents of the hits by their ids; those of several passages are read whole, if they are still there."""
        if self.passages:
            found = {hit.id: passage_of(hit) for hit in result.hits}
        else:
            found = {hit.id: to_haystack(hit.id, hit.text, hit.fields) for hit in result.hits if is_whole(hit)}
            cut = [hit.id for hit in result.hits if hit.id not in found]
            found |= self.document_store.read(cut) if cut else {}
        scores = {hit.id: hit.score for hit in result.hits}
        kept: dict[str, Any] = {} if self.return_embedding else {"embedding": None, "sparse_embedding": None}
        return {id_: replace(one, score=scores[id_], **kept) for id_, one in found.items()}


def _fields(option: Any) -> Any:
    """An option as a file of a pipeline may hold it."""
    return asdict(option) if is_dataclass(option) and not isinstance(option, type) else option


def _made(kind: type[Any], option: Any) -> Any:
    """An option as a search takes it."""
    return kind(**option) if isinstance(option, Mapping) else option


def _provenance(hit: Hit) -> dict[str, Any]:
    """Why a hit stands where it does, in plain types; its text and fields are the document's."""
    told: dict[str, Any] = msgspec.to_builtins(hit, str_keys=True)
    return {name: value for name, value in told.items() if name not in {"text", "fields"}}
