"""The stages of a load, composed; each is a function from batch to batch and knows only the records that it takes.

read -> check -> compare with the index -> decode images -> cut -> encode -> write -> send -> book
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.bulk import BULK_TIMEOUT
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.coverage import coverage, expect_vectors_later
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.ingest.bulk_mode import BulkMode
from hybrid_search.ingest.maintain.remove import Limit, delete_missing, missing_documents
from hybrid_search.ingest.pace import Pace
from hybrid_search.ingest.patience import RetryPolicy, patient
from hybrid_search.ingest.reading import Numbered, Reading
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.stages import body_size
from hybrid_search.ingest.stages.bodies import Demand, bodies
from hybrid_search.ingest.stages.body_size import BodySize
from hybrid_search.ingest.stages.chunking import Chunking, portions
from hybrid_search.ingest.stages.compare import Comparison, grouped
from hybrid_search.ingest.stages.encode import Encoding
from hybrid_search.ingest.stages.images import ImageDecoding, ImageLook, check_images, few
from hybrid_search.ingest.stages.overlap import Overlap, side_by_side
from hybrid_search.ingest.stages.prepare import Checking
from hybrid_search.ingest.stages.read_back import VectorReadBack
from hybrid_search.ingest.stages.send import Sender
from hybrid_search.ingest.stages.write import Writing
from hybrid_search.ingest.state.cache import VectorCache
from hybrid_search.ingest.state.indexed import IndexedDocument, indexed_documents
from hybrid_search.ingest.state.lease import Lease
from hybrid_search.ingest.state.ledger import Ledger, Record
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.ingest.tracing import Spans
from hybrid_search.ingest.work import Batch, Body, NumberedDocument
from hybrid_search.read.splits import SPLIT_BYTES
from hybrid_search.settings import ChunkingSettings, ImageSettings

T = TypeVar("T")
Checked = Batch[NumberedDocument]
R = TypeVar("R")

SENDERS = 2
COMPARING = 4
"""Groups of batches that are compared with the index at once: each is waiting for an answer."""

RESTORED = "the index settings that a killed load had left are restored"


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a load is carried out; nothing here changes what is in the index afterwards.

    Attributes:
        senders: bodies in flight at once.
        body_bytes: size of the first bodies, in bytes; it then follows what the engine bears.
        most_body_bytes: the size that no body passes.
        timeout: seconds after which a body that is not answered is sent again.
        retry: waits and patience.
        readers: splits of a source that are read at once; with one, documents come in the order of the source.
        split_bytes: about the bytes of a split.
        bulk: which settings of the index are changed meanwhile; off for a load of a few documents.
        pace: what all senders share that slow down together; those of other loads may share it too.
    """

    senders: int = SENDERS
    body_bytes: int = body_size.START
    most_body_bytes: int = body_size.CEILING
    timeout: float = BULK_TIMEOUT
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    readers: int = 1
    split_bytes: int = SPLIT_BYTES
    bulk: BulkMode = BulkMode.AUTO
    pace: Pace = field(default_factory=Pace)

    def asked(self, bulk: BulkMode) -> LoadOptions:
        """The same with what is asked for by name of the settings of the index."""
        return self if bulk is BulkMode.AUTO else replace(self, bulk=bulk)


@dataclass(frozen=True, slots=True)
class Source:
    """What is loaded.

    Attributes:
        name: kept with every passage.
        takes_over: whether its documents replace those of other sources with the same ids.
        sync: the most documents that may go because the source does not have them; None to remove none.
        expected: how many documents the source must have before anything is removed; None for any number.
        load: the number that its documents are written with, where it is not that of this load.
        since: the number of the first of the loads that do this together; None for a load by itself.
        vectors_later: whether documents are written without vectors, but for those that they carry.
    """

    name: str
    takes_over: bool = False
    sync: Limit | None = None
    expected: int | None = None
    load: int | None = None
    since: int | None = None
    vectors_later: bool = False


