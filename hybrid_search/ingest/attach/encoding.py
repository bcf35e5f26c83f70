"""The pass: documents without up-to-date vectors are encoded, and their vectors written beside them.

What is written goes over the version that was read alone. A document that somebody has changed meanwhile is read
again and judged anew; one that is gone is none any more. Nothing of the document is sent but our own part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from threading import Event
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.answers import Verdict, error_for
from hybrid_search.engine.bulk import ItemOutcome, bulk_request, outcomes
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IngestError, counted
from hybrid_search.ingest.attach.scan import NEWEST, Hit, Wanted, documents
from hybrid_search.ingest.patience import Backoff, RetryPolicy, patient
from hybrid_search.records import SparseVector, Vector

TOGETHER = 32
"""Documents that are encoded and written together."""

MOST_ROUNDS = 100
"""How often a document is read again that somebody changes all the time."""

SHOWN = 5
MISSING = "document_missing_exception"


@dataclass(frozen=True, slots=True)
class PassOptions:
    """How a pass goes.

    Attributes:
        first: which documents have vectors first: ``newest``, or a field, its greatest values.
        limit: so many documents at most; None for all.
        retry: the patience with a cluster that is busy.
    """

    first: str = NEWEST
    limit: int | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(slots=True)
class PassReport:
    """What a pass has done.

    Attributes:
        index: where.
        looked_at: documents that were read.
        encoded: those whose vectors were written.
        up_to_date: those that had theirs.
        read_again: how often one was changed by somebody else between reading and writing.
        gone: those that were deleted meanwhile.
        without_text: those that have nothing to encode.
        cut: those that are longer than what has vectors.
        refused: ``id: reason`` of those that the engine would not take.
        seconds: of the whole pass.
    """

    index: str
    looked_at: int = 0
    encoded: int = 0
    up_to_date: int = 0
    read_again: int = 0
    gone: int = 0
    without_text: int = 0
    cut: int = 0
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Task:
    """A document that needs vectors: as it was read, and what of it is encoded.

    Attributes:
        hit: with its id, routing, sequence number and term.
        texts: of its passages, as models read them.
        written: what is written of it, given the vectors of the texts: the partial document.
        is_cut: whether it is longer than its passages.
    """

    hit: Hit
    texts: Sequence[str]
    written: Callable[[Sequence[tuple[Vector | None, SparseVector | None, bytes | None]]], Mapping[str, Any]]
    is_cut: bool = False


class Place(Protocol):
    """Where documents have their text and their vectors: one kind of index."""

    @property
    def index(self) -> str: ...

    @property
    def shards(self) -> int: ...

    @property
    def query(self) -> Mapping[str, Any]:
        """Which documents may need vectors."""
        ...

    @property
    def source(self) -> Any:
        """What of them is read, as ``_source`` of a search."""
        ...

    def tasks(self, hits: Sequence[Hit]) -> Sequence[Task | None]:
        """What is to be done for each of these documents; None where nothing is."""
        ...


Progress = Callable[[PassReport], None]


def encode_all(
    connection: Connection,
    place: Place,
    encoder: TextEncoder,
    options: PassOptions,
    progress: Progress | None = None,
) -> PassReport:
    """Give every document of a place up-to-date vectors.

    Raises:
        IngestError: a document is changed by others faster than it is encoded.
        EngineError: the cluster refuses, or the patience with it is exhausted.
    """
    begun = time.monotonic()
    work = _Pass(patient(connection, options.retry), place, encoder, PassReport(place.index), options)
    wanted = Wanted(place.query, place.source, options.first)
    for hits in _grouped(documents(work.connection, place.index, place.shards, wanted)):
        work.look(hits)
        if progress is not None:
            work.report.seconds = time.monotonic() - begun
            progress(work.report)
        if work.is_over:
            break
    work.report.seconds = time.monotonic() - begun
    return work.report


def _grouped(hits: Iterable[Hit]) -> Iterator[list[Hit]]:
    remaining = iter(hits)
    return iter(lambda: list(islice(remaining, TOGETHER)), [])


@dataclass(slots=True)
class _Pass:
    """One pass over one index."""

    connection: Connection
    place: Place
    encoder: TextEncoder
    report: PassReport
    options: PassOptions

    @property
    def is_over(self) -> bool:
        """Whether as many documents as are wanted have vectors."""
        return self.options.limit is not None and self.report.encoded >= self.options.limit

    def look(self, hits: Sequence[Hit]) -> None:
        """Encode and write what of these needs it; those that were changed meanwhile are read and judged again."""
        self.report.looked_at += len(hits)
        for _ in range(MOST_ROUNDS):
            tasks = [one for one in self.place.tasks(hits) if one is not None]
            self.report.up_to_date += len(hits) - len(tasks)
            changed = self._write(tasks)
            self.report.read_again += len(changed)
            if not changed:
                return
            hits = self._read_again(changed)
            self.report.gone += len(changed) - len(hits)
        raise IngestError(
            f"the document {hits[0]['_id']!r} is changed again and again",
            where=self.place.index,
            remedy="Run it again later: what is done is left out",
        )

    def _write(self, tasks: Sequence[Task]) -> list[Task]:
        """Encode and write; what somebody else has changed since it was read."""
        if not tasks:
            return []
        made = iter(_vectors(self.encoder, [text for one in tasks for text in one.texts]))
        lines = {n: self._line(one, [next(made) for _ in one.texts]) for n, one in enumerate(tasks)}
        settled = self._send(lines)
        for n, one in enumerate(tasks):
            self._book(one, settled[n])
        return [one for n, one in enumerate(tasks) if settled[n].verdict is Verdict.SUPERSEDED]

    def _book(self, task: Task, outcome: ItemOutcome) -> None:
        if outcome.verdict is Verdict.SUPERSEDED:
            return
        if outcome.cause is None:
            self.report.encoded += bool(task.texts)
            self.report.without_text += not task.texts
            self.report.cut += task.is_cut
        elif outcome.cause.type == MISSING:
            self.report.gone += 1
        else:
            self.report.refused.append(f"{task.hit['_id']}: {outcome.cause}")

    def _line(self, task: Task, vectors: Sequence[tuple[Vector | None, SparseVector | None, bytes | None]]) -> bytes:
        hit = task.hit
        target = {"_index": self.place.index, "_id": hit["_id"]}
        if (routing := hit.get("_routing")) is not None:
            target["routing"] = routing
        version = {"if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}
        options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        action = orjson.dumps({"update": {**target, **version}}, option=options)
        return action + orjson.dumps({"doc": task.written(vectors)}, option=options)

    def _send(self, lines: Mapping[int, bytes]) -> dict[int, ItemOutcome]:
        """Send until the engine has decided on every line; what became of each."""
        return send_lines(self.connection, lines, f"{self.connection.where}/{self.place.index}", self.options.retry)

    def _read_again(self, tasks: Sequence[Task]) -> list[Hit]:
        """Documents as they are now; those that are gone are left out."""
        asked = []
        for one in tasks:
            routing = one.hit.get("_routing")
            asked.append({"_id": one.hit["_id"], **({} if routing is None else {"routing": routing})})
        path = f"/{quote(self.place.index, safe='')}/_mget"
        body = {"docs": [{**one, "_source": self.place.source} for one in asked]}
        found = self.connection.send(Request.json("POST", path, body))["docs"]
        return [one for one in found if one.get("found")]


def send_lines(
    connection: Connection, lines: Mapping[int, bytes], where: str, policy: RetryPolicy
) -> dict[int, ItemOutcome]:
    """Send lines of a bulk request until the engine has decided on each, by their numbers.

    Raises:
        EngineError: the index takes no writes, or the patience with the engine is exhausted.
    """
    settled: dict[int, ItemOutcome] = {}
    backoff = Backoff(policy, Event())
    pending = dict(lines)
    while pending:
        numbers = list(pending)
        answer = connection.send(bulk_request(b"".join(pending.values())))
        for number, outcome in zip(numbers, outcomes(answer), strict=True):
            if outcome.verdict is Verdict.READ_ONLY and outcome.cause is not None:
                raise error_for(outcome.cause, where)
            if outcome.verdict is not Verdict.RETRY:
                settled[number] = outcome
        left = {number: line for number, line in pending.items() if number not in settled}
        if left and len(left) == len(pending):
            if backoff.exhausted or not backoff.wait():
                raise IngestError("the engine takes none of the updates", where=where, remedy="Run it again later")
        else:
            backoff.progress()
        pending = left
    return settled


def raise_if_refused(report: PassReport) -> None:
    """Raise IngestError where the engine has refused vectors; the others are written."""
    if report.refused:
        shown = "; ".join(report.refused[:SHOWN])
        raise IngestError(
            f"{counted(len(report.refused), 'document was', 'documents were')} refused: {shown}",
            where=report.index,
            remedy="Remove the cause and run it again: what is done is left out",
        )


def _vectors(
    encoder: TextEncoder, texts: Sequence[str]
) -> list[tuple[Vector | None, SparseVector | None, bytes | None]]:
    """The dense and the sparse vector of each text, and its token states, where they are stored."""
    if not texts:
        return []
    made = encoder.encode_documents(texts)
    dense = [None] * len(texts) if made.dense is None else list(made.dense)
    sparse = [None] * len(texts) if made.sparse is None else list(made.sparse)
    late = [None] * len(texts) if made.late is None else list(made.late)
    return list(zip(dense, sparse, late, strict=True))
