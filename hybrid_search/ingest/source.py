"""Loading a file or folder: the pipeline together with the files that make it continue, and keep what was refused."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from platformdirs import user_state_path

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import SettingsError
from hybrid_search.ingest.bad_records import BadRecords
from hybrid_search.ingest.dead_letters import DeadLetters
from hybrid_search.ingest.journal import Journal
from hybrid_search.ingest.ledger import OnProgress
from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.load_identity import journal_name, load_identity
from hybrid_search.ingest.pipeline import index_documents
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.target import opened_or_created
from hybrid_search.ingest.vector_cache import VectorCache
from hybrid_search.read import documents
from hybrid_search.settings import Settings

STDIN = "-"


@dataclass(frozen=True, slots=True)
class LoadFiles:
    """Where a load keeps what must outlive it; None for the default place, in the user's state folder.

    ``skip_bad`` and ``cache`` have no default: without the one the first bad record ends the load, without the other
    every vector is computed.
    """

    journal: Path | None = None
    dead_letters: Path | None = None
    skip_bad: Path | None = None
    cache: Path | None = None


def state_folder() -> Path:
    """Where journals and dead letters are by default."""
    return user_state_path("hybrid-search") / "loads"


def index_source(
    source: str | Path,
    index: str,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    *,
    files: LoadFiles | None = None,
    format: str | None = None,
    limit: int | None = None,
    sync: bool = False,
    progress: OnProgress | None = None,
    options: LoadOptions | None = None,
) -> IngestReport:
    """Load a source, going on where an earlier load of the same source, settings and models stopped.

    Args:
        source: a file, a folder or ``-`` for standard input, which cannot be continued.
        index: an index, or an alias of one; made if it is not there.
        connection: the cluster.
        encoder: whose models must be those of the index.
        settings: what a document is, how it is chunked, and the layout of an index that has to be made.
        files: where the journal, dead letters and bad records go.
        format: the source's format where its name does not tell it.
        limit: load only so many of its documents.
        sync: afterwards remove the documents that the source does not have; it must be read whole.
        progress: called after every body and before every wait.
        options: concurrency, sizes and patience.

    Raises what :func:`hybrid_search.ingest.pipeline.index_documents` raises, and SourceError.
    """
    files = files or LoadFiles()
    if sync and (limit is not None or files.skip_bad is not None):
        raise SettingsError(
            "a source that is not read whole cannot tell what to remove",
            where="sync",
            remedy="Leave out the limit and the skipping of bad records",
        )
    opened = opened_or_created(connection, index, encoder, settings)
    name = journal_name(Path(source), connection.where, opened.name)
    with ExitStack() as stack:
        journal = None
        if str(source) != STDIN:
            identity = {"limit": limit, **load_identity(Path(source), settings, encoder, connection, opened)}
            journal = stack.enter_context(closing(Journal(files.journal or state_folder() / name, identity)))
        letters = files.dead_letters or (state_folder() / name).with_suffix(".dead-letters.jsonl")
        dead_letters = stack.enter_context(closing(DeadLetters(letters)))
        bad = None
        if files.skip_bad is not None:
            resumes = journal is not None and journal.resumes
            bad = stack.enter_context(closing(BadRecords(files.skip_bad, resumes=resumes)))
        cache = None if files.cache is None else stack.enter_context(VectorCache(files.cache))
        notes = _notes(journal)
        report = index_documents(
            islice(
                documents(source, settings.documents, on_bad=None if bad is None else bad.record, format=format), limit
            ),
            opened.name,
            connection,
            encoder,
            settings,
            journal=journal,
            dead_letters=dead_letters,
            cache=cache,
            sync=sync,
            on_bad=None if bad is None else bad.document,
            progress=progress,
            options=options,
        )
        skipped = 0 if bad is None else len(bad)
    return replace(report, index=index, skipped=skipped, notes=(*notes, *report.notes))


def _notes(journal: Journal | None) -> list[str]:
    if journal is None:
        return ["standard input cannot be continued if the load is interrupted"]
    if journal.changes:
        return [f"changed since an unfinished load, which starts over: {', '.join(journal.changes)}"]
    if journal.resumes:
        return [f"continues an unfinished load: {len(journal.done):,} documents are settled already"]
    return []
