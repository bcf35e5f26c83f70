"""What of a source is loaded, and how: what a caller says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hybrid_search.errors import SettingsError
from hybrid_search.ingest.bulk_mode import BulkMode
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.read.hub import PREFIX as HUB
from hybrid_search.read.indexed import is_index
from hybrid_search.read.ir_datasets import is_collection
from hybrid_search.read.places import is_pattern
from hybrid_search.read.splits import can_be_split
from hybrid_search.read.streams import printable

STDIN = "-"


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What of a source is loaded, under which name, and what it may remove.

    Attributes:
        name: the name of the source, None for that of the file or folder; it is kept with every passage.
        format: the format where the file's name does not tell.
        limit: load only the first so many documents.
        sync: afterwards remove the documents of this source that it no longer has.
        max_removed: the most documents that ``sync`` may remove.
        expected: how many documents the source must have before ``sync`` removes anything.
        take_over: replace documents of other sources that have the same ids, which is an error otherwise.
        records_path: where in a JSON or XML file the records are.
        query: what is asked of a database, or of an index.
        max_bad: the most records that may be left out; with more the load is no success.
        join: do the load together with other processes that were given the same.
        vectors_later: load texts without vectors, which :func:`hybrid_search.ingest.attach.enrich` makes afterwards.
        bulk: which settings of the index are changed for the time of the load.
    """

    name: str | None = None
    format: str | None = None
    limit: int | None = None
    sync: bool = False
    max_removed: Limit = field(default_factory=Limit)
    expected: int | None = None
    take_over: bool = False
    records_path: str | None = None
    query: str | None = None
    max_bad: Limit = field(default_factory=lambda: Limit(share=0.01))
    join: bool = False
    vectors_later: bool = False
    bulk: BulkMode = BulkMode.AUTO

    @property
    def removes(self) -> Limit | None:
        """The most documents that may go; None where none is removed."""
        return self.max_removed if self.sync else None

    def check(self, source: str | Path) -> None:
        """Raise SettingsError for options that contradict each other."""
        if self.sync and self.limit is not None:
            raise SettingsError(
                "a source that is not read whole cannot tell what to remove",
                where="--sync",
                remedy="Leave out --limit",
            )
        if self.sync and self.expected is None and _is_pipe(source):
            raise SettingsError(
                "the end of a pipe does not tell whether its producer came to an end",
                where="--sync",
                remedy="Say how many documents there must be: --expect N; or load from a file",
            )
        if self.join and (self.limit is not None or not can_be_split(source)):
            what = "the first documents of a source are read by one process"
            raise SettingsError(
                what if self.limit is not None else "a stream is read by one process",
                where="--join, --workers, --ray",
                remedy="Leave it out" + (", or --limit" if self.limit is not None else ", or load from files"),
            )
        if self.expected is not None and not self.sync:
            raise SettingsError("is for --sync", where="--expect", remedy="Leave it out, or add --sync")
        if self.name is not None and not self.name.strip():
            raise SettingsError("is empty", where="--source", remedy="Give the source a name")


def _is_pipe(source: str | Path) -> bool:
    """Standard input, or a named pipe."""
    return str(source) == STDIN or (Path(source).exists() and not can_be_split(source))


def source_name(source: str | Path) -> str:
    """The name of a source where none is given: that of the file or folder, or of the data set."""
    if str(source) == STDIN:
        return "stdin"
    if is_pattern(source) or str(source).startswith(HUB) or is_collection(source) or is_index(source):
        return printable(str(source))
    path = Path(source).absolute()
    return printable((path if path.name != ".." else path.resolve()).name)
