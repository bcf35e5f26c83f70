"""Removing documents from an index: by id, by query, or because their source no longer has them.

A removal is counted before it is begun, and every removal raises the index's count of removals first, which ends the
word of journals that were begun before it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from threading import Event
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from hybrid_search.engine.answers import Verdict, error_for
from hybrid_search.engine.bulk import ItemOutcome, bulk_request, delete_found_action, outcomes
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import refresh
from hybrid_search.engine.layout import DOC_ID, PASSAGE, SOURCE
from hybrid_search.engine.patterns import refuse_patterns
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IngestError, SettingsError
from hybrid_search.ingest.patience import Backoff, RetryPolicy, patient
from hybrid_search.ingest.stages.overlap import side_by_side
from hybrid_search.ingest.state.cluster import update_state
from hybrid_search.ingest.state.indexed import document_count, document_ids

BATCH = 5_000
"""Documents whose passages are looked for at once."""

PAGE = 5_000
"""Passages that are deleted with one request."""

DELETING = 4
"""Requests to delete that are in flight at once."""

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
        return "all" if self.share is None else f"{self.share * 100:g}%"

    @classmethod
    def parse(cls, text: str, option: str = "--max-removed") -> Limit:
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
        raise SettingsError(f"{text!r} is no limit", where=option, remedy="Write 10%, 500 or all")


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


@dataclass(frozen=True, slots=True)
class Page:
    """Passages as a search found them, with their sequence numbers, and what they matched."""

    query: Mapping[str, Any]
    hits: Sequence[Mapping[str, Any]]


Deleted = Callable[[str], None]
"""Is told the id of a passage."""

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


def delete_documents(
    connection: Connection,
    index: str,
    ids: Iterable[str],
    *,
    source: str | None = None,
    deleted: Deleted = lambda _: None,
) -> int:
    """Delete all passages of the documents with these ids, of ``source`` only where it is given; how many they were.

    ``deleted`` is told each passage that this call, and no other at the same time, has deleted; from several threads.
    """
    refuse_patterns(index)
    connection = patient(connection)
    refresh(connection, index)
    owned = [] if source is None else [_of(source)]
    remaining = iter(ids)
    batches = iter(lambda: list(islice(remaining, BATCH)), [])
    queries = ({"bool": {"filter": [{"terms": {DOC_ID: batch}}, *owned]}} for batch in batches)
    pages = (page for query in queries for page in _pages(connection, index, query))
    return _delete_all(connection, index, pages, deleted)


def delete_where(
    connection: Connection,
    index: str,
    query: Mapping[str, Any],
    *,
    retry: RetryPolicy | None = None,
    deleted: Deleted = lambda _: None,
) -> int:
    """Delete all passages that match a query of the engine; how many that were, and ``deleted`` is told each.

    Page by page by their ids rather than by ``_delete_by_query``, which stops at the first passage that is written at
    the same time, and which a server may lack. A passage that is written meanwhile is deleted only if it still matches.

    Raises:
        IngestError: the engine refuses to delete one of them.
        RequestRefusedError: ``index`` is a pattern.
    """
    refuse_patterns(index)
    connection = patient(connection, retry)
    refresh(connection, index)
    return _delete_all(connection, index, _pages(connection, index, query), deleted)


def _delete_all(connection: Connection, index: str, pages: Iterator[Page], told: Deleted) -> int:
    """Delete pages of passages, several at once; nothing is sent, nor counted as a removal, where there are none."""
    first = next(pages, None)
    if first is None:
        return 0
    update_state(connection, index, lambda state: replace(state, removals=state.removals + 1))
    delete = partial(_delete_page, connection, index, told)
    deleted = sum(side_by_side(chain([first], pages), delete, DELETING))
    refresh(connection, index)
    return deleted


def _delete_page(connection: Connection, index: str, told: Deleted, page: Page) -> int:
    """Delete passages, and again those that a busy engine has not taken or somebody has written since, if they match.

    Raises:
        IngestError: the engine refuses to delete one of them.
    """
    deleted = 0
    backoff = Backoff(RetryPolicy(), Event())
    while page.hits:
        items = _delete(connection, index, page.hits)
        left = [item for item in items if item.verdict is not Verdict.DONE]
        deleted += len(items) - len(left)
        for item in items:
            if item.verdict is Verdict.DONE:
                told(item.id)
        if not left:
            break
        if len(left) < len(items):
            backoff.progress()
        elif backoff.exhausted or not backoff.wait():
            raise _unfinished(left[0], f"{connection.where}/{index}")
        refresh(connection, index)
        query = {"bool": {"filter": [page.query, {"ids": {"values": [item.id for item in left]}}]}}
        page = Page(query, _found(connection, index, query, None))
    return deleted


def _unfinished(item: ItemOutcome, where: str) -> Exception:
    if item.cause is not None:
        return error_for(item.cause, where)
    return IngestError(f"the passage {item.id} is written again and again", where=where, remedy="Run it again later")


def _delete(connection: Connection, index: str, hits: Sequence[Mapping[str, Any]]) -> list[ItemOutcome]:
    """Send the deletion of passages as they were found; what became of each."""
    lines = b"".join(delete_found_action(index, hit) for hit in hits)
    items = list(outcomes(connection.send(bulk_request(lines))))
    refused = [item for item in items if item.verdict not in {Verdict.DONE, Verdict.RETRY, Verdict.SUPERSEDED}]
    if refused:
        raise IngestError(
            f"{len(refused)} passages could not be deleted, the first: {refused[0].id}: {refused[0].cause}",
            where=f"{connection.where}/{index}",
            remedy="Remove the cause and run it again",
        )
    return items


def within(query: Mapping[str, Any], shown: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A query of the engine, kept to what another matches, such as the filter of an alias (None: all)."""
    return query if shown is None else {"bool": {"filter": [query, shown]}}


