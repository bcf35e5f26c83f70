"""The files of a load: where they are, whether they are ours, and open for the time of the load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_search.errors import counted
from hybrid_search.ingest.state.bad_records import BAD_RECORDS, BadRecords
from hybrid_search.ingest.state.cache import VectorCache, default_path
from hybrid_search.ingest.state.cache_file import check_is_cache
from hybrid_search.ingest.state.journal import JOURNAL, Journal, Part
from hybrid_search.ingest.state.letters import LETTERS, DeadLetters
from hybrid_search.ingest.state.lines import check_is_ours

CHANGES = {
    "index": "the index",
    "limit": "--limit",
    "models": "the models",
    "name": "the source's name",
    "removals": "the index, from which documents were removed",
    "settings": "the settings of documents or chunking",
    "source": "the source's place",
}
"""What is said of the values that make a load the same one."""


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

    @property
    def own(self) -> list[Path]:
        """Those that are named: they are no part of a source."""
        return [path for path in (self.journal, self.dead_letters, self.skip_bad, self.cache) if path is not None]

    def check(self) -> None:
        """Raise SettingsError for a file that is there and was not made for its purpose; none is touched."""
        for path, kind in ((self.journal, JOURNAL), (self.dead_letters, LETTERS), (self.skip_bad, BAD_RECORDS)):
            if path is not None:
                check_is_ours(path, kind)
        if self.cache is not None and self.cache != default_path():
            check_is_cache(self.cache)


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """The files of a running load; None for those that it does without."""

    journal: Journal | None
    letters: DeadLetters
    cache: VectorCache | None
    bad: BadRecords | None

    @property
    def skipped(self) -> int:
        """Bad records so far."""
        return 0 if self.bad is None else len(self.bad)

    def notes(self) -> list[str]:
        """What the user should know of how the load begins, and of its cache."""
        return [*_beginning(self.journal), *(() if self.cache is None else self.cache.notes)]


@contextmanager
def open_files(
    files: LoadFiles,
    default: Path,
    identity: Mapping[str, Any] | None,
    parts: Sequence[Part] = (),
    *,
    adds: bool = False,
) -> Iterator[OpenFiles]:
    """The files of a load of a source of these parts, closed afterwards; no journal without an ``identity``.

    ``adds`` keeps the bad records that are in their file, as where a journal is continued.
    """
    with ExitStack() as stack:
        journal = bad = cache = None
        if identity is not None:
            journal = stack.enter_context(closing(Journal(files.journal or default, identity, parts)))
        path = files.dead_letters or default.with_suffix(".dead-letters.jsonl")
        letters = stack.enter_context(closing(DeadLetters(path)))
        if files.cache is not None:
            cache = stack.enter_context(VectorCache(files.cache))
        if files.skip_bad is not None:
            resumes = adds or (journal is not None and journal.resumes and not journal.restarted)
            bad = stack.enter_context(closing(BadRecords(files.skip_bad, resumes=resumes)))
        yield OpenFiles(journal, letters, cache, bad)


def _continued(documents: int) -> str:
    settled = counted(documents, "document is", "documents are")
    return f"continues an unfinished load: {settled} settled already"


def _beginning(journal: Journal | None) -> list[str]:
    if journal is None:
        return [
            "a stream cannot be continued: an interrupted load reads it anew, and leaves alone what it finds loaded"
        ]
    if journal.restarted and not journal.resumes:
        return ["changed since an unfinished load, which starts over: the source"]
    if journal.changes:
        changes = ", ".join(CHANGES.get(change, change) for change in journal.changes)
        return [f"changed since an unfinished load, which starts over: {changes}"]
    notes = []
    if journal.resumes:
        notes.append(_continued(journal.settled_documents))
    if journal.restarted:
        notes.append("parts of the source have changed since an unfinished load, and are loaded anew")
    return notes
