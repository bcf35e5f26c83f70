"""Giving passages of release 0.1 what later ones say of themselves: source, load, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import Any

import orjson

from hybrid_search.engine import indices
from hybrid_search.engine.answers import Verdict
from hybrid_search.engine.bulk import ItemOutcome, bulk_request, outcomes
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.layout import LOAD, PASSAGES, SOURCE
from hybrid_search.errors import IngestError
from hybrid_search.ingest.patience import Backoff, RetryPolicy, patient
from hybrid_search.ingest.state.indexed import IndexedDocument, document_ids, indexed_documents
from hybrid_search.ingest.state.lease import leased

BATCH = 500
UNKNOWN = {"bool": {"must_not": [{"exists": {"field": SOURCE}}]}}


@dataclass(frozen=True, slots=True)
class Migrated:
    """Documents that have a source now, and those with a gap among their passages, which must be loaded again."""

    documents: int
    broken: int


def migrate(connection: Connection, index: str, source: str) -> Migrated:
    """Let every document that names no source be of ``source``; text, fields and vectors stay as they are.

    Run again after an interruption it goes on. What a document's last passages were is not known: those that are there
    count as all.

    Raises:
        IndexMissingError: no such index.
        IngestError: somebody is loading the source, or the engine refuses an update.
    """
    waiting = patient(connection)
    opened = indices.open_index(waiting, index)
    indices.migrate(waiting, opened)
    done = broken = 0
    with leased(waiting, connection, opened.name, source, exclusive=True) as lease:
        indices.refresh(waiting, opened.name)
        ids = document_ids(waiting, opened.name, UNKNOWN)
        while batch := list(islice(ids, BATCH)):
            held = indexed_documents(waiting, opened.name, batch)
            whole = {id_: there for id_, there in held.items() if there.passages == there.highest + 1}
            _write(waiting, opened.name, list(_lines(opened.name, whole, source, lease.load)))
            done, broken = done + len(whole), broken + len(held) - len(whole)
    indices.refresh(waiting, opened.name)
    return Migrated(done, broken)


def _lines(index: str, whole: Mapping[str, IndexedDocument], source: str, load: int) -> Iterator[bytes]:
    for id_, there in whole.items():
        told = {SOURCE: source, LOAD: load, PASSAGES: there.passages}
        for number in range(there.passages):
            action: dict[str, Any] = {"update": {"_index": index, "_id": f"{id_}#{number}", "retry_on_conflict": 3}}
            yield orjson.dumps(action) + b"\n" + orjson.dumps({"doc": told}) + b"\n"


def _write(connection: Connection, index: str, lines: Sequence[bytes]) -> None:
    """Send updates until the engine has taken all; to repeat one changes nothing."""
    backoff = Backoff(RetryPolicy(), Event())
    failed = _failed(connection, lines)
    while failed:
        refused = [item for item in failed if item.verdict is not Verdict.RETRY]
        if refused or backoff.exhausted or not backoff.wait():
            first = (refused or failed)[0]
            raise IngestError(
                f"{len(refused or failed)} passages could not be changed, the first: {first.id}: {first.cause}",
                where=f"{connection.where}/{index}",
                remedy="Remove the cause and run it again: it goes on where it stopped",
            )
        failed = _failed(connection, lines)


def _failed(connection: Connection, lines: Sequence[bytes]) -> list[ItemOutcome]:
    if not lines:
        return []
    return [item for item in outcomes(connection.send(bulk_request(b"".join(lines)))) if item.cause is not None]