class Since:
    """The numbers of loads from one on."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number >= self._first


@dataclass(slots=True)
class Load:
    """One run of the pipeline into an index, which is there and has the encoder's models."""

    index: OpenedIndex
    connection: Connection
    encoder: TextEncoder
    chunking: ChunkingSettings
    ledger: Ledger
    cache: VectorCache | None
    source: Source
    options: LoadOptions
    images: ImageSettings = field(default_factory=ImageSettings)
    documents: int = 0
    _resumed: int = 0
    _again: int = 0
    _encoded: int = 0
    _wall: float = 0.0
    _withheld: str | None = None
    _chunk: Chunking | None = None
    _busy: dict[str, float] = field(default_factory=dict)
    _found: list[str] = field(default_factory=list)
    _after_body: Callable[[], None] = lambda: None

    def run(self, reading: Reading, lease: Lease, *, resumed: int = 0, all_read: bool = False) -> None:
        """Settle every document that is not; then remove those that the source does not have, if asked.

        Args:
            reading: the source.
            lease: the hold on the index.
            resumed: how many of its documents are settled.
            all_read: whether those are read again, so that an id that comes twice is seen without asking the index.
        """
        began = time.perf_counter()
        self._resumed, self.ledger.load, self.ledger.expected = resumed, lease.load, reading.expected
        connection = patient(self.connection, self.options.retry, self.ledger.waiting)
        with SourceIds() as seen:
            continued = frozenset[int]() if all_read else self.ledger.resumed
            self.pass_through(reading.batches(seen.add), lease, seen, continued)
            self.documents = reading.documents
            indices.refresh(connection, self.index.name)
            if self.source.sync is not None:
                self.remove_missing(connection, self.source.sync, seen)
        self.took(reading, began)

    def join(self, splits: Record, since: int, commit: Callable[[], None]) -> None:
        """Do it together with others, from the load of a number on; ``commit`` is called after each body."""
        self.source = replace(self.source, since=since)
        self.ledger.record(splits)
        self._after_body = commit

    def took(self, reading: Reading, began: float) -> None:
        """The source was read, since a time of the performance counter."""
        self._again, self._wall = reading.again, time.perf_counter() - began

    def report(self, lease: Lease, notes: Sequence[str] = ()) -> IngestReport:
        """What became of every document."""
        totals = self.ledger.totals()
        return IngestReport(
            index=self.index.name,
            resumed=self._resumed,
            encoded=self._encoded,
            wall=self._wall,
            busy=self._busy,
            notes=(*notes, *self._found, *self._notes(lease)),
            withheld=self._withheld,
            source=self.source.name,
            load=lease.load,
            **{**totals, "documents": totals["documents"] - self._again},
        )

    def _notes(self, lease: Lease) -> Iterator[str]:
        if lease.mended:
            yield RESTORED
        if self.cache is not None and self.cache.full is not None:
            yield self.cache.full
        if self._chunk is not None and (cut := self._chunk.note()):
            yield cut
        if self.source.vectors_later:
            had = coverage(self.connection, self.index.name, self.index.schema)
            if not had.is_whole:
                yield f"{had.of - had.vectors:,} passages have no vectors yet: hybrid-search enrich {self.index.name}"
        if self.index.added:
            named = ", ".join(self.index.added)
            yield f"can be filtered on from now on: {named}; what this load did not bring must be loaded again for it"

    def pass_through(
        self, numbers: Iterator[Numbered], lease: Lease, seen: SourceIds, continued: Container[int]
    ) -> None:
        """Settle some documents of the source; ``continued`` are the loads that had those that are not read."""
        size = BodySize(self.options.body_bytes, ceiling=self.options.most_body_bytes)
        keeps_bad = self.ledger.keeps_bad
        later, schema = self.source.vectors_later, self.index.schema
        check_images(self.images, later=later, schema=schema)
        encoding = Encoding(self.encoder, self.cache, later=later, text_vectors=self.images.text_vectors)
        spans = Spans(self.index.name, self.connection.dialect.engine)
        with ImageDecoding(self.images, keeps_bad=keeps_bad) as decode, Overlap() as overlap, spans.load():
            self.ledger.look, self.ledger.slowed = overlap.look, lambda: self.options.pace.failures
            connection = patient(self.connection, self.options.retry, self.ledger.waiting, overlap.stopped)
            number = lease.load if self.source.load is None else self.source.load
            if self.source.vectors_later:
                expect_vectors_later(connection, self.index.name)
            read_back = VectorReadBack(connection, self.index.name, number)
            look = ImageLook(self.images, schema)
            check = Checking(schema, self.chunking, seen.add, keeps_bad=keeps_bad, look=look)
            chunk = self._chunk = Chunking(self.encoder, self.chunking, self.index.schema.passage_title)
            write = self._writing(number, read_back, keeps_bad=keeps_bad)
            sender, demand = self._sender(size, overlap), Demand(self.options.senders)
            send = spans.of("send", sender)

            def settle(body: Body) -> None:
                lease.check()
                settled = send(body)
                if settled is not None:
                    settled.refusals.extend(body.refused)
                    self.ledger.settle(body, settled)
                demand.settled()
                read_back.check()
                self._after_body()

            read = overlap.ahead("read", through(spans.read(numbers), check))
            compared = overlap.ahead("compare", self._compared(connection, read, continued))
            decoded = through((some for batch in compared for some in few(batch)), decode)
            cut = (portion for batch in through(decoded, chunk) for portion in portions(batch))
            encoded = overlap.ahead("encode", through(overlap.ahead("chunk", cut), spans.of("encode", encoding)))
            ready = overlap.ahead("serialise", bodies(through(encoded, write), size, demand))
            overlap.drain("send", ready, settle, self.options.senders)
        self._found += check.notes()
        for stage, seconds in {**overlap.busy, "send": sender.in_flight}.items():
            self._busy[stage] = self._busy.get(stage, 0.0) + seconds
        self._encoded += encoding.encoded

    def _compared(
        self, connection: Connection, batches: Iterator[Checked], continued: Container[int]
    ) -> Iterator[Checked]:
        """Left as they are where the index was empty, and nobody else writes: there is nothing to compare with."""
        indices.refresh(connection, self.index.name)
        if self.source.since is None and indices.count(connection, self.index.name) == 0:
            return batches

        def held(ids: Sequence[str]) -> dict[str, IndexedDocument]:
            return indexed_documents(connection, self.index.name, ids)

        compare = Comparison(
            held,
            self.source.name,
            take_over=self.source.takes_over,
            where=self.index.where,
            resumed=continued,
            keeps_bad=self.ledger.keeps_bad,
        )
        groups = side_by_side(grouped(batches), compare.together, COMPARING)
        return until_broken(chain.from_iterable(groups))

    def _writing(self, load: int, read_back: VectorReadBack, *, keeps_bad: bool) -> Writing:
        return Writing(
            index=self.index.name,
            dialect=self.connection.dialect,
            schema=self.index.schema,
            source=self.source.name,
            load=load,
            sends=read_back.sends,
            keeps_bad=keeps_bad,
        )

    def _sender(self, size: BodySize, overlap: Overlap) -> Sender:
        return Sender(
            self.connection.transport,
            self.index.name,
            self.ledger.waiting,
            size=size,
            policy=self.options.retry,
            timeout=self.options.timeout,
            stopped=overlap.stopped,
            pace=self.options.pace,
        )

    def remove_missing(self, connection: Connection, limit: Limit, seen: SourceIds) -> None:
        """Remove what the source does not have, unless that is more than was allowed."""
        source, index = self.source, self.index.name
        missing = missing_documents(connection, index, source.name, seen.missing)
        if missing.count == 0:
            return
        if source.expected is not None and source.expected != self.documents:
            self._withheld = (
                f"the source has {self.documents:,} documents, {source.expected:,} were expected:"
                f" {missing} are not in it, and none of them was removed"
            )
        elif not limit.allows(missing.count, missing.of):
            self._withheld = (
                f"{missing} of the source {source.name!r} are not in it any more, more than {limit}: none was removed"
            )
        else:
            self.ledger.removed(delete_missing(connection, index, source.name, seen.missing))


def through(batches: Iterable[Batch[T]], stage: Callable[[Batch[T]], Batch[R]]) -> Iterator[Batch[R]]:
    """The batches of a stage, up to and with the first that is broken."""
    return until_broken(map(stage, batches))


def until_broken(batches: Iterable[Batch[T]]) -> Iterator[Batch[T]]:
    """The batches up to and with the first that is broken."""
    for batch in batches:
        yield batch
        if batch.broken is not None:
            return
