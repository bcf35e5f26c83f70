"""The ingest: documents -> read -> chunk -> encode -> serialise -> send, all at once.

This module composes the stages; each knows only the records that it takes and gives.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.bulk import delete_action, index_action
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import IngestError, RecordError
from hybrid_search.ingest import body_size
from hybrid_search.ingest.backoff import RetryPolicy
from hybrid_search.ingest.bodies import bodies
from hybrid_search.ingest.body_size import BodySize
from hybrid_search.ingest.dead_letters import DeadLetters
from hybrid_search.ingest.encode import Encoding
from hybrid_search.ingest.intervals import Intervals
from hybrid_search.ingest.journal import Journal
from hybrid_search.ingest.ledger import Ledger, OnBad, OnProgress
from hybrid_search.ingest.load_settings import load_settings
from hybrid_search.ingest.overlap import Overlap
from hybrid_search.ingest.prepare import Preparation, numbered, prepared
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.seen import SeenIds
from hybrid_search.ingest.send import Sender
from hybrid_search.ingest.work import Action, EncodedDocument
from hybrid_search.records import Document, IndexSchema
from hybrid_search.settings import Settings

SENDERS = 2


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a load is carried out; nothing here changes what is in the index afterwards.

    Attributes:
        senders: bodies in flight at once.
        body_bytes: size of the first bodies, in bytes; it then follows what the engine bears.
        most_body_bytes: the size that no body passes.
        retry: waits and patience.
    """

    senders: int = SENDERS
    body_bytes: int = body_size.START
    most_body_bytes: int = body_size.CEILING
    retry: RetryPolicy = field(default_factory=RetryPolicy)


def index_documents(
    documents: Iterable[Document],
    index: str,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    *,
    journal: Journal | None = None,
    dead_letters: DeadLetters | None = None,
    on_bad: OnBad | None = None,
    progress: OnProgress | None = None,
    options: LoadOptions | None = None,
) -> IngestReport:
    """Load documents into an index, which is made if it is not there.

    Everything that precedes an error is loaded; with a journal the same call goes on from there. A document that is
    loaded again replaces all of its passages.

    Args:
        documents: the source, iterated once, in a thread of its own.
        index: an index, or an alias of one.
        connection: the cluster.
        encoder: gives vectors to documents that do not carry them; its models must be those of the index.
        settings: how documents are chunked, and how an index is laid out that has to be made.
        journal: records what is settled; its ``done`` documents are not loaded again.
        dead_letters: takes the documents that are refused.
        on_bad: takes documents that no index can hold; without it the first one raises.
        progress: called after every body and before every wait, from a sender's thread.
        options: concurrency, sizes and patience.

    Raises:
        RecordError: a bad document, without ``on_bad``.
        IndexMismatchError: the index was made with other models.
        IngestError: documents were refused and there is no ``dead_letters``; a file that cannot be written.
        EngineError: the cluster refuses, or the patience with it is exhausted.
    """
    opened = opened_or_created(connection, index, encoder, settings)
    ledger = Ledger(dead_letters, journal, progress, on_bad)
    load = _Load(
        index=opened.name,
        connection=connection,
        encoder=encoder,
        settings=settings,
        ledger=ledger,
        options=options or LoadOptions(),
    )
    with load_settings(connection, opened.name) as interrupted:
        load.run(documents, Intervals() if journal is None else journal.done)
    indices.refresh(connection, opened.name)
    if journal is not None:
        journal.finish()
    report = load.report(["the index settings that a killed load had left are restored"] if interrupted else [])
    if report.refused and dead_letters is None:
        first = report.refusals[0]
        raise IngestError(
            f"{report.refused} of {report.documents} documents were refused, the first: {first.item}: {first.reason}",
            where=opened.where,
            remedy="Give a dead-letter file to keep them",
        )
    return report


def opened_or_created(
    connection: Connection, index: str, encoder: TextEncoder, settings: Settings
) -> indices.OpenedIndex:
    """The index, made if it is not there. Raises IndexMismatchError if the encoder's models are not those of it."""
    if not indices.exists(connection, index):
        indices.create_index(connection, index, schema_of(encoder, settings))
    opened = indices.open_index(connection, index)
    indices.check_models(opened, encoder)
    return opened


def schema_of(encoder: TextEncoder, settings: Settings) -> IndexSchema:
    """What an index for this encoder and these settings must hold."""
    documents, engine = settings.documents, settings.engine
    return IndexSchema(
        dense=encoder.dense,
        sparse=encoder.sparse,
        keyword_fields=documents.keyword,
        number_fields=documents.number,
        date_fields=documents.date,
        analyzer=engine.analyzer,
        bm25_k1=engine.bm25_k1,
        bm25_b=engine.bm25_b,
        dense_index=engine.dense_index,
        hnsw_m=engine.hnsw_m,
        hnsw_ef_construction=engine.hnsw_ef_construction,
        shards=engine.shards,
        replicas=engine.replicas,
    )


class _Load:
    """One run of the pipeline into one index."""

    def __init__(
        self,
        *,
        index: str,
        connection: Connection,
        encoder: TextEncoder,
        settings: Settings,
        ledger: Ledger,
        options: LoadOptions,
    ) -> None:
        self._index = index
        self._connection = connection
        self._encoder = encoder
        self._settings = settings
        self._ledger = ledger
        self._options = options
        self._encoding = Encoding(encoder)
        self._resumed = 0
        self._wall = 0.0
        self._busy: dict[str, float] = {}

    def run(self, documents: Iterable[Document], done: Intervals) -> None:
        """Compose the stages and wait for the last."""
        began = time.perf_counter()
        self._resumed = len(done)
        size = BodySize(self._options.body_bytes, ceiling=self._options.most_body_bytes)
        with SeenIds() as seen, Overlap() as overlap:
            sender = self._sender(size, overlap)
            preparation = Preparation(self._encoder, self._settings.chunking, seen.add)
            read = overlap.ahead("read", numbered(documents, done, seen.add))
            chunked = overlap.ahead("chunk", prepared(read, preparation, self._ledger.skip))
            encoded = overlap.ahead("encode", self._encoding(chunked))
            ready = overlap.ahead("serialise", bodies(encoded, self._actions, size))
            overlap.drain("send", ready, sender, self._options.senders)
        self._wall = time.perf_counter() - began
        self._busy = {**overlap.busy, "send": sender.in_flight}

    def report(self, notes: Sequence[str]) -> IngestReport:
        """What became of every document."""
        return IngestReport(
            index=self._index,
            resumed=self._resumed,
            encoded=self._encoding.encoded,
            wall=self._wall,
            busy=self._busy,
            notes=tuple(notes),
            **self._ledger.totals(),
        )

    def _sender(self, size: BodySize, overlap: Overlap) -> Sender:
        transport, policy = self._connection.transport, self._options.retry
        return Sender(transport, self._index, self._ledger, size=size, policy=policy, stopped=overlap.stopped)

    def _actions(self, item: EncodedDocument) -> list[Action]:
        """A document's passages, and the removal of those that it no longer has; nothing for a document that is bad."""
        document, dialect = item.document, self._connection.dialect
        try:
            written = [
                Action(encoded.passage.id, index_action(self._index, encoded, dialect, digest=item.digest), document)
                for encoded in item.passages
            ]
        except RecordError as error:
            self._ledger.skip(error, document)
            return []
        return written + [Action(id_, delete_action(self._index, id_), document, removes=True) for id_ in item.stale]
