"""Haystack's own suites for document stores, on both engines: every class, nothing overridden but what a store must."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from haystack.dataclasses import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.testing import document_store as suite
from haystack.testing import document_store_async as async_suite

from hybrid_search.frameworks.haystack import HybridDocumentStore


@pytest.fixture
def document_store(engine_url: str, index_name: Callable[[], str]) -> Iterator[HybridDocumentStore]:
    """A store without documents, for the embeddings of the suites."""
    store = HybridDocumentStore(index_name(), url=engine_url, embedding_dim=768)
    yield store
    store.close()


class TestHybridDocumentStore(
    suite.DocumentStoreBaseExtendedTests,
    suite.CountDocumentsByFilterTest,
    suite.CountUniqueMetadataByFilterTest,
    suite.GetMetadataFieldsInfoTest,
    suite.GetMetadataFieldMinMaxTest,
    suite.GetMetadataFieldUniqueValuesTest,
):
    """Every mixin that there is."""

    @pytest.fixture
    def document_store(self, document_store: HybridDocumentStore) -> HybridDocumentStore:
        return document_store

    def test_write_documents(self, document_store: HybridDocumentStore) -> None:
        """Without a policy an id that is there is refused and nothing written: the suite leaves this to stores."""
        first, second = Document(id="a", content="one"), Document(id="b", content="two")
        assert document_store.write_documents([first]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([second, first])
        assert document_store.filter_documents() == [first]


class TestHybridDocumentStoreAsync(
    async_suite.CountDocumentsAsyncTest,
    async_suite.CountDocumentsByFilterAsyncTest,
    async_suite.CountUniqueMetadataByFilterAsyncTest,
    async_suite.DeleteAllAsyncTest,
    async_suite.DeleteByFilterAsyncTest,
    async_suite.DeleteDocumentsAsyncTest,
    async_suite.FilterDocumentsAsyncTest,
    async_suite.GetMetadataFieldMinMaxAsyncTest,
    async_suite.GetMetadataFieldsInfoAsyncTest,
    async_suite.GetMetadataFieldUniqueValuesAsyncTest,
    async_suite.UpdateByFilterAsyncTest,
    async_suite.WriteDocumentsAsyncTest,
):
    """Every class that there is."""

    async def test_write_documents_async(self, document_store: HybridDocumentStore) -> None:
        """As the synchronous one."""
        first, second = Document(id="a", content="one"), Document(id="b", content="two")
        assert await document_store.write_documents_async([first]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([second, first])
        assert await document_store.filter_documents_async() == [first]


@pytest.mark.parametrize(
    ("module", "tested"), [(suite, TestHybridDocumentStore), (async_suite, TestHybridDocumentStoreAsync)]
)
def test_no_class_of_the_suites_is_left_out(module: object, tested: type) -> None:
    """A class that a later Haystack adds is missed here."""
    classes = {one for name, one in vars(module).items() if isinstance(one, type) and name.endswith("Test")}
    assert classes
    assert all(issubclass(tested, one) for one in classes)
