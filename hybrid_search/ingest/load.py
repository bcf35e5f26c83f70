"""The stages of a load, composed; each knows only the records that it takes and gives.

read -> chunk -> (compare with the index) -> encode -> serialise -> send
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import TypeVar

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.bulk import BULK_TIMEOUT, delete_action, index_action
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import RecordError
from hybrid_search.ingest.backoff import RetryPolicy, patiently
from hybrid_search.ingest.maintain.remove import delete_missing
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.stages import body_size
from hybrid_search.ingest.stages.bodies import Demand, bodies
from hybrid_search.ingest.stages.body_size import BodySize
from hybrid_search.ingest.stages.compare import changed
from hybrid_search.ingest.stages.encode import Encoding
from hybrid_search.ingest.stages.overlap import Overlap
from hybrid_search.ingest.stages.prepare import Preparation, numbered, prepared
from hybrid_search.ingest.stages.read_back import VectorReadBack
from hybrid_search.ingest.stages.send import Sender
from hybrid_search.ingest.state.cache import VectorCache
from hybrid_search.ingest.state.indexed import IndexedDocument, indexed_documents
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.ledger import Ledger
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.ingest.work import Action, Body, EncodedDocument
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings

T = TypeVar("T")

SENDERS = 2


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a load is carried out; nothing here changes what is in the index afterwards.

    Attributes:
        senders: bodies in flight at once.
        body_bytes: size of the first bodies, in bytes; it then follows what the engine bears.
        most_body_bytes: the size that no body passes.
        timeout: seconds after which a body that is not answered is sent again.
        retry: waits and patience.
    """

    senders: int = SENDERS
    body_bytes: int = body_size.START
    most_body_bytes: int = body_size.CEILING
    timeout: float = BULK_TIMEOUT
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(slots=True)
class Load:
    """One run of the pipeline into the index ``index``, which is there and has the encoder's models."""

    index: str
    connection: Connection
    encoder: TextEncoder
    chunking: ChunkingSettings
    ledger: Ledger
    cache: VectorCache | None
    options: LoadOptions
    _resumed: int = 0
    _encoded: int = 0
    _wall: float = 0.0
    _busy: dict[str, float] = field(default_factory=dict)

    def run(self, documents: Iterable[Document], done: Intervals, *, sync: bool) -> None:
        """Settle every document that is not ``done``; with ``sync`` remove those that the source does not have."""
        began = time.perf_counter()
        self._resumed = len(done)
        with SourceIds() as seen:
            self._pass_through_stages(documents, done, seen)
            if sync:
                self.ledger.removed(delete_missing(self.connection, self.index, seen.missing))
        self.patiently(partial(indices.refresh, self.connection, self.index))
        self._wall = time.perf_counter() - began

    def patiently(self, call: Callable[[], T], stopped: Event | None = None) -> T:
        """The result of ``call``, tried again as the options say while the engine is overloaded or unreachable."""
        return patiently(call, self.options.retry, stopped or Event(), self.ledger.waiting)

    def report(self, notes: Sequence[str]) -> IngestReport:
        """What became of every document."""
        totals = self.ledger.totals()
        return IngestReport(
            index=self.index,
            resumed=self._resumed,
            encoded=self._encoded,
            wall=self._wall,
            busy=self._busy,
            notes=tuple(notes),
            **{**totals, "documents": totals["documents"] - self._resumed},
        )

    def _pass_through_stages(self, documents: Iterable[Document], done: Intervals, seen: SourceIds) -> None:
        size = BodySize(self.options.body_bytes, ceiling=self.options.most_body_bytes)
        preparation = Preparation(self.encoder, self.chunking, seen.add)
        encoding = Encoding(self.encoder, self.cache)
        self.patiently(partial(indices.refresh, self.connection, self.index))
        is_empty = self.patiently(partial(indices.count, self.connection, self.index)) == 0
        with Overlap() as overlap:
            read_back = VectorReadBack(self.connection, self.index)
            sender, demand = self._sender(size, overlap.stopped), Demand(self.options.senders)

            def settle(body: Body) -> None:
                sender(body)
                demand.settled()
                self.patiently(read_back.check, overlap.stopped)

            read = overlap.ahead("read", numbered(documents, done, seen.add))
            work = overlap.ahead("chunk", prepared(read, preparation, self.ledger.skip))
            if not is_empty:
                held = partial(self._held, overlap.stopped)
                work = overlap.ahead("compare", changed(work, held, self.ledger.unchanged))
            encoded = overlap.ahead("encode", encoding(work))
            ready = overlap.ahead("serialise", bodies(encoded, partial(self._actions, read_back), size, demand))
            overlap.drain("send", ready, settle, self.options.senders)
        self._busy = {**overlap.busy, "send": sender.in_flight}
        self._encoded = encoding.encoded

    def _held(self, stopped: Event, ids: Sequence[str]) -> dict[str, IndexedDocument]:
        return self.patiently(partial(indexed_documents, self.connection, self.index, ids), stopped)

    def _sender(self, size: BodySize, stopped: Event) -> Sender:
        return Sender(
            self.connection.transport,
            self.index,
            self.ledger,
            size=size,
            policy=self.options.retry,
            timeout=self.options.timeout,
            stopped=stopped,
        )

    def _actions(self, read_back: VectorReadBack, item: EncodedDocument) -> list[Action]:
        """A document's passages, and the removal of those that it no longer has; nothing for a document that is bad."""
        document, dialect = item.document, self.connection.dialect
        try:
            written = [
                Action(encoded.passage.id, index_action(self.index, encoded, dialect, digest=item.digest), document)
                for encoded in item.passages
            ]
        except RecordError as error:
            if not self.ledger.skip(error, document):
                raise
            return []
        for encoded in item.passages[:1]:
            read_back.sends(encoded)
        return written + [Action(id_, delete_action(self.index, id_), document, removes=True) for id_ in item.stale]
