"""Loading documents into an index: what a program calls."""

from __future__ import annotations

from collections.abc import Iterable

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import IngestError
from hybrid_search.ingest.load import Load, LoadOptions
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.state.cache import VectorCache
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.journal import Journal
from hybrid_search.ingest.state.lease import load_settings
from hybrid_search.ingest.state.ledger import Ledger, OnBad, OnProgress
from hybrid_search.ingest.state.letters import DeadLetters
from hybrid_search.ingest.target import opened_or_created
from hybrid_search.records import Document
from hybrid_search.settings import Settings


def index_documents(
    documents: Iterable[Document],
    index: str,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    *,
    journal: Journal | None = None,
    dead_letters: DeadLetters | None = None,
    cache: VectorCache | None = None,
    sync: bool = False,
    on_bad: OnBad | None = None,
    progress: OnProgress | None = None,
    options: LoadOptions | None = None,
) -> IngestReport:
    """Load documents into an index, which is made if it is not there.

    All that precedes an error is loaded; with a journal the same call goes on from there. What the index holds as it
    is is left alone; a document that has changed replaces all of its passages.

    Args:
        documents: the source, iterated once, in a thread of its own.
        index: an index, or an alias of one.
        connection: the cluster.
        encoder: gives vectors to documents that do not carry them; its models must be those of the index.
        settings: how documents are chunked, and how an index is laid out that has to be made.
        journal: records what is settled; its ``done`` documents are not loaded again.
        dead_letters: takes the documents that are refused.
        cache: vectors of texts that were encoded before.
        sync: afterwards remove the documents that are in the index and not in the source.
        on_bad: takes documents that no index can hold; without it the first one raises.
        progress: called after every body and before every wait, by a sender.
        options: concurrency, sizes and patience.

    Raises:
        RecordError: a bad document, without ``on_bad``.
        IngestError: documents were refused and there is no ``dead_letters``; a file that cannot be written.
        EngineError: the index has other models, the cluster refuses, or the patience with it is exhausted.
    """
    opened = opened_or_created(connection, index, encoder, settings)
    ledger = Ledger(dead_letters, journal, progress, on_bad)
    load = Load(opened, connection, encoder, settings.chunking, ledger, cache, options or LoadOptions())
    with load_settings(connection, opened.name, load.patiently) as interrupted:
        load.run(documents, Intervals() if journal is None else journal.done, sync=sync)
    if journal is not None:
        journal.finish()
    report = load.report(["the index settings that a killed load had left are restored"] if interrupted else [])
    if report.refused and dead_letters is None:
        raise _refused(report, opened.where)
    return report


def _refused(report: IngestReport, where: str) -> IngestError:
    first = report.refusals[0]
    return IngestError(
        f"{report.refused} of {report.documents} documents were refused, the first: {first.item}: {first.reason}",
        where=where,
        remedy="Give a dead-letter file to keep them",
    )
