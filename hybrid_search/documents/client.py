"""The documents of one index by their ids, whatever passages they are stored as."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

import msgspec

from hybrid_search.documents.putting import Putting, batches, merged
from hybrid_search.documents.reading import Reading
from hybrid_search.documents.values import values_of
from hybrid_search.encode import load_encoder
from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import Connection, connect
from hybrid_search.engine.indices import OpenedIndex, open_index
from hybrid_search.engine.layout import DOC_ID, SOURCE
from hybrid_search.errors import IndexMissingError, InputError, QueryError
from hybrid_search.filters import Filter, clause, parse, passes_all
from hybrid_search.ingest.maintain.remove import delete_documents, delete_where
from hybrid_search.ingest.pipeline import PROGRAM
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.state.indexed import document_count
from hybrid_search.read.settings_file import load_settings
from hybrid_search.records import Document, IndexSchema
from hybrid_search.search.searcher import with_models_of
from hybrid_search.settings import Settings

EVERY: Mapping[str, Any] = {"exists": {"field": DOC_ID}}
"""Matches each passage, and not what an index remembers of its loads."""


class DocumentClient:
    """Documents of one index by their ids: put, get, find, count, delete. An index that is not there holds nothing.

    Safe to share between threads, and a context manager. What is put or deleted through a client is found, or gone, for
    every search once the call returns. Filters are those of searches, as objects or as text
    (:mod:`hybrid_search.filters`).

    Args:
        index: an index, or an alias of one; it is made when the first document is put.
        url: the cluster, instead of that of ``settings``; without either, the local node.
        settings: models, chunking, fields to filter on and engine; None takes the defaults and the environment. A model
            that is left at its default is the one that made the index.
        encoder: instead of the one that the settings name, which is loaded for the first document that is put.
        connection: an open one, which the caller closes, instead of a new one.
        source: the source of what is put; documents that another source has loaded are not overwritten.

    Raises:
        SettingsError: a setting is wrong.
        EngineError: the cluster cannot be reached, or refuses.
    """

    def __init__(
        self,
        index: str,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
        connection: Connection | None = None,
        source: str = PROGRAM,
    ) -> None:
        self._index = index
        self._settings = load_settings() if settings is None else settings
        engine = self._settings.engine
        self._owns_connection = connection is None
        if connection is None:
            connection = connect(engine if url is None else msgspec.structs.replace(engine, url=url))
        self._connection = connection
        self._given = encoder
        self._source = source
        self._loaded: tuple[Settings, TextEncoder] | None = None
        self._writing = threading.Lock()

    def put(self, documents: Iterable[Document]) -> IngestReport:
        """Put documents into the index; each takes the place of the one with its id, also of one put just before.

        Texts come back in Unicode's composed form (NFC), and fields as JSON has them.

        Args:
            documents: iterated once. Those that carry vectors are not encoded, and are one passage.

        Returns:
            What became of them; those that the index holds already are not sent again.

        Raises:
            RecordError: a document that no index can hold; those before it are in the index.
            IndexMismatchError: the index was made with other models or settings.
            IngestError: the engine refused documents, the first is named; or an id belongs to another source.
            EngineError: the cluster cannot be reached, or refuses.
        """
        reports = []
        for batch in batches(documents):
            with self._writing:
                encoder, settings = self._models()
                putting = Putting(self._connection, self._index, encoder, settings, self._source)
                reports.append(putting.put(batch))
        return merged(reports, self._index)

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Document]:
        """The documents with these ids, in their order; those that are not there are left out.

        Args:
            ids: of documents; one that is given twice comes once.
            vectors: whether documents of one passage come with the vectors that the index has of it.

        Raises:
            InputError: one text in the place of a list.
            IndexMismatchError: the index was not made by this package.
            EngineError: the cluster cannot be reached, or refuses.
        """
        _check_listed(ids)
        reading = self._reading(vectors=vectors)
        return [] if reading is None else reading.by_ids(ids)

    def find(
        self, filter: Filter | str | None = None, *, limit: int | None = None, vectors: bool = False
    ) -> Iterator[Document]:
        """The documents that pass a filter (None: all) at this moment, by ascending id; read as they are asked for.

        Args:
            filter: what must hold.
            limit: how many at most.
            vectors: as :meth:`get` has them.

        Raises:
            QueryError: a field that the index cannot filter on, a value of another type, or a limit below 0.
            IndexMismatchError: the index was not made by this package.
            EngineError: the cluster cannot be reached, or refuses; also while documents are asked for.
        """
        if limit is not None and limit < 0:
            raise QueryError(f"a limit of {limit}", where="find", remedy="Give a number from 0, or None for all")
        reading = self._reading(vectors=vectors)
        return iter(()) if reading is None else reading.matching(query_of(filter, reading.opened), limit)

    def count(self, filter: Filter | str | None = None) -> int:
        """How many documents pass a filter (None: all); raises as :meth:`find` does."""
        opened = self._opened()
        if opened is None:
            return 0
        try:
            return document_count(self._connection, self._index, shown=query_of(filter, opened))
        except IndexMissingError:
            return 0

    def values(
        self,
        field: str,
        filter: Filter | str | None = None,
        *,
        beginning: str = "",
        descending: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[str, int]]:
        """The values of a keyword field, each once and in order, with how many documents have it.

        Args:
            field: the user's name.
            filter: which documents' values; None: all.
            beginning: what the values begin with.
            descending: the last values first.
            limit: how many at most.

        Raises:
            QueryError: no keyword field of the index; or as :meth:`find` does.
            EngineError: the cluster cannot be reached, or refuses; also while values are asked for.
        """
        opened = self._opened()
        if opened is None:
            return iter(())
        query = query_of(filter, opened)
        listed = partial(values_of, self._connection, self._index, opened, field, query)
        return listed(beginning=beginning, descending=descending, limit=limit)

    def schema(self) -> IndexSchema | None:
        """What the index holds: its models and the fields that are filtered on; None where there is no index."""
        opened = self._opened()
        return None if opened is None else opened.schema

    def delete(self, ids: Sequence[str]) -> int:
        """Delete the documents with these ids; how many were there, whoever put them.

        Raises:
            InputError: one text in the place of a list.
            IngestError: the engine refuses to delete one of them.
            EngineError: the cluster cannot be reached, or refuses.
        """
        _check_listed(ids)
        deleted = Tally()
        if ids and self._opened() is not None:
            with self._writing, suppress(IndexMissingError):
                delete_documents(self._connection, self._index, ids, deleted=deleted.add)
        return deleted.documents

    def delete_where(self, filter: Filter | str | None, *, own: bool = False) -> int:
        """Delete the documents that pass a filter (None: all); how many they were.

        Args:
            filter: what must hold.
            own: delete only what was put under the ``source`` of this client, and leave what others have loaded.

        Raises:
            QueryError: also a filter of which no condition is left, such as ``And(())``: it would delete all.
            IngestError: the engine refuses to delete one of them.
            EngineError: the cluster cannot be reached, or refuses.
        """
        deleted = Tally()
        opened = self._opened()
        if opened is not None:
            query = query_of(filter, opened)
            _check_chosen(filter)
            if own:
                query = {"bool": {"filter": [query, {"term": {SOURCE: self._source}}]}}
            with self._writing, suppress(IndexMissingError):
                delete_where(self._connection, self._index, query, deleted=deleted.add)
        return deleted.documents

    def close(self) -> None:
        """Close the connection, unless the caller gave it."""
        if self._owns_connection:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> OpenedIndex | None:
        try:
            return open_index(self._connection, self._index)
        except IndexMissingError:
            return None

    def _reading(self, *, vectors: bool) -> Reading | None:
        opened = self._opened()
        return None if opened is None else Reading(self._connection, self._index, opened, vectors)

    def _models(self) -> tuple[TextEncoder, Settings]:
        """The encoder, and the settings that lead to it: those of the index where the caller's say nothing."""
        settings = self._settings
        if self._given is not None:
            return self._given, settings
        opened = self._opened()
        if opened is not None:
            settings = with_models_of(opened, settings)
        if self._loaded is None or self._loaded[0] != settings:
            self._loaded = settings, load_encoder(settings)
        return self._loaded[1], settings


