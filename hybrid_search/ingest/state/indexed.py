"""What an index holds of given documents, and which documents it holds at all, as of its last refresh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import count
from hybrid_search.engine.layout import CONTENT_HASH, DOC_ID, LOAD, PASSAGE, PASSAGES, SOURCE
from hybrid_search.engine.protocols import Request

PAGE = 1000
"""Ids per page of :func:`document_ids`."""


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """What an index holds of one document.

    Attributes:
        passages: how many there are.
        highest: the highest passage number.
        digests: their content hashes, at most two of them.
        expected: how many there should be, as they say themselves; None where release 0.1 wrote them.
        sources: the sources that they say they are from, at most two; none where release 0.1 wrote them.
        load: the highest number of a load that wrote one of them.
    """

    passages: int
    highest: int
    digests: frozenset[str]
    expected: int | None = None
    sources: frozenset[str] = frozenset()
    load: int = 0

    def is_whole(self, digest: str) -> bool:
        """Whether all its passages are there and of the content with this hash, as far as they can tell.

        Without ``expected`` the last passages may be missing: only a gap shows.
        """
        expected = self.highest + 1 if self.expected is None else self.expected
        return self.digests == {digest} and self.passages == self.highest + 1 == expected


def indexed_documents(connection: Connection, index: str, ids: Sequence[str]) -> dict[str, IndexedDocument]:
    """Those of ``ids`` (at most 10,000) that the index holds."""
    if not ids:
        return {}
    passages = {
        "highest": {"max": {"field": PASSAGE}},
        "expected": {"max": {"field": PASSAGES}},
        "digests": {"terms": {"field": CONTENT_HASH, "size": 2}},
        "sources": {"terms": {"field": SOURCE, "size": 2}},
        "load": {"max": {"field": LOAD}},
    }
    body = {
        "size": 0,
        "query": {"terms": {DOC_ID: list(ids)}},
        "aggs": {"documents": {"terms": {"field": DOC_ID, "size": len(ids)}, "aggs": passages}},
    }
    answer = connection.send(Request.json("POST", _search(index), body))
    return {bucket["key"]: _indexed(bucket) for bucket in answer["aggregations"]["documents"]["buckets"]}


def document_ids(connection: Connection, index: str, query: Mapping[str, Any] | None = None) -> Iterator[str]:
    """The ids of the documents of an index that match a query of the engine (None: all), ascending, page by page."""
    source: dict[str, Any] = {"size": PAGE, "sources": [{"id": {"terms": {"field": DOC_ID}}}]}
    matching = {} if query is None else {"query": query}
    while True:
        body = {"size": 0, **matching, "aggs": {"ids": {"composite": source}}}
        found = connection.send(Request.json("POST", _search(index), body))["aggregations"]["ids"]
        yield from (bucket["key"]["id"] for bucket in found["buckets"])
        if "after_key" not in found:
            return
        source = {**source, "after": found["after_key"]}


def _indexed(bucket: dict[str, Any]) -> IndexedDocument:
    expected = bucket["expected"]["value"]
    return IndexedDocument(
        passages=bucket["doc_count"],
        highest=int(bucket["highest"]["value"]),
        digests=_keys(bucket["digests"]),
        expected=None if expected is None else int(expected),
        sources=_keys(bucket["sources"]),
        load=int(bucket["load"]["value"] or 0),
    )


def _keys(terms: dict[str, Any]) -> frozenset[str]:
    return frozenset(bucket["key"] for bucket in terms["buckets"])


def _search(index: str) -> str:
    return f"/{quote(index, safe='')}/_search"


def document_count(connection: Connection, index: str, source: str | None = None) -> int:
    """How many documents there are, by their first passages; those of one source where it is given."""
    first: list[dict[str, Any]] = [{"term": {PASSAGE: 0}}]
    if source is not None:
        first.append({"term": {SOURCE: source}})
    return count(connection, index, {"bool": {"filter": first}})
