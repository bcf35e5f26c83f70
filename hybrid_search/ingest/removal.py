"""Removing documents from an index: by id, by query, or because the source no longer has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import ADMIN_TIMEOUT, refresh
from hybrid_search.engine.layout import DOC_ID
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IngestError
from hybrid_search.ingest.indexed import document_ids

BATCH = 1000


def delete_documents(connection: Connection, index: str, ids: Iterable[str]) -> int:
    """Delete all passages of the documents with these ids; how many passages that were."""
    remaining = iter(ids)
    removed = 0
    while batch := list(islice(remaining, BATCH)):
        removed += delete_where(connection, index, {"terms": {DOC_ID: batch}})
    return removed


def delete_where(connection: Connection, index: str, query: Mapping[str, Any]) -> int:
    """Delete all passages that match a query of the engine; how many that were.

    Raises:
        IngestError: some could not be deleted, for example because they were written at the same time.
    """
    refresh(connection, index)
    path = f"/{quote(index, safe='')}/_delete_by_query"
    answer = connection.send(Request.json("POST", path, {"query": query}, timeout=ADMIN_TIMEOUT, refresh="true"))
    if answer["failures"] or answer["timed_out"]:
        raise IngestError(
            f"only {answer['deleted']} of {answer['total']} passages were deleted: {answer['failures'][:1]}",
            where=f"{connection.where}/{index}",
            remedy="Run it again",
        )
    deleted: int = answer["deleted"]
    return deleted


def delete_missing(connection: Connection, index: str, missing: Callable[[Iterable[str]], Iterator[str]]) -> int:
    """Delete the documents of the index whose ids are ``missing`` in the source; how many passages that were."""
    refresh(connection, index)
    return delete_documents(connection, index, list(missing(document_ids(connection, index))))
