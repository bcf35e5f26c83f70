"""The reading stage: documents of a source in batches, from where an earlier run stopped, and how many there may be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Protocol

from hybrid_search.errors import RecordError
from hybrid_search.ingest.stages.overlap import interleaved
from hybrid_search.ingest.stages.prepare import numbered
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.journal import Progress
from hybrid_search.ingest.work import Batch
from hybrid_search.read.raw import OnBad
from hybrid_search.read.splits import Split, lines_before
from hybrid_search.records import Document, ResumePoint

Numbered = Batch[tuple[int, Document]]
Seen = Callable[[str], bool]
"""Takes an id; False when it came before."""


@dataclass(slots=True)
class Tally:
    """How many records of a split became no documents, up to where it is read."""

    left_out: int = 0

    def counting(self, report: OnBad) -> OnBad:
        """Tell of a record and count it, unless that raises."""

        def told(error: RecordError, data: bytes) -> None:
            report(error, data)
            self.left_out += 1

        return told


Read = Callable[[Split, ResumePoint | None, Tally], Iterator[Document]]
"""Gives the documents of a split behind a place, and counts the records that become none."""


class Reading(Protocol):
    """A source that is read for one load.

    Attributes:
        documents: how many documents of the source were read, or passed over because they are settled.
        again: how many of them are settled and were read all the same.
        left_out: records that became no documents, those of earlier runs included, as far as splits are counted.
    """

    documents: int
    again: int

    @property
    def left_out(self) -> int: ...

    def batches(self, seen: Seen) -> Iterator[Numbered]:
        """What is not settled; ``seen`` takes the ids of what is, as far as that is read."""
        ...

    def expected(self) -> int | None:
        """About how many documents this run settles, None where nothing tells."""
        ...


class Stream:
    """Documents that come once, from a program or a pipe."""

    left_out = 0

    def __init__(self, documents: Iterable[Document], done: Intervals | None = None) -> None:
        self.documents = self.again = 0
        self._found = documents
        self._done = Intervals() if done is None else done

    def batches(self, seen: Seen) -> Iterator[Numbered]:
        """All of them but those that are ``done``."""

        def settled(id_: str) -> bool:
            self.again += 1
            return seen(id_)

        return numbered(self._counted(), self._done, settled)

    def expected(self) -> None:
        """A stream does not tell."""

    def _counted(self) -> Iterator[Document]:
        for document in self._found:
            self.documents += 1
            yield document


class Splits:
    """The splits of a source, read one after the other, or several at once."""

    def __init__(
        self,
        plan: Sequence[Split],
        progress: Sequence[Progress] | Mapping[int, Progress],
        read: Read,
        *,
        whole: bool = False,
        readers: int = 1,
        limit: int | None = None,
        begun: Callable[[int], object] = lambda _: None,
        ended: Callable[[int, int, int], object] = lambda _, __, ___: None,
    ) -> None:
        """Read what is not settled.

        Args:
            plan: the splits.
            progress: what is settled of each.
            read: reads one.
            whole: whether settled documents are read too, for their ids; else they are sought past.
            readers: how many splits are read at once; with one the order is that of the source.
            limit: only the first so many documents of the source are wanted; they are read by one reader.
            begun: told the number of a split before its documents come.
            ended: told how many documents a split has that was read to its end, its number, and the records left out.
        """
        self.documents = self.again = 0
        self._plan = plan
        self._progress = progress
        self._read = read
        self._whole = whole
        self._readers = 1 if limit is not None else readers
        self._limit = limit
        self._begun = begun
        self._ended = ended
        self._passed = 0
        self._closed = (0, 0)
        self._open: dict[int, tuple[int, float]] = {}
        self._tallies: dict[int, Tally] = {}
        self._lock = threading.Lock()
        self._lines: dict[tuple[str, ...], tuple[int, int]] = {}

    def batches(self, seen: Seen, numbers: Iterable[int] | None = None) -> Iterator[Numbered]:
        """What is not settled of all splits, or of those with some numbers; an error ends its split's batches."""
        wanted = range(len(self._plan)) if numbers is None else numbers
        streams = (self._of(number, seen) for number in wanted)
        return chain.from_iterable(streams) if self._readers == 1 else interleaved(streams, self._readers)

    @property
    def left_out(self) -> int:
        """Records that became no documents, also where what is settled was not read."""
        return sum(tally.left_out for tally in [*self._tallies.values()])

    def expected(self) -> int | None:
        """By the bytes that were read so far, and the documents that were in them."""
        with self._lock:
            known, passed = [self._closed, *self._open.values()], self._passed
        documents, read = sum(count for count, _ in known), sum(size for _, size in known)
        if read <= 0:
            return None
        everything = round(documents * sum(split.size for split in self._plan) / read)
        return (everything if self._limit is None else min(self._limit, everything)) - passed

    def _of(self, number: int, seen: Seen) -> Iterator[Numbered]:
        """What is not settled of a split."""
        progress = self._progress[number]
        if self._limit is not None and self.documents >= self._limit:
            return
        if progress.is_complete and not self._whole:
            self._pass(number, progress.count or 0, None)
            self._close(number, progress.count or 0)
            self._tallies[number] = Tally(progress.left_out)
            return
        self._begun(number)
        first, start = (0, None) if self._whole else (progress.prefix, progress.resume)
        self._pass(number, first, start)
        tally = self._tallies[number] = Tally(0 if start is None else start.left_out)
        documents = placed(self._read(self._with_line(number), start, tally), tally)
        if self._limit is not None:
            documents = islice(documents, self._limit - self.documents)
        end = first
        for batch in numbered(documents, progress.done, self._settled(seen), first, number):
            with self._lock:
                self.documents += batch.end - batch.first
            end = batch.end
            self._look(number, end, batch.at)
            yield batch
            if batch.broken is not None:
                return
        self._close(number, end)
        if self._limit is None or self.documents < self._limit:
            self._ended(end, number, tally.left_out)

    def _settled(self, seen: Seen) -> Seen:
        def settled(id_: str) -> bool:
            with self._lock:
                self.again += 1
            return seen(id_)

        return settled

    def _with_line(self, number: int) -> Split:
        """The split with the lines before it, counted from the split before it on: nothing is read twice for that."""
        split = self._plan[number]
        if split.line is not None:
            return split
        with self._lock:
            known = self._lines.get(split.files, (0, 0))
            lines = lines_before(split, known if known[0] <= split.begin else (0, 0))
            self._lines[split.files] = (split.begin, lines)
        return replace(split, line=lines)

    def _pass(self, number: int, documents: int, at: ResumePoint | None) -> None:
        """The first documents of a split are settled, and not read."""
        with self._lock:
            self.documents += documents
            self._passed += documents
        self._look(number, documents, at)

    def _look(self, number: int, documents: int, at: ResumePoint | None) -> None:
        """So many documents of a split are before a place; where it is not known they tell nothing yet."""
        split = self._plan[number]
        share = split.read_share(at)
        with self._lock:
            if share:
                self._open[number] = (documents, share * split.size)

    def _close(self, number: int, documents: int) -> None:
        """A split has so many documents."""
        with self._lock:
            self._open.pop(number, None)
            self._closed = (self._closed[0] + documents, self._closed[1] + self._plan[number].size)


def placed(documents: Iterator[Document], tally: Tally) -> Iterator[Document]:
    """The documents, whose positions say how many records were left out before them."""
    for document in documents:
        if tally.left_out and document.position is not None:
            yield replace(document, position=replace(document.position, left_out=tally.left_out))
        else:
            yield document
