"""Removing documents from an index: by id, by query, or because their source no longer has them.

A removal is counted before it is begun, and every removal raises the index's count of removals first, which ends the
word of journals that were begun before it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from hybrid_search.engine.answers import Failure, Verdict, error_for
from hybrid_search.engine.bulk import bulk_request, delete_action, outcomes
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import refresh
from hybrid_search.engine.layout import DOC_ID, SOURCE
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IngestError, SettingsError
from hybrid_search.ingest.patience import Backoff, RetryPolicy, patient
from hybrid_search.ingest.state.cluster import update_state
from hybrid_search.ingest.state.indexed import document_count, document_ids

BATCH = 1000
PAGE = 5000
"""Passages that are deleted at once."""

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Limit:
    """The most documents that may go at once: a share of those that are there, or a number; by default a tenth.

    One document may always go, unless it is the only one.
    """

    share: float | None = 0.1
    most: int | None = None

    def allows(self, removed: int, of: int) -> bool:
        """Whether ``removed`` of ``of`` documents may go."""
        if self.share is None and self.most is None:
            return True
        if self.most is not None:
            return removed <= self.most
        return removed <= max(min(1, of - 1), math.floor(of * (self.share or 0.0)))

    def __str__(self) -> str:
        if self.most is not None:
            return f"{self.most:,}"
        return "all" if self.share is None else f"{self.share:.0%}"

    @classmethod
    def parse(cls, text: str) -> Limit:
        """``10%``, ``500`` or ``all``.

        Raises:
            SettingsError: anything else.
        """
        if text.strip().lower() == "all":
            return EVERYTHING
        if found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text):
            if float(found[1]) <= 100:
                return cls(share=float(found[1]) / 100)
        elif re.fullmatch(r"\s*\d+\s*", text):
            return cls(share=None, most=int(text))
        raise SettingsError(f"{text!r} is no limit", where="--max-removed", remedy="Write 10%, 500 or all")


EVERYTHING = Limit(share=None)


@dataclass(frozen=True, slots=True)
class Missing:
    """Documents of a source in the index that the source does not have: how many, of how many, and the first ids."""

    count: int
    of: int
    first: tuple[str, ...]

    def __str__(self) -> str:
        more = " ..." if self.count > len(self.first) else ""
        return f"{self.count:,} of {self.of:,} documents ({', '.join(self.first)}{more})"


Absent = Callable[[Iterable[str]], Iterator[str]]
"""Gives those of some ids that a source does not have."""


def missing_documents(connection: Connection, index: str, source: str, absent: Absent) -> Missing:
    """Count the documents of ``source`` in the index that are ``absent`` from it; nothing is changed."""
    refresh(connection, index)
    missing = absent(document_ids(connection, index, _of(source)))
    return _counted(missing, document_count(connection, index, source))


def delete_missing(connection: Connection, index: str, source: str, absent: Absent) -> int:
    """Delete the documents of ``source`` that are ``absent`` from it, batch by batch; how many passages that were."""
    return delete_documents(connection, index, absent(document_ids(connection, index, _of(source))), source=source)


def delete_documents(connection: Connection, index: str, ids: Iterable[str], *, source: str | None = None) -> int:
    """Delete all passages of the documents with these ids, of ``source`` only where it is given; how many they were."""
    remaining = iter(ids)
    removed = 0
    while batch := list(islice(remaining, BATCH)):
        wanted: list[dict[str, Any]] = [{"terms": {DOC_ID: batch}}]
        removed += delete_where(
            connection, index, {"bool": {"filter": wanted if source is None else [*wanted, _of(source)]}}
        )
    return removed


def delete_where(
    connection: Connection, index: str, query: Mapping[str, Any], *, retry: RetryPolicy | None = None
) -> int:
    """Delete all passages that match a query of the engine; how many that were.

    Page by page by their ids rather than by ``_delete_by_query``, which stops at the first passage that is written at
    the same time, and which a server may lack.

    Raises:
        IngestError: the engine refuses to delete one of them.
    """
    deleted = 0
    connection, backoff = patient(connection, retry), Backoff(retry or RetryPolicy(), Event())
    while ids := _matching(connection, index, query):
        if not deleted:
            update_state(connection, index, lambda state: replace(state, removals=state.removals + 1))
        busy = _delete(connection, index, ids)
        deleted += len(ids) - len(busy)
        if len(busy) < len(ids):
            backoff.progress()
        elif backoff.exhausted or not backoff.wait():
            raise error_for(busy[0], f"{connection.where}/{index}")
    return deleted


def _delete(connection: Connection, index: str, ids: Sequence[str]) -> list[Failure]:
    """Delete passages; the failures of those that a busy engine has not taken."""
    lines = b"".join(delete_action(index, id_) for id_ in ids)
    failed = [item for item in outcomes(connection.send(bulk_request(lines))) if item.cause is not None]
    refused = [item for item in failed if item.verdict is not Verdict.RETRY]
    if refused:
        raise IngestError(
            f"{len(refused)} passages could not be deleted, the first: {refused[0].id}: {refused[0].cause}",
            where=f"{connection.where}/{index}",
            remedy="Remove the cause and run it again",
        )
    return [item.cause for item in failed if item.cause is not None]


def matching_documents(connection: Connection, index: str, query: Mapping[str, Any]) -> Missing:
    """Count the documents with a passage that matches a query of the engine; nothing is changed."""
    refresh(connection, index)
    return _counted(document_ids(connection, index, query), document_count(connection, index))


def _counted(ids: Iterator[str], of: int) -> Missing:
    first = tuple(islice(ids, SHOWN))
    return Missing(len(first) + sum(1 for _ in ids), of, first)


def _of(source: str) -> dict[str, Any]:
    return {"term": {SOURCE: source}}


def _matching(connection: Connection, index: str, query: Mapping[str, Any]) -> list[str]:
    """The ids of the first passages that match, as of now; never the document of the loads' state."""
    refresh(connection, index)
    passages = {"bool": {"filter": [query, {"exists": {"field": DOC_ID}}]}}
    body = {"size": PAGE, "query": passages, "_source": False}
    answer = connection.send(Request.json("POST", f"/{quote(index, safe='')}/_search", body))
    return [hit["_id"] for hit in answer["hits"]["hits"]]
