"""The documents of a Haystack document store: written, filtered, counted, changed, deleted and searched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from haystack.dataclasses import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError

from hybrid_search.documents import DocumentClient
from hybrid_search.engine.indices import delete_index
from hybrid_search.errors import IndexMismatchError, IndexMissingError, QueryError
from hybrid_search.filters import Filter, clause
from hybrid_search.frameworks.haystack_documents import Legs, place_of, to_haystack, to_ours
from hybrid_search.frameworks.haystack_filters import TERMS, translated
from hybrid_search.frameworks.haystack_opening import PRECOMPUTED, Access
from hybrid_search.records import IndexSchema, Query, SearchResult

TOGETHER = 500
"""Documents that are read, or changed, together."""

WITH_CONTENT = {"field": "content", "operator": "!=", "value": None}
"""A model makes a vector of the sign that stands for no text; with vectors of their own, such documents are found."""

Filters = Mapping[str, Any]
T = TypeVar("T")


class StoredDocuments:
    """What :class:`~hybrid_search.frameworks.haystack.HybridDocumentStore` does with documents."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._is_own = False

    def count_documents(self) -> int:
        """How many documents there are; none where there is no index."""
        return self._access.documents.count()

    def count_documents_by_filter(self, filters: Filters) -> int:
        """How many documents pass the filters."""
        return self._filtered(filters, lambda client, wanted: client.count(wanted))

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """The documents that pass the filters, in the order in which they were written.

        Raises:
            FilterError: no filter of Haystack's, or a field that the index cannot be filtered by.
        """
        found = self._filtered(filters, lambda client, wanted: list(client.find(wanted)))
        found.sort(key=lambda one: place_of(one.fields))
        return [to_haystack(one.id, one.text, one.fields) for one in found]

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Write documents; they are found once the call returns.

        Args:
            documents: any number.
            policy: what becomes of one whose id is there: ``OVERWRITE`` takes its place, ``SKIP`` leaves it as it is,
                ``FAIL``, which ``NONE`` is too, writes nothing at all. The same holds for two of one id among them.

        Returns:
            How many were written.

        Raises:
            ValueError: no list of documents.
            DuplicateDocumentError: an id that is there, or comes twice.
            IndexMismatchError: the index was not made by a store; or with other models or embeddings.
            RecordError: an embedding of another length, or metadata of a type that cannot be written.
            EngineError: the cluster cannot be reached, or refuses.
        """
        if isinstance(documents, str | Mapping) or not isinstance(documents, Iterable):
            raise ValueError(  # noqa: TRY004  # as Haystack's suite asks
                f"documents is a {type(documents).__name__}: give a list of haystack Documents"
            )
        given = list(documents)
        if others := {type(one).__name__ for one in given if not isinstance(one, Document)}:
            raise ValueError(f"a {min(others)} among the documents: give haystack Documents")
        schema = self._own_schema()
        places = {} if schema is None else self._places([one.id for one in given])
        chosen = given if policy is DuplicatePolicy.OVERWRITE else self._new(given, places, policy)
        self._put(chosen, places, self._legs(schema))
        return len(chosen)

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Put metadata into the documents that pass the filters, beside what they have; how many they are."""
        _check_chosen(filters, "update_by_filter")
        if not isinstance(meta, Mapping):
            raise TypeError(f"meta is a {type(meta).__name__}: give a dictionary")
        legs = self._legs(self._own_schema())
        return self._filtered(filters, lambda client, wanted: self._updated(client, wanted, meta, legs))

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete documents; ids that are not there are passed over."""
        if self._own_schema() is not None:
            self._access.documents.delete(document_ids)

    def delete_by_filter(self, filters: Filters) -> int:
        """Delete the documents that pass the filters; how many they were."""
        _check_chosen(filters, "delete_by_filter")
        self._own_schema()
        return self._filtered(filters, lambda client, wanted: client.delete_where(wanted))

    def delete_all_documents(self, recreate_index: bool = False) -> None:
        """Delete all documents; with ``recreate_index`` the index too, which the next documents make anew."""
        if self._own_schema() is None:
            return
        if not recreate_index:
            self._access.documents.delete_where(None)
        else:
            delete_index(self._access.connection, self._access.index)
            self._access.forget()
            self._is_own = False

    def close(self) -> None:
        """Close the connection; it is opened again where the store is used afterwards."""
        self._access.close()

    def search(self, query: Query, filters: Filters | None, k: int, options: Mapping[str, Any]) -> SearchResult | None:
        """What a query finds among the documents that pass the filters; None where there is no index.

        Args:
            query: without a filter.
            filters: of Haystack.
            k: hits.
            options: of a search (:class:`~hybrid_search.search.request.SearchRequest`).
        """
        try:
            client = self._access.search
        except IndexMissingError:
            return None
        schema = client.searcher.target.schema
        is_own = TERMS in schema.keyword_fields
        has_words = None if not is_own or self._legs(schema).dense else WITH_CONTENT
        conditions = [one for one in (filters, has_words) if one]
        wanted = {"operator": "AND", "conditions": conditions} if conditions else None
        passing = translated(wanted, declared=not is_own)
        if passing is not None:
            with _told_as_filter_error():
                clause(passing, schema)
        return client.search(replace(query, filter=passing), k, **options)

    def open(self) -> None:
        """Open the index and load the models of its searches, if it is there."""
        with suppress(IndexMissingError):
            _ = self._access.search

    def read(self, ids: Sequence[str]) -> dict[str, Document]:
        """The documents with these ids, by id; those that are not there are left out."""
        found = self._access.documents.get(ids)
        return {one.id: to_haystack(one.id, one.text, one.fields) for one in found}

    def _filtered(self, filters: Filters | None, use: Callable[[DocumentClient, Filter | None], T]) -> T:
        """What comes of the documents that pass the filters."""
        client = self._access.documents
        with _told_as_filter_error():
            return use(client, translated(filters, declared=not self._holds_own()))

    def _holds_own(self) -> bool:
        """Whether the documents of the index are those of a store, or will be."""
        if not self._is_own:
            schema = self._access.documents.schema()
            if schema is None:
                return True
            self._is_own = TERMS in schema.keyword_fields
        return self._is_own

    def _own_schema(self) -> IndexSchema | None:
        """What the index holds that a store has made; None where there is no index.

        Raises:
            IndexMismatchError: it was made in another way, and is not changed here.
        """
        schema = self._access.documents.schema()
        if schema is not None and TERMS not in schema.keyword_fields:
            raise IndexMismatchError(
                f"the index has another layout: it was not made by HybridDocumentStore, whose field {TERMS} it lacks",
                where=self._access.index,
                remedy="Write into a new index; HybridRetriever searches this one as it is",
            )
        return schema

    def _places(self, ids: Sequence[str]) -> dict[str, int]:
        """The places in the order of writing of the documents that are there: what is written again keeps its own."""
        client = self._access.documents
        pages = (client.get(ids[begin : begin + TOGETHER]) for begin in range(0, len(ids), TOGETHER))
        return {one.id: place_of(one.fields) for page in pages for one in page}

    def _new(self, documents: Iterable[Document], there: Mapping[str, int], policy: DuplicatePolicy) -> list[Document]:
        """The first document of each id that is not there."""
        chosen: dict[str, Document] = {}
        for document in documents:
            if document.id not in there and document.id not in chosen:
                chosen[document.id] = document
            elif policy is not DuplicatePolicy.SKIP:
                raise DuplicateDocumentError(f"ID '{document.id}' already exists; nothing was written")
        return [*chosen.values()]

    def _put(self, documents: Iterable[Document], places: Mapping[str, int], legs: Legs) -> None:
        numbered = enumerate(documents, time.time_ns())
        self._access.documents.put(to_ours(one, legs, places.get(one.id, place)) for place, one in numbered)

    def _legs(self, schema: IndexSchema | None) -> Legs:
        """Which vectors of documents an index searches; of one that is to be made, those of the settings."""
        if schema is None:
            settings = self._access.settings
            return Legs(settings.dense.model == PRECOMPUTED, settings.sparse.model == PRECOMPUTED)
        return Legs(*(one is not None and one.kind == PRECOMPUTED for one in (schema.dense, schema.sparse)))

    def _updated(self, client: DocumentClient, wanted: Filter | None, meta: Mapping[str, Any], legs: Legs) -> int:
        found, updated = client.find(wanted), 0
        while page := list(islice(found, TOGETHER)):
            documents = [to_haystack(one.id, one.text, one.fields) for one in page]
            changed = [replace(one, meta={**one.meta, **meta}) for one in documents]
            self._put(changed, {one.id: place_of(one.fields) for one in page}, legs)
            updated += len(page)
        return updated


def _check_chosen(filters: Filters | None, method: str) -> None:
    if not filters:
        raise FilterError(f"{method} needs a filter; delete_all_documents() deletes all documents")


@contextmanager
def _told_as_filter_error() -> Iterator[None]:
    """Raise what an index cannot be filtered by as Haystack's error."""
    try:
        yield
    except QueryError as error:
        raise FilterError(str(error)) from error
