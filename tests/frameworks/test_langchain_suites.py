"""LangChain's own suites for stores, retrievers and document indices, as they are, on both engines."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests
from langchain_tests.integration_tests.indexer import AsyncDocumentIndexTestSuite, DocumentIndexerTestSuite

from hybrid_search.frameworks.langchain import HybridDocumentIndex, HybridRetriever, HybridVectorStore
from hybrid_search.settings import Settings

EMBEDDINGS = VectorStoreIntegrationTests.get_embeddings()
"""The suite's own: six numbers drawn by the hash of a text."""


@pytest.fixture
def store(engine_url, index_name):
    """A store without an index."""
    with HybridVectorStore(index_name(), EMBEDDINGS, url=engine_url, settings=Settings()) as empty:
        yield empty


class TestVectorStore(VectorStoreIntegrationTests):
    """24 tests, synchronous and asynchronous, and the guard against overriding them."""

    @pytest.fixture
    def vectorstore(self, store) -> HybridVectorStore:
        return store


class TestRetriever(RetrieversIntegrationTests):
    """k by constructor and by call, and what comes back."""

    @pytest.fixture(autouse=True)
    def filled(self, store) -> None:
        texts = ["bread keeps in a paper bag", "bread goes stale in the fridge", "toast is bread", "tea is a leaf"]
        store.add_documents([Document(page_content=text) for text in texts])
        self.store = store

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return HybridRetriever

    @property
    def retriever_constructor_params(self) -> dict:
        return {"store": self.store}

    @property
    def retriever_query_example(self) -> str:
        return "how does bread keep?"


@pytest.fixture
def document_index(store) -> HybridDocumentIndex:
    """A document index without an index; LangChain calls the interface a beta."""
    return HybridDocumentIndex(store=store)


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
class TestDocumentIndex(DocumentIndexerTestSuite):
    """11 tests."""

    @pytest.fixture
    def index(self, document_index) -> HybridDocumentIndex:
        return document_index


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
class TestAsyncDocumentIndex(AsyncDocumentIndexTestSuite):
    """The same 11, awaited."""

    @pytest.fixture
    def index(self, document_index) -> HybridDocumentIndex:
        return document_index
