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

PAGE = 10_000
"""Ids per page of :func:`document_ids`; for each page the engine looks at every passage that matches."""

_SAID: list[dict[str, Any]] = [
    {DOC_ID: {"terms": {"field": DOC_ID}}},
    *({field: {"terms": {"field": field, "missing_bucket": True}}} for field in (CONTENT_HASH, SOURCE, PASSAGES, LOAD)),
]
"""What passages say of their document; those of release 0.1 say less."""


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """What an index holds of one document.

    Attributes:
        passages: how many there are.
        highest: the highest passage number.
        digests: their content hashes.
        expected: how many there should be, as they say themselves; None where release 0.1 wrote them.
        sources: the sources that they say they are from; none where release 0.1 wrote them.
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
    held: dict[str, list[dict[str, Any]]] = {}
    for bucket in _versions(connection, index, ids):
        held.setdefault(bucket["key"][DOC_ID], []).append(bucket)
    return {id_: _indexed(buckets) for id_, buckets in held.items()}


def _versions(connection: Connection, index: str, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A bucket for all passages of a document that say the same: of a whole document there is one.

    One flat composite costs the engine a fraction of a tree of aggregations under each document.
    """
    size = len(ids) + 1
    composite: dict[str, Any] = {"size": size, "sources": _SAID}
    while True:
        body = {
            "size": 0,
            "track_total_hits": False,
            "query": {"terms": {DOC_ID: list(ids)}},
            "aggs": {"versions": {"composite": composite, "aggs": {"highest": {"max": {"field": PASSAGE}}}}},
        }
        request = Request.json("POST", _search(index), body, request_cache="false")
        found = connection.send(request)["aggregations"]["versions"]
        yield from found["buckets"]
        if len(found["buckets"]) < size:
            return
        composite = {**composite, "after": found["after_key"]}


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


def _indexed(buckets: Sequence[dict[str, Any]]) -> IndexedDocument:
    expected = _said(buckets, PASSAGES)
    return IndexedDocument(
        passages=sum(bucket["doc_count"] for bucket in buckets),
        highest=max(int(bucket["highest"]["value"]) for bucket in buckets),
        digests=_said(buckets, CONTENT_HASH),
        expected=max(expected, default=None),
        sources=_said(buckets, SOURCE),
        load=max(_said(buckets, LOAD), default=0),
    )


def _said(buckets: Sequence[dict[str, Any]], field: str) -> frozenset[Any]:
    return frozenset(bucket["key"][field] for bucket in buckets if bucket["key"][field] is not None)


def _search(index: str) -> str:
    return f"/{quote(index, safe='')}/_search"


def document_count(
    connection: Connection, index: str, source: str | None = None, *, shown: Mapping[str, Any] | None = None
) -> int:
    """How many documents there are, by their first passages; of one source, or that a query matches, where given."""
    first: list[Mapping[str, Any]] = [{"term": {PASSAGE: 0}}]
    if shown is not None:
        first.append(shown)
    if source is not None:
        first.append({"term": {SOURCE: source}})
    return count(connection, index, {"bool": {"filter": first}})


def source_names(connection: Connection, index: str, most: int = 20) -> list[str]:
    """The names of the sources of an index, those with most passages first; documents of release 0.1 have none."""
    body = {"size": 0, "aggs": {"names": {"terms": {"field": SOURCE, "size": most}}}}
    answer = connection.send(Request.json("POST", _search(index), body))
    return [bucket["key"] for bucket in answer["aggregations"]["names"]["buckets"]]
