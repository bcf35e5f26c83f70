"""What a load takes of encoder and engine, measured: the sample is loaded into an index of its own, which is deleted.

The load is the real one, with all of its stages, so nothing is modelled that can be measured. The index is named like
the copies of a sweep and says who made it: one that a killed probe has left goes with the next sweep or estimate.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from secrets import token_hex

from msgspec.structs import replace

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import HybridSearchError
from hybrid_search.evaluate.sweep import read_sample
from hybrid_search.evaluate.sweep.copies import PREFIX, clear_leftovers, copied, disk_of, merged, own
from hybrid_search.evaluate.sweep.options import Build
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.pipeline import index_documents
from hybrid_search.ingest.source import try_out
from hybrid_search.ingest.stages.chunking import Chunking
from hybrid_search.ingest.stages.encode import Encoding
from hybrid_search.ingest.target import opened_or_created, passage_title
from hybrid_search.ingest.work import Batch, NumberedDocument
from hybrid_search.records import Document, Leg
from hybrid_search.scale.estimate.figures import Probe
from hybrid_search.settings import Settings

WARM = 32
"""Documents that are encoded before anything is measured."""

AT_ONCE = 16
"""Documents that are encoded together where no load does it."""


def probe_encoder(documents: Sequence[Document], encoder: TextEncoder, settings: Settings) -> tuple[Probe, float]:
    """What cutting and encoding take, and the passages of a document, without an engine."""
    try_out(documents[:WARM], encoder, settings)
    chunk, encode = Chunking(encoder, settings.chunking, passage_title(settings)), Encoding(encoder)
    busy, passages = {"chunk": 0.0, "encode": 0.0}, 0
    processor = time.process_time()
    for first in range(0, len(documents), AT_ONCE):
        some = [NumberedDocument(n, document, "") for n, document in enumerate(documents[first : first + AT_ONCE])]
        began = time.perf_counter()
        cut = chunk(Batch(0, len(some), some))
        between = time.perf_counter()
        encode(cut)
        busy["chunk"] += between - began
        busy["encode"] += time.perf_counter() - between
        passages += sum(len(item.passages) for item in cut.items)
    processor = time.process_time() - processor
    each = {stage: seconds / max(1, passages) for stage, seconds in busy.items()}
    return Probe(passages, each, processor / max(1, passages)), passages / len(documents)


def probe_engine(
    documents: Sequence[Document], encoder: TextEncoder, settings: Settings, connection: Connection
) -> tuple[Probe, float]:
    """The same by a load of the sample into an index of its own, and what that index takes on disk.

    A few documents are loaded into another before: what is done once in a process, or in an engine, is not counted.

    Raises:
        EngineError: the cluster refuses, or cannot be reached.
    """
    clear_leftovers(connection)
    bare = replace(settings, engine=replace(settings.engine, replicas=0, shards=1))
    documents = list({document.id: document for document in documents}.values())  # a load refuses an id that came
    with _own_index(connection, encoder, bare) as index:
        index_documents(documents[:WARM], index, connection, encoder, bare, on_bad=_pass_over)
    with _own_index(connection, encoder, bare) as index:
        return _loaded(documents, index, encoder, bare, connection)


@contextmanager
def _own_index(connection: Connection, encoder: TextEncoder, settings: Settings) -> Iterator[str]:
    """An empty index, gone after the block."""
    index = f"{PREFIX}estimate-{token_hex(4)}"
    try:
        opened_or_created(connection, index, encoder, settings, RetryPolicy())
        own(connection, index)
        yield index
    finally:
        if indices.exists(connection, index):
            indices.delete_index(connection, index)


def _loaded(
    documents: Sequence[Document], index: str, encoder: TextEncoder, settings: Settings, connection: Connection
) -> tuple[Probe, float]:
    processor = time.process_time()
    report = index_documents(documents, index, connection, encoder, settings, on_bad=_pass_over)
    processor = time.process_time() - processor
    passages = max(1, report.passages)
    merged(connection, index)
    probe = Probe(
        report.passages,
        {stage: seconds / passages for stage, seconds in report.busy.items()},
        processor / passages,
        max(0.0, report.wall - max(report.busy.values(), default=0.0)),
        report.bytes / passages,
        disk_of(connection, index) / passages,
        _sparse_disk(index, connection, report.passages),
    )
    return probe, report.passages / max(1, report.indexed)


def _sparse_disk(index: str, connection: Connection, count: int) -> float | None:
    """Bytes for each passage of a copy that holds ids and sparse features alone; None without a sparse leg."""
    schema = indices.open_index(connection, index).schema
    if schema.sparse is None or not count:
        return None
    try:
        held = read_sample(connection, index, schema, count)
        with copied(connection, "estimate", schema, held, Build(Leg.SPARSE, schema.sparse_index)) as copy:
            return copy.disk / len(held.ids)
    except HybridSearchError:
        return None  # it is a part of what was measured already


def _pass_over(_error: object, _document: Document) -> None:
    """A load says what is wrong with it."""
