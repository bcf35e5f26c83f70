"""The collections of a benchmark, each in an index of its own, searched and measured as a user's index is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace as with_
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.engine import Connection, connect
from hybrid_search.errors import EmptyTextError, QueryError, RecordError
from hybrid_search.evaluate.retrieval import search_in_full
from hybrid_search.evaluate.runs import falling
from hybrid_search.filters import In
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.maintain.remove import EVERYTHING
from hybrid_search.read.compose import compose
from hybrid_search.read.raw import RawRecord
from hybrid_search.read.settings_file import load_settings
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.settings import DocumentSettings, Settings

Scores = dict[str, dict[str, float]]
"""Scores by query id and document id, as the field's evaluators take them."""

DOCUMENTS = DocumentSettings(keyword=("id",))
"""How a row of a collection is read: ``_id``, ``title``, ``text``, and the id again, to filter on."""

RANKING = {
    "analyzer",
    "analyzers",
    "bm25_k1",
    "bm25_b",
    "dense_index",
    "sparse_index",
    "hnsw_m",
    "hnsw_ef_construction",
}
"""Settings of the engine that change what is found; the others say where it is, and are nobody else's business."""


class Collections:
    """Loads collections, and ranks their documents by the whole search.

    A collection's index is kept: what is unchanged is not encoded again, and what the collection has not any more is
    removed. Scores fall strictly from hit to hit, so that evaluators which order equal ones by id have the ranking.

    Args:
        index: what the names of the indices begin with; without ``load`` the index itself.
        url: the cluster, instead of that of ``settings``; without either, the local node.
        settings: models, analyzers, fusion, reranking; None takes the defaults and the environment.
        encoder: instead of the one that the settings name.
        reranker: instead of the one that the settings name.
        connection: an open one, which the caller closes, instead of a new one.
        load: False searches ``index`` as it is: it must hold the collection, by the same ids.

    Raises:
        ModelError: a model cannot be found, loaded or trusted.
        EngineError: the cluster cannot be reached.
    """

    def __init__(
        self,
        index: str,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
        reranker: Reranker | None = None,
        connection: Connection | None = None,
        load: bool = True,
    ) -> None:
        given = load_settings() if settings is None else settings
        self.settings = given if url is None else replace(given, engine=replace(given.engine, url=url))
        self.encoder = load_encoder(self.settings) if encoder is None else encoder
        self.reranker = load_reranker(self.settings, self.encoder) if reranker is None else reranker
        self._index, self._loads = index, load
        self._owns_connection = connection is None
        self._connection = connect(self.settings.engine) if connection is None else connection
        self._client: SearchClient | None = None

    @property
    def legs(self) -> tuple[str, ...]:
        """The legs that search, by name."""
        made = {"bm25": True, "dense": self.encoder.dense is not None, "sparse": self.encoder.sparse is not None}
        return tuple(leg for leg in self.settings.search.legs if made.get(leg))

    @property
    def revision(self) -> str:
        """16 hexadecimal digits that change with all that changes a ranking: settings, models, reranker."""
        kept: dict[str, Any] = msgspec.to_builtins(self.settings)
        kept["engine"] = {name: value for name, value in kept["engine"].items() if name in RANKING}
        kept["index"] = None if self._loads else self._index
        kept["models"] = [repr(with_(made, name="")) for made in (self.encoder.dense, self.encoder.sparse) if made]
        kept["reranker"] = None if self.reranker is None else self.reranker.name
        return hashlib.sha256(msgspec.json.encode(kept, order="deterministic")).hexdigest()[:16]

    def open(self, rows: Iterable[Mapping[str, Any]], name: str | None = None) -> str:
        """Load a collection, unless it is there, and search it from now on; gives the name of its index.

        Args:
            rows: ``id``, ``text`` and perhaps ``title``; one without any text is left out.
            name: of the collection, which the index has in its name; None where there is but one.

        Raises:
            RecordError: a row without an id, or with one that no engine takes.
            IndexMismatchError: the index was made with other models.
            EngineError: the cluster cannot be reached, or refuses.
        """
        self._leave()
        index = self._index if name is None or not self._loads else f"{self._index}-{_plain(name)}"
        if self._loads:
            source = name or "corpus"
            documents = compose(_records(rows, source), DOCUMENTS, source, _pass_over_empty)
            index_documents(
                documents,
                index,
                self._connection,
                self.encoder,
                replace(self.settings, documents=DOCUMENTS),
                source=source,
                sync=True,
                max_removed=EVERYTHING,
            )
        self._client = SearchClient(
            index,
            settings=self.settings,
            encoder=self.encoder,
            reranker=self.reranker,
            connection=self._connection,
        )
        return index

    def rank(self, queries: Mapping[str, str], k: int, among: Mapping[str, Sequence[str]] | None = None) -> Scores:
        """The best ``k`` documents for each query, of no more than the window of the settings.

        Args:
            queries: texts by id; one without text finds nothing.
            k: documents for each query.
            among: by query id, the documents that are ranked; the others are left out.

        Raises:
            QueryError: no collection is open, or ``among`` is asked of an index that is not loaded here.
            EngineError: a query was not answered in full.
        """
        if self._client is None:
            raise QueryError("no collection is open", remedy="Load one first: index its documents")
        window = self.settings.search.window
        if among is not None:
            window = max(window, *(len(ids) for ids in among.values()), 1)
        asked = [_query(id_, text, among) for id_, text in queries.items() if text.strip()]
        found = search_in_full(self._client, asked, min(k, window), window=window)
        ranked = {str(one.query.id): one.hits for one in found}
        return {id_: _scores(ranked.get(id_, ())) for id_ in queries}

    def close(self) -> None:
        """Close the connection, unless the caller gave it; the indices stay."""
        self._leave()
        if self._owns_connection:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _plain(name: str) -> str:
    """A name in the characters that both engines take; one that had others has a digest, so that no two are alike."""
    plain = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")


def _records(rows: Iterable[Mapping[str, Any]], name: str) -> Iterator[RawRecord]:
    for row in rows:
        values = {"_id": row["id"], "id": row["id"], "title": row.get("title") or "", "text": row.get("text") or ""}
        yield RawRecord(values, f"{name}:{row['id']}")


def _pass_over_empty(error: RecordError, _data: bytes) -> None:
    """A document without text can be found by nobody; collections have some."""
    if not isinstance(error, EmptyTextError):
        raise error


def _query(id_: str, text: str, among: Mapping[str, Sequence[str]] | None) -> Query:
    return Query(text, id=id_, filter=None if among is None else In("id", tuple(among.get(id_, ()))))


def _scores(hits: Sequence[Any]) -> dict[str, float]:
    """The scores as evaluators take them, each below the one before."""
    return dict(zip((hit.id for hit in hits), map(float, falling([hit.score for hit in hits])), strict=True))
