"""What an index holds of given documents, and which documents it holds at all, as of its last refresh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.layout import CONTENT_HASH, DOC_ID, PASSAGE
from hybrid_search.engine.protocols import Request

PAGE = 1000
"""Ids per page of :func:`document_ids`."""


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """One document of an index: how many passages, the highest passage number, and their content hashes (at most 2)."""

    passages: int
    highest: int
    digests: frozenset[str]

    def is_whole(self, digest: str) -> bool:
        """Whether all its passages, without a gap, are of the content with this hash."""
        return self.digests == {digest} and self.passages == self.highest + 1


def indexed_documents(connection: Connection, index: str, ids: Sequence[str]) -> dict[str, IndexedDocument]:
    """Those of ``ids`` (at most 10,000) that the index holds."""
    if not ids:
        return {}
    passages = {
        "highest": {"max": {"field": PASSAGE}},
        "digests": {"terms": {"field": CONTENT_HASH, "size": 2}},
    }
    body = {
        "size": 0,
        "query": {"terms": {DOC_ID: list(ids)}},
        "aggs": {"documents": {"terms": {"field": DOC_ID, "size": len(ids)}, "aggs": passages}},
    }
    answer = connection.send(Request.json("POST", _search(index), body))
    return {bucket["key"]: _indexed(bucket) for bucket in answer["aggregations"]["documents"]["buckets"]}


def document_ids(connection: Connection, index: str) -> Iterator[str]:
    """The ids of all documents of an index, ascending, a page at a time."""
    source: dict[str, Any] = {"size": PAGE, "sources": [{"id": {"terms": {"field": DOC_ID}}}]}
    while True:
        body = {"size": 0, "aggs": {"ids": {"composite": source}}}
        found = connection.send(Request.json("POST", _search(index), body))["aggregations"]["ids"]
        yield from (bucket["key"]["id"] for bucket in found["buckets"])
        if "after_key" not in found:
            return
        source = {**source, "after": found["after_key"]}


def _indexed(bucket: dict[str, Any]) -> IndexedDocument:
    digests = frozenset(inner["key"] for inner in bucket["digests"]["buckets"])
    return IndexedDocument(bucket["doc_count"], int(bucket["highest"]["value"]), digests)


def _search(index: str) -> str:
    return f"/{quote(index, safe='')}/_search"