def matching_documents(
    connection: Connection, index: str, query: Mapping[str, Any], shown: Mapping[str, Any] | None = None
) -> Missing:
    """Count the documents with a passage that matches a query of the engine, of those ``shown``; nothing is changed."""
    refresh(connection, index)
    of = document_count(connection, index, shown=shown)
    return _counted(document_ids(connection, index, within(query, shown)), of)


def absent_ids(
    connection: Connection, index: str, ids: Iterable[str], shown: Mapping[str, Any] | None = None
) -> list[str]:
    """Those of some ids that no document of the index (of those ``shown``) has, as of its last refresh."""
    remaining, absent = iter(dict.fromkeys(ids)), list[str]()
    while batch := list(islice(remaining, BATCH)):
        held = set(document_ids(connection, index, within({"terms": {DOC_ID: batch}}, shown)))
        absent += [id_ for id_ in batch if id_ not in held]
    return absent


def _counted(ids: Iterator[str], of: int) -> Missing:
    first = tuple(islice(ids, SHOWN))
    return Missing(len(first) + sum(1 for _ in ids), of, first)


def _of(source: str) -> dict[str, Any]:
    return {"term": {SOURCE: source}}


def _pages(connection: Connection, index: str, query: Mapping[str, Any]) -> Iterator[Page]:
    """The passages that match, as of the last refresh, page by page."""
    after: Sequence[Any] | None = None
    while hits := _found(connection, index, query, after):
        yield Page(query, hits)
        if len(hits) < PAGE:
            return
        after = hits[-1]["sort"]


def _found(
    connection: Connection, index: str, query: Mapping[str, Any], after: Sequence[Any] | None
) -> list[dict[str, Any]]:
    """The next passages that match, the longest unchanged first; never the document of the loads' state.

    Nothing stored is read, not even ``_id``, for that takes most of the time: it is made of what they are sorted by.
    """
    body: dict[str, Any] = {
        "size": PAGE,
        "query": {"bool": {"filter": [query, {"exists": {"field": DOC_ID}}]}},
        "sort": [{"_seq_no": "asc"}, {DOC_ID: "asc"}, {PASSAGE: "asc"}],
        "stored_fields": "_none_",
        "track_total_hits": False,
        "seq_no_primary_term": True,
    }
    if after is not None:
        body["search_after"] = after
    answer = connection.send(Request.json("POST", f"/{quote(index, safe='')}/_search", body))
    return [{**hit, "_id": _passage_id(*hit["sort"])} for hit in answer["hits"]["hits"]]


def _passage_id(_: int, document_id: str, number: int) -> str:
    return f"{document_id}#{number}"
