"""How release 0.1 compared, verified and deleted: one request at a time. Kept to be measured against, nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from hybrid_search.engine.bulk import bulk_request, delete_action, outcomes
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import open_index, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest.stages.compare import Comparison
from hybrid_search.ingest.stages.prepare import content_hash
from hybrid_search.ingest.state.indexed import IndexedDocument
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.ingest.work import Batch, NumberedDocument
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings

VERIFIED, DELETED, PAGE, IDS = 500, 1_000, 5_000, 1_000


def compare(connection: Connection, index: str, batches: Sequence[Batch[NumberedDocument]]) -> None:
    """Batch after batch of 128, as they come."""
    comparison = Comparison(lambda ids: held(connection, index, ids), "documents", take_over=False, where=index)
    if any(comparison(batch).items for batch in batches):
        raise RuntimeError("documents are not in the index as they are")


def verify(
    documents: Sequence[Document], index: str, connection: Connection, chunking: ChunkingSettings, *, source: str
) -> None:
    """500 documents after the other; then the ids that are there."""
    refresh(connection, index)
    schema = open_index(connection, index).schema
    with SourceIds() as seen:
        remaining = iter(documents)
        while batch := list(islice(remaining, VERIFIED)):
            there = held(connection, index, [document.id for document in batch])
            for document in batch:
                seen.add(document.id)
                if not there[document.id].is_whole(content_hash(document, chunking, schema)):
                    raise RuntimeError(f"{document.id} is not in the index as it is")
        if any(True for _ in seen.missing(ids(connection, index, {"term": {"source": source}}))):
            raise RuntimeError("there are others in the index")


def delete_missing(
    connection: Connection, index: str, source: str, absent: Callable[[Iterable[str]], Iterator[str]]
) -> None:
    """A thousand documents after the other."""
    of_source = {"term": {"source": source}}
    remaining = absent(ids(connection, index, of_source))
    while batch := list(islice(remaining, DELETED)):
        delete_where(connection, index, {"bool": {"filter": [{"terms": {"doc_id": batch}}, of_source]}})


def delete_where(connection: Connection, index: str, query: Mapping[str, Any]) -> None:
    """The first 5,000 passages that match, again and again."""
    while found := matching(connection, index, query):
        lines = b"".join(delete_action(index, id_) for id_ in found)
        if any(item.cause for item in outcomes(connection.send(bulk_request(lines)))):
            raise RuntimeError("passages could not be deleted")


def matching(connection: Connection, index: str, query: Mapping[str, Any]) -> list[str]:
    """The ids of the first passages that match."""
    refresh(connection, index)
    passages = {"bool": {"filter": [query, {"exists": {"field": "doc_id"}}]}}
    hits = searched(connection, index, {"size": PAGE, "query": passages, "_source": False})["hits"]["hits"]
    return [hit["_id"] for hit in hits]


def held(connection: Connection, index: str, wanted: Sequence[str]) -> dict[str, IndexedDocument]:
    """What the index holds of documents, by a tree of aggregations."""
    passages = {
        "highest": {"max": {"field": "passage"}},
        "expected": {"max": {"field": "passages"}},
        "digests": {"terms": {"field": "content_hash", "size": 2}},
        "sources": {"terms": {"field": "source", "size": 2}},
        "load": {"max": {"field": "load"}},
    }
    documents = {"terms": {"field": "doc_id", "size": len(wanted)}, "aggs": passages}
    body = {"size": 0, "query": {"terms": {"doc_id": list(wanted)}}, "aggs": {"documents": documents}}
    buckets = searched(connection, index, body)["aggregations"]["documents"]["buckets"]
    return {bucket["key"]: _indexed(bucket) for bucket in buckets}


def ids(connection: Connection, index: str, query: Mapping[str, Any]) -> Iterator[str]:
    """The ids of the documents that match, a thousand a page."""
    source: dict[str, Any] = {"size": IDS, "sources": [{"id": {"terms": {"field": "doc_id"}}}]}
    while True:
        body = {"size": 0, "query": query, "aggs": {"ids": {"composite": source}}}
        found = searched(connection, index, body)["aggregations"]["ids"]
        yield from (bucket["key"]["id"] for bucket in found["buckets"])
        if "after_key" not in found:
            return
        source = {**source, "after": found["after_key"]}


def searched(connection: Connection, index: str, body: Mapping[str, Any]) -> Any:
    """The answer of a search."""
    return connection.send(Request.json("POST", f"/{index}/_search", body))


def _indexed(bucket: Mapping[str, Any]) -> IndexedDocument:
    return IndexedDocument(
        passages=bucket["doc_count"],
        highest=int(bucket["highest"]["value"]),
        digests=_keys(bucket["digests"]),
        expected=int(bucket["expected"]["value"]),
        sources=_keys(bucket["sources"]),
        load=int(bucket["load"]["value"]),
    )


def _keys(terms: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(bucket["key"] for bucket in terms["buckets"])
