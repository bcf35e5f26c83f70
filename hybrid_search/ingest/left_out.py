"""What of a source is left out of a load, the quick look for it before anything is encoded, and what is said of it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from hybrid_search.errors import EmptyTextError, RecordError, SourceError
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.stages.checks import id_came_before
from hybrid_search.read.raw import OnBad
from hybrid_search.records import Document

SAMPLED = 1000
"""Documents that are composed, not encoded, before a load begins; a million bad ones are not waited for either."""
SECONDS = 2.0
"""The most that this look takes: a document is extracted from PDF in a tenth of a second."""
_SHARE = 0.1
"""More records without text than this among the first: then the setting is wrong, not the records."""


class _EnoughError(Exception):
    """So many records are bad that no more are looked at."""


def naming_skip_bad(error: RecordError) -> RecordError:
    """The error with the way out that an option is."""
    remedy = "" if error.remedy is None else f"{error.remedy}. "
    return type(error)(error.what, where=error.where, remedy=f"{remedy}To leave bad records out: --skip-bad FILE")


class LeftOut:
    """Counts records without text, which a load leaves out, and keeps the notes of the readers.

    Other bad records end a load; where they are skipped all are counted elsewhere.
    """

    def __init__(self) -> None:
        self._empty = 0
        self._first: str | None = None
        self._notes: dict[str, None] = {}
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        """Keep what a reader says, once."""
        self._notes[text] = None

    def refuse(self, error: RecordError, _data: bytes) -> None:
        """Count a record without text; raise any other error."""
        if not isinstance(error, EmptyTextError):
            raise naming_skip_bad(error)
        with self._lock:
            self._empty += 1
            self._first = self._first or error.where

    def begin_again(self) -> None:
        """The records are read once more."""
        self._empty, self._first = 0, None

    def notes(self) -> list[str]:
        """All that is to be said."""
        empty = []
        if self._empty:
            what = "record without text was" if self._empty == 1 else "records without text were"
            empty = [f"{self._empty:,} {what} left out, the first: {self._first}"]
        return [*self._notes, *empty]

    def counted(
        self, report: IngestReport, skipped: int, most: Limit, *, read: int = 0, documents: int | None = None
    ) -> IngestReport:
        """The report with what was left out, and a sentence where that is more than may be.

        Args:
            report: of a load; what it skipped are documents, in the file too.
            skipped: bad records and documents in the file for them.
            most: the most that may be left out.
            read: what readers have left out, also those of the runs that this one continues.
            documents: how many the source has, where that is not what the report counts.
        """
        bad = report.skipped  # documents that turned out bad, as with an image that cannot be decoded
        records = max(skipped - bad + self._empty, read)
        skipped = records + bad
        whole = records + (report.documents + report.resumed if documents is None else documents)
        excess = None
        if not most.allows(skipped, whole):
            excess = f"{skipped:,} of {whole:,} records were left out, more than {most}"
        return replace(report, skipped=skipped, excess=excess)


class Look:
    """A quick look through the first records of a source, for faults of shape: what it finds is raised."""

    def __init__(self, *, skips: bool, most: Limit, unique_ids: bool = False) -> None:
        self._skips = skips
        self._unique_ids = unique_ids and not skips
        self._origins: dict[str, str | None] = {}
        self._most = most
        self._bad: list[RecordError] = []
        self._empty: list[RecordError] = []

    def report(self, error: RecordError, _data: bytes) -> None:
        """Take a bad record."""
        (self._empty if isinstance(error, EmptyTextError) else self._bad).append(error)
        if len(self._empty) + len(self._bad) >= SAMPLED:
            raise _EnoughError

    def through(self, documents: Callable[[OnBad], Iterator[Document]], limit: int | None) -> None:
        """Read some of the documents that a function gives, which tells of the bad ones.

        Raises:
            RecordError: a record among them is bad or has the id of another, unless such are skipped; or too many have
                no text.
        """
        read, ends = 0, time.monotonic() + SECONDS
        try:
            for document in documents(self.report):
                read += 1
                self._check_id(document)
                if read >= min(limit or SAMPLED, SAMPLED) or time.monotonic() > ends:
                    break
        except _EnoughError:
            if not read and self._most.allows(SAMPLED, SAMPLED) and (self._skips or not self._bad):
                return  # good ones may follow
        except SourceError:
            if not self._bad and not self._empty:
                raise
        self._judge(read)

    def _check_id(self, document: Document) -> None:
        """Raise RepeatedIdError, with both places, for an id that has come before."""
        if not self._unique_ids:
            return
        if document.id in self._origins:
            error = id_came_before(document)
            first = self._origins[document.id]
            error.what += "" if first is None else f", at {first}"
            raise error
        self._origins[document.id] = document.origin

    def _judge(self, read: int) -> None:
        seen = read + len(self._bad) + len(self._empty)
        if self._bad and not self._skips:
            raise naming_skip_bad(self._bad[0])
        if not read and (self._bad or self._empty):
            first = (self._bad or self._empty)[0]
            raise type(first)(f"none of the first {seen:,} records can be loaded: {first.what}", **_rest(first))
        if len(self._empty) > _SHARE * seen and not self._most.allows(len(self._empty), seen):
            first = self._empty[0]
            what = f"{len(self._empty):,} of the first {seen:,} records are left out: {first.what}"
            share = math.ceil(100 * len(self._empty) / seen)
            remedy = f"{first.remedy}. If they are to be left out: --max-bad {share}%, or more"
            raise EmptyTextError(what, where=first.where, remedy=remedy)


def _rest(error: RecordError) -> dict[str, str | None]:
    return {"where": error.where, "remedy": error.remedy}
