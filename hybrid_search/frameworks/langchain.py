"""LangChain's vector store, retriever, document index and document compressor over one index.

    store = HybridVectorStore("articles", OpenAIEmbeddings(), url="https://search.example:9200")
    store.add_documents(documents)
    store.similarity_search("how do I keep bread fresh?", k=4, filter={"year": {"$gte": 2020}})
    retriever = HybridRetriever(store=store, k=4)

Searches are hybrid: BM25 beside the vectors of the embeddings, or beside the package's own models where no embeddings
are given. Keyword arguments beyond LangChain's own are options of a search
(:class:`~hybrid_search.search.request.SearchRequest`): ``legs``, ``fusion``, ``rerank``, ``boosts`` ...
"""

from __future__ import annotations

from hybrid_search.frameworks import need

need("langchain")

from hybrid_search.frameworks.langchain_retrieval import (  # noqa: E402  # LangChain is looked at before it is imported
    HybridDocumentIndex,
    HybridReranker,
    HybridRetriever,
)
from hybrid_search.frameworks.langchain_store import HybridVectorStore  # noqa: E402

__all__ = ["HybridDocumentIndex", "HybridReranker", "HybridRetriever", "HybridVectorStore"]
