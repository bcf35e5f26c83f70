"""Loading a file or folder: the pipeline together with the files that make it continue, and keep what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import SettingsError
from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.pipeline import index_documents
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.state.bad_records import BadRecords
from hybrid_search.ingest.state.cache import VectorCache
from hybrid_search.ingest.state.folder import state_folder
from hybrid_search.ingest.state.identity import journal_name, load_identity
from hybrid_search.ingest.state.journal import Journal
from hybrid_search.ingest.state.ledger import OnProgress
from hybrid_search.ingest.state.letters import DeadLetters
from hybrid_search.ingest.target import opened_or_created
from hybrid_search.read import documents
from hybrid_search.read.hub import PREFIX as HUB
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

    See :func:`hybrid_search.ingest.pipeline.index_documents` for what is not said here, and for what is raised besides
    SourceError and SettingsError.

    ``source`` is a file, a folder, ``-`` for standard input or ``hf:NAME`` for a data set of the hub; the last two
    cannot be continued. ``format`` names its format where its name does not. ``files`` says where the journal, dead
    letters and bad records go. With ``limit`` only so many documents are loaded; ``sync`` needs the whole source.
    """
    files = files or LoadFiles()
    _check_is_whole(files, limit, sync=sync)
    opened = opened_or_created(connection, index, encoder, settings)
    identity = None
    if _can_be_continued(source):
        identity = {"limit": limit, **load_identity(Path(source), settings, encoder, connection, opened)}
    default = state_folder() / journal_name(Path(source), connection.where, opened.name)
    with _open_files(files, default, identity) as (journal, letters, cache, bad):
        notes = _notes(journal)
        keep = None if bad is None else bad.record
        found = documents(source, settings.documents, on_bad=keep, format=format, unique_ids=False)
        report = index_documents(
            islice(found, limit),
            opened.name,
            connection,
            encoder,
            settings,
            journal=journal,
            dead_letters=letters,
            cache=cache,
            sync=sync,
            on_bad=None if bad is None else bad.document,
            progress=progress,
            options=options,
        )
        skipped = 0 if bad is None else len(bad)
    return replace(report, index=index, skipped=skipped, notes=(*notes, *report.notes))


def _can_be_continued(source: str | Path) -> bool:
    """Whether it can be told later that it is the same source: of a file, not of a stream."""
    return str(source) != STDIN and not str(source).startswith(HUB)


def _check_is_whole(files: LoadFiles, limit: int | None, *, sync: bool) -> None:
    if sync and (limit is not None or files.skip_bad is not None):
        raise SettingsError(
            "a source that is not read whole cannot tell what to remove",
            where="sync",
            remedy="Leave out the limit and the skipping of bad records",
        )


@contextmanager
def _open_files(
    files: LoadFiles, default: Path, identity: Mapping[str, Any] | None
) -> Iterator[tuple[Journal | None, DeadLetters, VectorCache | None, BadRecords | None]]:
    """The files of a load, closed afterwards; no journal without an ``identity``."""
    with ExitStack() as stack:
        journal = bad = cache = None
        if identity is not None:
            journal = stack.enter_context(closing(Journal(files.journal or default, identity)))
        letters = stack.enter_context(
            closing(DeadLetters(files.dead_letters or default.with_suffix(".dead-letters.jsonl")))
        )
        if files.cache is not None:
            cache = stack.enter_context(VectorCache(files.cache))
        if files.skip_bad is not None:
            resumes = journal is not None and journal.resumes
            bad = stack.enter_context(closing(BadRecords(files.skip_bad, resumes=resumes)))
        yield journal, letters, cache, bad


def _notes(journal: Journal | None) -> list[str]:
    if journal is None:
        return [
            "a stream cannot be continued: an interrupted load reads it anew, and leaves alone what it finds loaded"
        ]
    if journal.changes:
        return [f"changed since an unfinished load, which starts over: {', '.join(journal.changes)}"]
    if journal.resumes:
        return [f"continues an unfinished load: {len(journal.done):,} documents are settled already"]
    return []