class Tally:
    """Counts documents by the first passages that were deleted; several threads add to it."""

    def __init__(self) -> None:
        self.documents = 0
        self._lock = threading.Lock()

    def add(self, passage_id: str) -> None:
        """One more passage is deleted."""
        if passage_id.endswith("#0"):
            with self._lock:
                self.documents += 1


def _check_listed(ids: Sequence[str]) -> None:
    """Refuse a text: its letters would be taken for ids."""
    if isinstance(ids, str | bytes):
        raise InputError(f"the ids are one text, {ids!r:.60}", remedy=f"Give a list: [{ids!r:.60}]")


def _check_chosen(filter: Filter | str | None) -> None:
    """Refuse to delete what nobody chose: programs put filters together, and sometimes of nothing."""
    if isinstance(filter, Filter) and passes_all(filter):
        what = "the filter has no condition: every document passes it"
        raise QueryError(what, remedy="Give it one; to delete all documents, give None")


def query_of(filter: Filter | str | None, opened: OpenedIndex) -> dict[str, Any]:
    """A filter as a query of the engine.

    Raises:
        QueryError: the index cannot be filtered so.
    """
    if filter is None:
        return dict(EVERY)
    matching = parse(unicodedata.normalize("NFC", filter)) if isinstance(filter, str) else filter
    return {"bool": {"filter": [clause(matching, opened.schema, now=time.time_ns() // 1_000_000), EVERY]}}
