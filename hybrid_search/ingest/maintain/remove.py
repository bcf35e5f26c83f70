"""Removing documents from an index: by id, by query, or because the source no longer has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.bulk import bulk_request, delete_action, outcomes
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import refresh
from hybrid_search.engine.layout import DOC_ID
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IngestError
from hybrid_search.ingest.state.indexed import document_ids

BATCH = 1000
PAGE = 5000
"""Passages that are deleted at once."""


def delete_documents(connection: Connection, index: str, ids: Iterable[str]) -> int:
    """Delete all passages of the documents with these ids; how many passages that were."""
    remaining = iter(ids)
    removed = 0
    while batch := list(islice(remaining, BATCH)):
        removed += delete_where(connection, index, {"terms": {DOC_ID: batch}})
    return removed


def delete_where(connection: Connection, index: str, query: Mapping[str, Any]) -> int:
    """Delete all passages that match a query of the engine; how many that were.

    Page by page by their ids rather than by ``_delete_by_query``, which stops at the first passage that is written at
    the same time, and which a server may lack.

    Raises:
        IngestError: the engine refuses to delete one of them.
    """
    deleted = 0
    while ids := _matching(connection, index, query):
        lines = b"".join(delete_action(index, id_) for id_ in ids)
        refused = [item for item in outcomes(connection.send(bulk_request(lines))) if item.cause is not None]
        if refused:
            first = f"{refused[0].id}: {refused[0].cause}"
            raise IngestError(
                f"{len(refused)} of {len(ids)} passages were not deleted, the first: {first}",
                where=f"{connection.where}/{index}",
                remedy="Remove the cause and run it again",
            )
        deleted += len(ids)
    return deleted


def _matching(connection: Connection, index: str, query: Mapping[str, Any]) -> list[str]:
    """The ids of the first passages that match, as of now."""
    refresh(connection, index)
    body = {"size": PAGE, "query": query, "_source": False}
    answer = connection.send(Request.json("POST", f"/{quote(index, safe='')}/_search", body))
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def delete_missing(connection: Connection, index: str, missing: Callable[[Iterable[str]], Iterator[str]]) -> int:
    """Delete the documents of the index whose ids are ``missing`` in the source; how many passages that were."""
    refresh(connection, index)
    return delete_documents(connection, index, list(missing(document_ids(connection, index))))
