"""Loading a file or folder: looked at first, guarded, then loaded, with the files that make it continue.

Nothing is made, changed or deleted before the first documents of the source were read and encoded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import (
    OpenedIndex,
    exists,
    open_index,
    read_settings,
    replica_warning,
)
from hybrid_search.engine.models import check_models
from hybrid_search.errors import RecordError
from hybrid_search.ingest.files import LoadFiles, OpenFiles, open_files
from hybrid_search.ingest.left_out import LeftOut, Look
from hybrid_search.ingest.load import Load, LoadOptions, Source
from hybrid_search.ingest.maintain.plan import Plan, planned
from hybrid_search.ingest.options import SourceOptions, source_name
from hybrid_search.ingest.origin import Place, check_moved
from hybrid_search.ingest.patience import patient
from hybrid_search.ingest.pipeline import distrust, doubting, running
from hybrid_search.ingest.reading import Reading, Splits, Stream, Tally
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.stages.checks import both_places
from hybrid_search.ingest.state.bad_records import BadRecords
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.ingest.state.folder import state_folder
from hybrid_search.ingest.state.identity import journal_name, load_identity
from hybrid_search.ingest.state.journal import Journal, Part
from hybrid_search.ingest.state.ledger import Ledger, OnProgress
from hybrid_search.ingest.state.letters import LetterOrigin
from hybrid_search.ingest.state.sharing import SharedSplits
from hybrid_search.ingest.target import check_destination, opened_or_created
from hybrid_search.ingest.together import Together, joined, number_of
from hybrid_search.ingest.try_out import try_out
from hybrid_search.read import documents
from hybrid_search.read.raw import OnBad as OnBadRecord
from hybrid_search.read.repeated import Repetitions
from hybrid_search.read.splits import (
    Split,
    as_one,
    can_be_split,
    fingerprint,
    plan_splits,
    read_split,
    times_of,
)
from hybrid_search.records import Document, ResumePoint
from hybrid_search.settings import Settings
from hybrid_search.settings.documents import REFUSE

__all__ = ["Opened", "SourceOptions", "index_source", "plan_source", "source_name", "try_out"]

LOOKED_AT = 8
"""Documents that are read and encoded before anything is changed."""


def index_source(
    source: str | Path,
    index: str,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    *,
    files: LoadFiles | None = None,
    what: SourceOptions | None = None,
    progress: OnProgress | None = None,
    options: LoadOptions | None = None,
) -> IngestReport:
    """Load a source, going on where an earlier load of the same source, settings and models stopped.

    See :func:`hybrid_search.ingest.pipeline.index_documents` for what is not said here, and for what is raised besides
    SourceError and SettingsError. A report with ``withheld`` says that ``sync`` would have removed too much.

    ``source`` is a file, a folder, an index (``es:NAME``, ``os:NAME``; ``settings.source`` is its cluster), ``-`` for
    standard input or ``hf:NAME`` for a data set of the hub; the last two cannot be continued. ``files`` says where the
    journal, dead letters and bad records go.
    """
    files, what = files or LoadFiles(), what or SourceOptions()
    what.check(source)
    retry = (options or LoadOptions()).retry
    check_destination(connection, index, settings, retry, sync=what.sync)
    with Opened(source, encoder, settings, files, what) as looked_at:
        opened = opened_or_created(connection, index, encoder, settings, retry)
        looked_at.check_place(patient(connection, retry), opened)
        return replace(looked_at.load(opened, connection, progress, options), index=index)


def plan_source(
    source: str | Path,
    index: str,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    *,
    files: LoadFiles | None = None,
    what: SourceOptions | None = None,
) -> Plan:
    """What :func:`index_source` would do with the same arguments; nothing is made, written or removed.

    Raises what that raises before it changes anything.
    """
    files, what = files or LoadFiles(), what or SourceOptions()
    what.check(source)
    check_destination(connection, index, settings, None, sync=what.sync)
    with Opened(source, encoder, settings, files, what) as looked_at:
        opened = open_index(connection, index) if exists(connection, index) else None
        if opened is not None:
            check_models(opened, encoder)
            looked_at.check_place(connection, opened)
        return looked_at.plan(opened, connection)


class Opened:
    """A source whose first documents were read and encoded, before anything is changed.

    Raises:
        SourceError, RecordError: it cannot be read, or is empty, or its first record is bad and is not to be skipped.
        ModelError: the models do not encode them.
    """

    def __init__(
        self, source: str | Path, encoder: TextEncoder, settings: Settings, files: LoadFiles, what: SourceOptions
    ) -> None:
        self._source = source
        self._encoder = encoder
        self._settings = settings
        self._files = files
        self._what = what
        self._name = what.name or source_name(source)
        self._bad: BadRecords | None = None
        self._early: list[tuple[RecordError, bytes]] = []
        self._left_out = LeftOut()
        self._report = self._left_out.refuse if files.skip_bad is None else self._on_bad
        self._repetitions = Repetitions()
        files.check()
        self._place = Place(source, settings)
        try:
            self._look()
        except BaseException:
            self._place.close()
            raise

    def _look(self) -> None:
        source, files, what = self._source, self._files, self._what
        if can_be_split(source):
            unique = self._settings.documents.repeated_ids == REFUSE
            look = Look(skips=files.skip_bad is not None, most=what.max_bad, unique_ids=unique)
            look.through(self._documents, what.limit)
        self._found = self._documents(self._report)
        self._rest = islice(self._found, what.limit)
        self._first = list(islice(self._rest, LOOKED_AT))
        try_out(self._first, self._encoder, self._settings, skips=files.skip_bad is not None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._place.close()

    def close(self) -> None:
        """Close the source; a cluster that it is in is kept for reading it once more."""
        close = getattr(self._found, "close", None)  # a generator has one
        if close is not None:
            close()

    def check_place(self, connection: Connection, opened: OpenedIndex) -> None:
        """Refuse a sync with a source of the same name at another place."""
        if self._what.sync and self._what.name is None:
            check_moved(self._name, self._place.text, connection, opened)

    def load(
        self,
        opened: OpenedIndex,
        connection: Connection,
        progress: OnProgress | None,
        options: LoadOptions | None,
    ) -> IngestReport:
        """Load it into an index that is there."""
        if self._what.join:
            return self._load_together(opened, connection, progress, options)
        waiting = patient(connection, (options or LoadOptions()).retry)
        default = state_folder() / journal_name(self._place.known_as, connection.where, opened.name)
        splits = self._splits((options or LoadOptions()).split_bytes)
        parts = [Part(split.key, times_of(split), partial(fingerprint, split)) for split in splits or ()]
        identity = None if splits is None else self._identity(waiting, opened)
        with open_files(self._files, default, identity, parts) as files:
            self._keep_bad(files.bad)
            load = self._load(opened, connection, files, progress, options)
            with running(load, exclusive=True) as lease:
                uuid = read_settings(waiting, opened.name)["index.uuid"]
                files.letters.belong_to(LetterOrigin(self._name, lease.load, opened.name, uuid, connection.where))
                distrust(files.journal, load)
                notes = files.notes()
                journal, reading = files.journal, self._reading(splits, files, load.options.readers)
                resumed = 0 if journal is None else journal.settled_documents
                whole = self._reads_all(journal)
                again = self.again if splits is not None else lambda: iter(self._first)
                with both_places(again), doubting(journal if whole else None):
                    load.run(reading, lease, resumed=resumed, all_read=whole)
                if self._what.limit is None:
                    since = min([lease.load, *load.ledger.resumed])
                    lease.read_whole(self._place.text, load.documents, since=since)
            if files.journal is not None:
                files.journal.finish()
            notes = [*notes, *self._repetitions.notes()]
            warning = replica_warning(waiting, opened.name)
            notes += [*self._left_out.notes(), *([] if warning is None else [warning])]
            report = load.report(lease, notes)
            return self._left_out.counted(report, files.skipped, self._what.max_bad, read=reading.left_out)

    def _load_together(
        self,
        opened: OpenedIndex,
        connection: Connection,
        progress: OnProgress | None,
        options: LoadOptions | None,
    ) -> IngestReport:
        """Load a part of it, beside other processes that load the others."""
        options, waiting = options or LoadOptions(), patient(connection, (options or LoadOptions()).retry)
        splits, index = self._splits(options.split_bytes) or [], opened.name
        own = state_folder() / f"{index}-{os.getpid()}.journal"  # its name only: the index itself remembers
        with open_files(self._files, own, None, adds=True) as files:
            self._keep_bad(files.bad)
            load = self._load(opened, connection, files, progress, options)
            with running(load, exclusive=False, joined=True) as lease:
                uuid = read_settings(waiting, index)["index.uuid"]
                files.letters.belong_to(LetterOrigin(self._name, lease.load, index, uuid, connection.where))
                shared = SharedSplits(
                    waiting,
                    index,
                    self._name,
                    lease.load,
                    sizes=[split.size for split in splits],
                    most_bytes=options.split_bytes,
                    fingerprint=lambda number: number_of(f"{number} {fingerprint(splits[number])}"),
                    uncertain=lambda: bool(load.ledger.totals()["refused"] or files.skipped),
                )
                whole, notes = joined(load, shared, self._shared_identity(waiting, opened, splits), len(splits))
                if files.bad is not None:
                    files.bad.belong_to(whole.since)
                load.join(shared, whole.since, shared.commit)
                self.close()
                self._left_out.begin_again()
                reading = Splits(
                    splits,
                    shared.progress,
                    self._read,
                    readers=options.readers,
                    ended=shared.ended,
                )
                part = Together(load, lease, shared, reading, self.again, self._place.text)
                with both_places(self.again):
                    notes += part.run(whole)
            report = replace(load.report(lease, [*notes, *self._left_out.notes()]), refused_in_all=part.refused)
            (read, documents), most = part.counts, part.judged(self._what.max_bad)
            return self._left_out.counted(report, files.skipped, most, read=read, documents=documents)

    def _shared_identity(self, connection: Connection, opened: OpenedIndex, splits: Sequence[Split]) -> str:
        """What all must have in common who load a source together; on other machines it may be in another folder."""
        known = {**self._identity(connection, opened), "source": None, "removals": None}
        plan = [(split.kind, [Path(file).name for file in split.files], split.begin, split.size) for split in splits]
        what = (self._what.sync, str(self._what.max_removed), self._what.expected, self._what.take_over)
        return f"{number_of(json.dumps([known, plan, what], sort_keys=True)):x}"

    def _identity(self, connection: Connection, opened: OpenedIndex) -> Mapping[str, Any]:
        """What makes a later load the same one."""
        known = load_identity(self._place.known_as, self._settings, self._encoder, connection, opened)
        removals = read_state(connection, opened.name).removals
        what = self._what
        how = {"limit": what.limit, "name": self._name, "format": what.format}
        asked = {"records": what.records_path, "query": what.query}
        return {**how, **{name: said for name, said in asked.items() if said}, "removals": removals, **known}

    def _load(
        self,
        opened: OpenedIndex,
        connection: Connection,
        files: OpenFiles,
        progress: OnProgress | None,
        options: LoadOptions | None,
    ) -> Load:
        what, chunking = self._what, self._settings.chunking
        ledger = Ledger(files.letters, files.journal, progress, None if files.bad is None else files.bad.document)
        source = Source(self._name, what.take_over, what.removes, what.expected, vectors_later=what.vectors_later)
        how, images = (options or LoadOptions()).asked(what.bulk), self._settings.images
        return Load(opened, connection, self._encoder, chunking, ledger, files.cache, source, how, images=images)

    def _splits(self, split_bytes: int) -> list[Split] | None:
        """The parts of the source; None for a stream, which is neither cut nor known again."""
        if not can_be_split(self._source):
            return None
        links = self._settings.documents.follow_links
        splits = plan_splits(self._source, split_bytes=split_bytes, follow_links=links, **self._how)
        return splits if self._is_cut else [as_one(splits)]

    @property
    def _how(self) -> dict[str, Any]:
        """How the source is read."""
        what = self._what
        asked = {"format": what.format, "records_path": what.records_path, "query": what.query}
        return {**asked, "exclude": self._files.own, "origin": self._place.origin}

    @property
    def _is_cut(self) -> bool:
        """Whether its parts can be read by themselves: what becomes of an id that comes again hangs on all of them."""
        return self._settings.documents.repeated_ids == REFUSE

    def _reads_all(self, journal: Journal | None) -> bool:
        """Whether settled documents are read for their ids: for a sync, and where others could have had them before."""
        return self._what.sync or journal is None or journal.restarted > 0

    def _reading(self, splits: list[Split] | None, files: OpenFiles, readers: int) -> Reading:
        """The source, to be read from where an earlier load stopped."""
        journal = files.journal
        if splits is None or journal is None:
            return Stream(chain(self._first, self._rest))
        self.close()
        self._left_out.begin_again()
        self._repetitions = Repetitions()
        return Splits(
            splits,
            journal.progress,
            self._read,
            whole=self._reads_all(journal),
            readers=readers,
            limit=self._what.limit,
            begun=journal.begun,
            ended=journal.ended,
        )

    def _read(self, split: Split, start: ResumePoint | None, tally: Tally) -> Iterator[Document]:
        on_bad, on_note = tally.counting(self._report), self._left_out.note
        if not self._is_cut:
            return self._documents(on_bad)
        origin, settings = self._place.origin, self._settings.documents
        return read_split(split, settings, on_bad=on_bad, start=start, on_note=on_note, origin=origin)

    def plan(self, opened: OpenedIndex | None, connection: Connection) -> Plan:
        """What loading it into an index (None: into a new one) would do; nothing is changed."""
        chunking, images = self._settings.chunking, self._settings.images
        plan = planned(chain(self._first, self._rest), opened, connection, chunking, self._name, images=images)
        report, bad = IngestReport("", documents=plan.documents), len(self._early) + plan.bad
        return replace(plan, excess=self._left_out.counted(report, bad, self._what.max_bad).excess)

    def again(self) -> Iterator[Document]:
        """The documents once more, from the start; bad records are passed over where they were skipped."""
        with self._place.open():
            yield from self._documents(_pass_over)

    def _documents(self, on_bad: OnBadRecord) -> Iterator[Document]:
        return documents(
            self._source,
            self._settings.documents,
            on_bad=on_bad,
            unique_ids=False,
            **self._how,
            on_note=self._left_out.note,
            repetitions=None if on_bad is _pass_over else self._repetitions,
        )

    def _on_bad(self, error: RecordError, data: bytes) -> None:
        """Bad records among the first are kept in memory until it is sure that there will be a load."""
        if self._bad is None:
            self._early.append((error, data))
        else:
            self._bad.record(error, data)

    def _keep_bad(self, bad: BadRecords | None) -> None:
        self._bad = bad
        early, self._early = self._early, []
        if not can_be_split(self._source):  # else they are read again
            for error, data in early:
                self._on_bad(error, data)


def _pass_over(_error: RecordError, _data: bytes) -> None:
    """They were counted and kept when the source was loaded."""
