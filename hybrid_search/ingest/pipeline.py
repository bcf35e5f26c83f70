"""Loading documents into an index: what a program calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import OpenedIndex, count, refresh
from hybrid_search.engine.layout import LOAD, SOURCE
from hybrid_search.errors import IngestError, RepeatedIdError, counted
from hybrid_search.ingest.load import Load, LoadOptions, Source
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.ingest.patience import patient
from hybrid_search.ingest.reading import Stream
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.state.cache import VectorCache
from hybrid_search.ingest.state.journal import Journal
from hybrid_search.ingest.state.lease import Lease, leased
from hybrid_search.ingest.state.ledger import Ledger, OnBad, OnProgress
from hybrid_search.ingest.state.letters import DeadLetters
from hybrid_search.ingest.target import check_destination, opened_or_created
from hybrid_search.records import Document
from hybrid_search.settings import Settings

PROGRAM = "documents"
"""The name of the source where a program gives none."""


def index_documents(
    documents: Iterable[Document],
    index: str,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    *,
    source: str = PROGRAM,
    journal: Journal | None = None,
    dead_letters: DeadLetters | None = None,
    cache: VectorCache | None = None,
    sync: bool = False,
    max_removed: Limit | None = None,
    take_over: bool = False,
    on_bad: OnBad | None = None,
    progress: OnProgress | None = None,
    options: LoadOptions | None = None,
    vectors_later: bool = False,
) -> IngestReport:
    """Load documents into an index, which is made once the first document was read, if it is not there.

    Args:
        documents: iterated once, in a thread of its own.
        index: an index, or an alias of one.
        connection: the cluster.
        encoder: gives vectors to documents that do not carry them; its models must be those of the index.
        settings: how documents are chunked, and how an index is laid out that has to be made.
        source: the source's name, kept with every passage.
        journal: records what is settled; its ``done`` documents are not loaded again.
        dead_letters: takes the documents that are refused.
        cache: vectors of texts that were encoded before.
        sync: afterwards remove what the index has of this source and ``documents`` have not.
        max_removed: the most documents that ``sync`` may remove; None for a tenth of the source's.
        take_over: replace documents of other sources with the same ids, which is an error otherwise.
        on_bad: takes documents that no index can hold; without it the first one raises.
        progress: called after every body and before every wait.
        options: concurrency, sizes and patience.
        vectors_later: write texts alone, which :func:`hybrid_search.ingest.attach.enrich` encodes afterwards.

    Raises:
        RecordError, SettingsError: a bad document, without ``on_bad``; ``sync`` through an alias with a filter.
        IngestError: refused documents without ``dead_letters``; an id of another source; another load; too many to go.
        EngineError: the index has other models, the cluster refuses, or the patience with it is exhausted.
    """
    check_destination(connection, index, settings, (options := options or LoadOptions()).retry, sync=sync)
    documents, opened = _looked_at(documents), opened_or_created(connection, index, encoder, settings, options.retry)
    what = Source(source, take_over, (max_removed or Limit()) if sync else None, vectors_later=vectors_later)
    ledger = Ledger(dead_letters, journal, progress, on_bad)
    load = Load(opened, connection, encoder, settings.chunking, ledger, cache, what, options, settings.images)
    return _complete(_run(load, documents, journal), opened, keeps_refused=dead_letters is not None)


def _looked_at(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents, of which the first was read: what cannot be read leaves no empty index behind."""
    remaining = iter(documents)
    return chain(list(islice(remaining, 1)), remaining)


def _complete(report: IngestReport, opened: OpenedIndex, *, keeps_refused: bool) -> IngestReport:
    if report.refused and not keeps_refused:
        raise _refused(report, opened)
    if report.withheld:
        raise withheld(report)
    return report


def _run(load: Load, documents: Iterable[Document], journal: Journal | None) -> IngestReport:
    exclusive = load.source.sync is not None or journal is not None
    with running(load, exclusive=exclusive) as lease:
        distrust(journal, load)
        done = None if journal is None else journal.progress[0].done
        load.run(Stream(documents, done), lease, resumed=0 if done is None else len(done))
    if journal is not None:
        journal.finish()
    return load.report(lease)


@contextmanager
def running(load: Load, *, exclusive: bool, joined: bool = False) -> Iterator[Lease]:
    """The lease of a load, from its begin to its end; see :func:`hybrid_search.ingest.state.lease.leased`."""
    waiting = patient(load.connection, load.options.retry, load.ledger.waiting)
    name, source = load.index.name, load.source.name
    how = {"exclusive": exclusive, "joined": joined}
    with leased(waiting, load.connection, name, source, bulk=load.options.bulk, **how) as lease:
        yield lease


def distrust(journal: Journal | None, load: Load) -> None:
    """End the word of a journal whose passages are not all in the index any more."""
    if journal is None:
        return
    if journal.resumes and (why := _doubt(journal, load)):
        journal.begin_anew(why)
    if journal.restarted:
        journal.restart()


def _doubt(journal: Journal, load: Load) -> str | None:
    """Why what is settled may not be in the index."""
    if journal.is_mixed:
        return "the source, before another run that was broken off"
    connection, index = patient(load.connection, load.options.retry, load.ledger.waiting), load.index.name
    refresh(connection, index)
    written = [{"term": {SOURCE: load.source.name}}, {"terms": {LOAD: [*journal.passages]}}]
    lost = count(connection, index, {"bool": {"filter": written}}) < journal.passages.total()
    return "the index, which has lost documents that were settled" if lost else None


@contextmanager
def doubting(journal: Journal | None) -> Iterator[None]:
    """End the word of a journal when an id comes twice: one document may have replaced another that it calls settled.

    Only needed where settled documents are read again; else the comparison sees it before anything is written.
    """
    try:
        yield
    except RepeatedIdError:
        if journal is not None:
            journal.begin_anew("an id that was given twice")
        raise


def withheld(report: IngestReport) -> IngestError:
    """The error of a sync that would have removed too much; what was loaded stands."""
    return IngestError(
        str(report.withheld),
        where=report.index,
        remedy="Check that the source is whole; to remove them, run it again with the right --expect and --max-removed",
    )


def refused_of(report: IngestReport) -> str:
    """``1 of 10 documents was refused``."""
    return f"{report.refused:,} of {counted(report.documents, 'document', 'documents')} {_were(report.refused)} refused"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _refused(report: IngestReport, opened: OpenedIndex) -> IngestError:
    first = report.refusals[0]
    return IngestError(
        f"{refused_of(report)}, the first: {first.item}: {first.reason}",
        where=opened.where,
        remedy="Give a dead-letter file to keep them",
    )
