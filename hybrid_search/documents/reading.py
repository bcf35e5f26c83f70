"""Reading whole documents of an index: by their ids, or all that match, at one moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote

from hybrid_search.documents.restored import READ_FIRST, Restored, Stored, read_of, restored_of
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.foreign import whole_source
from hybrid_search.engine.indices import OpenedIndex, refresh
from hybrid_search.engine.layout import DOC_ID, PASSAGE
from hybrid_search.engine.point_in_time import point_in_time
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMissingError
from hybrid_search.records import Document

PAGE = 200
"""Passages that are read at once: of a megabyte each they are still less than an answer may have."""

IDS = 1_000
"""Documents that are asked for at once."""

LOOKS = 6
"""How often a document is read again that is written at this moment."""

FIRST_WAIT = 0.02
"""Seconds before it is read again, twice as many each time."""


class Reading:
    """Reads documents of an index that was opened; an index that has gone since holds none."""

    def __init__(self, connection: Connection, index: str, opened: OpenedIndex, vectors: bool) -> None:
        self._connection = connection
        self._index = index
        self.opened = opened
        self._vectors = vectors

    def by_ids(self, ids: Sequence[str]) -> list[Document]:
        """The documents with these ids, in their order."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Document] = {}
        for begin in range(0, len(wanted), IDS):
            found |= self._settled(wanted[begin : begin + IDS])
        return [found[id_] for id_ in wanted if id_ in found]

    def matching(self, query: Mapping[str, Any], limit: int | None) -> Iterator[Document]:
        """The first documents by ascending id whose passages match a query of the engine."""
        try:
            for one in islice(self._restored_at_once(query), limit):
                if one.is_whole:
                    yield one.document
                else:
                    yield from self._settled([one.document.id]).values()
        except IndexMissingError:
            return

    def _settled(self, ids: Sequence[str]) -> dict[str, Document]:
        """Documents by id; what is being written is looked at until it is whole, or as it is then."""
        found: dict[str, Document] = {}
        pending, wait = list(ids), FIRST_WAIT
        try:
            for look in range(LOOKS):
                if look:
                    time.sleep(wait)
                    wait *= 2
                    refresh(self._connection, self._index)
                read = list(self._restored({"terms": {DOC_ID: pending}}))
                for id_ in pending:
                    found.pop(id_, None)
                found |= {one.document.id: one.document for one in read}
                pending = [one.document.id for one in read if not one.is_whole]
                if not pending:
                    break
        except IndexMissingError:
            return {}
        return found

    def _restored(self, query: Mapping[str, Any]) -> Iterator[Restored]:
        """Of one page where that holds all, else of a moment: passages of one document are in several shards."""
        body = self._body(query)
        answer = self._connection.send(Request.json("POST", f"/{quote(self._index, safe='')}/_search", body))
        hits = answer["hits"]["hits"]
        if len(hits) < PAGE:
            return restored_of(_sources(hits), self.opened.schema, vectors=self._vectors)
        return self._restored_at_once(query)

    def _restored_at_once(self, query: Mapping[str, Any]) -> Iterator[Restored]:
        with point_in_time(self._connection, self._index) as point:
            pages = point.pages(self._body(query))
            passages = (passage for hits in pages for passage in _sources(hits))
            yield from restored_of(passages, self.opened.schema, vectors=self._vectors)

    def _body(self, query: Mapping[str, Any]) -> dict[str, Any]:
        names = read_of(self.opened.schema, vectors=self._vectors)
        return {
            "size": PAGE,
            "query": query,
            "sort": [{DOC_ID: "asc"}, {PASSAGE: "asc"}],
            "_source": whole_source(self._connection.dialect, names),
        }


def _sources(hits: Iterable[Mapping[str, Any]]) -> Iterator[Stored]:
    """The stored passages; not what another program has written into the index."""
    return (source for hit in hits if all(name in (source := hit["_source"]) for name in READ_FIRST))
