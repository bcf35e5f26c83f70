"""The append-only record of which documents of a source are settled, so that a load can go on where it stopped.

One text line per record: eight hexadecimal digits of CRC-32, a space, a JSON object. The first record says that the
file is a journal, the next what is loaded where (``begin``). A split that is begun takes a number (``split``, with its
key, the times of its files and the hash of its bytes). Each body that is settled adds, for every split that it is from,
what the engine took of it (``wrote``) and the range of its documents (``done``, counted within the split), with the
place behind them (``at``: offset, line, and the records left out before it) where the split can be sought in. A split
that was read to its end says how many documents it has (``ended``) and how many records were left out, a load that came
to its end says so (``finished``), and so does one that goes on where some splits have changed (``restarted``). A line
whose checksum is wrong is passed over, and so are records that this version does not know: what they said is loaded
again.

Durability: a record is handed to the operating system before the next body of its sender, which is enough for
``kill -9``; it is forced to the disk when the journal is begun and closed. Losing the last records to a power
failure costs only a repetition, because ids are deterministic and every action replaces.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.lines import Kind, LineFile, checksum, header_record
from hybrid_search.records import ResumePoint

Identity = Mapping[str, Any]

FORMAT = 2
"""Of the records; the first knew no splits."""

COPIES = 3
"""Of the line that names a split: all others hang on it, and a flipped bit costs up to two lines that touch."""

UNREADABLE = "the journal, whose beginning was broken"
"""Among the ``changes`` of a journal that does not say which load it was of."""

EARLIER = "the journal, which an earlier release wrote"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a source, as it is known again.

    Attributes:
        key: its name: file and range.
        times: size, time of change and inode of its files; while they are the same, so is the content.
        fingerprint: a hash of its bytes, which is asked for when the times have changed, and when it is begun.
    """

    key: str
    times: Sequence[int]
    fingerprint: Callable[[], str]


@dataclass(slots=True)
class Progress:
    """What is settled of a split.

    Attributes:
        done: numbers of its documents that are settled, from 0.
        prefix: how many documents are before ``resume``: the one that is read there first has this number.
        resume: the furthest place before which all documents are settled, None for the beginning of the split.
        count: how many documents it has, None as long as it was not read to its end.
        left_out: how many records became no documents, once it was read to its end.
        passages: how many passages of settled bodies the engine has taken, by the number of the load that wrote them.
    """

    done: Intervals = field(default_factory=Intervals)
    prefix: int = 0
    resume: ResumePoint | None = None
    count: int | None = None
    left_out: int = 0
    passages: Counter[int] = field(default_factory=Counter)
    _points: dict[int, ResumePoint] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether it was read to its end, and all of its documents are settled."""
        return self.count is not None and self.done.prefix >= self.count

    def end(self, count: int, left_out: int) -> None:
        """It was read to its end."""
        self.count, self.left_out = count, left_out

    def settle(self, first: int, end: int, at: ResumePoint | None) -> None:
        """The documents ``first`` to ``end - 1`` are settled; ``at`` is the place behind them."""
        before = self.done.prefix
        self.done.add(first, end)
        if at is not None:
            self._points[end] = at
        if self.done.prefix == before:
            return
        for number in sorted(number for number in self._points if number <= self.done.prefix):
            point = self._points.pop(number)
            if number > self.prefix:
                self.prefix, self.resume = number, point


WHOLE = Part("whole", (), lambda: "")
"""The one part of a source that is read by a program."""


class Journal:
    """An open journal, locked against a second load; safe to share between threads.

    Attributes:
        progress: what is settled of each part of the source, in the order of ``parts``.
        changes: what differs from the load that the file was begun with, which was therefore started over.
        restarted: how many parts were begun by earlier runs and are not in the source any more as they were.
        is_mixed: whether an earlier run went on with such parts: the index may then have less of one than ``passages``
            counts and more of another.
    """

    def __init__(self, path: Path, identity: Identity, parts: Sequence[Part] = (WHOLE,)) -> None:
        """Open or begin the journal of the load ``identity`` (JSON values by name) of a source of these parts.

        Raises:
            IngestError: another process has it open, or it cannot be written.
        """
        self._identity = json.loads(json.dumps({"format": FORMAT, **identity}))
        self._parts = parts
        self._lock = threading.Lock()
        self.changes: list[str] = []
        self._forget()
        self._file = LineFile(path, JOURNAL)
        try:
            self._resume_or_begin(self._identity)
        except BaseException:
            self._file.close()
            raise

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def settled_documents(self) -> int:
        """How many documents of the source are settled."""
        return sum(len(progress.done) for progress in self.progress)

    @property
    def resumes(self) -> bool:
        """Whether an earlier, unfinished load is continued."""
        return self.settled_documents > 0

    @property
    def passages(self) -> Counter[int]:
        """How many passages the engine has taken, by the number of the load that wrote them.

        Those of parts that are begun anew count too, as long as no run has written others in their place.
        """
        return self._written

    @property
    def loads(self) -> frozenset[int]:
        """The numbers of the loads that are continued, also of what is begun anew."""
        return frozenset(self._written)

    def begun(self, part: int) -> None:
        """Record that a part is begun, before any of its documents is settled."""
        with self._lock:
            if self._numbers[part] is None:
                self._number(part)

    def wrote(self, load: int, passages: int, part: int = 0) -> None:
        """Record that the engine has taken passages of a body, written before the body is called settled."""
        with self._lock:
            self._append({"wrote": [load, passages], "of": self._number(part)})
            self._written[load] += passages

    def set_aside(self, part: int) -> None:
        """A document can be in no index: the file of the bad records remembers it, not the journal."""

    def refuse(self, part: int, documents: int) -> None:
        """Documents were refused: their dead letters remember them, not the journal."""

    def settled(self, first: int, end: int, at: ResumePoint | None = None, part: int = 0) -> bool:
        """Record that the documents ``first`` to ``end - 1`` of a part are settled, and the place behind the last.

        Whether the part is thereby complete.
        """
        with self._lock:
            place = {} if at is None else {"at": [at.offset, at.line, at.left_out]}
            self._append({"done": [first, end], **place, "of": self._number(part)})
            self.progress[part].settle(first, end, at)
            return self.progress[part].is_complete

    def ended(self, count: int, part: int = 0, left_out: int = 0) -> bool:
        """Record that a part was read to its end: its documents, and the records left out; whether it is complete."""
        with self._lock:
            self._append({"ended": count, "left_out": left_out, "of": self._number(part)})
            self.progress[part].end(count, left_out)
            return self.progress[part].is_complete

    def restart(self) -> None:
        """Record that some parts are loaded anew and the others go on."""
        self._append({"restarted": self.restarted})

    def begin_anew(self, why: str) -> None:
        """Take back what is settled: ``why`` is then among the ``changes``."""
        self._file.clear()
        self._append({"begin": self._identity}, sync=True)
        self._forget()
        self.changes = [*self.changes, why]

    def finish(self) -> None:
        """Record that all documents are settled: the next load begins from the start."""
        self._append({"finished": True}, sync=True)

    def close(self) -> None:
        """Close and unlock."""
        self._file.close()

    def _forget(self) -> None:
        self.progress = [Progress() for _ in self._parts]
        self.restarted = 0
        self.is_mixed = False
        self._written: Counter[int] = Counter()
        self._numbers: list[int | None] = [None] * len(self._parts)
        self._next = 0

    def _number(self, part: int) -> int:
        """The number that the part has in the file, with which its records begin."""
        number = self._numbers[part]
        if number is None:
            known = self._parts[part]
            number, self._next = self._next, self._next + 1
            record = {"split": number, "key": known.key, "times": [*known.times], "hash": known.fingerprint()}
            for _ in range(COPIES):
                self._append(record)
            self._numbers[part] = number
        return number

    def _resume_or_begin(self, identity: Identity) -> None:
        self._file.cut_torn_line()
        lines = list(self._file.lines())
        records = [record for line in lines if (record := _record(line)) is not None]
        begun = next((record["begin"] for record in records if "begin" in record), None)
        finished = any("finished" in record for record in records)
        if begun is not None and not finished:
            self.changes = _differences(begun, identity)
        elif begun is None and lines:
            self.changes = [UNREADABLE]
        if begun is None or finished or self.changes:
            self._file.clear()
            self._append({"begin": identity}, sync=True)
            return
        self._resume(records)

    def _resume(self, records: Sequence[Mapping[str, Any]]) -> None:
        parts = self._recognised(records)
        for record in records:
            match record:
                case {"wrote": [int(load), int(passages)]}:
                    self._written[load] += passages
                case {"restarted": int()}:
                    self.is_mixed = True
                case {"done": [int(first), int(end)], "of": int(number), **more} if number in parts:
                    self.progress[parts[number]].settle(first, end, _point(more))
                case {"ended": int(count), "left_out": int(left_out), "of": int(number)} if number in parts:
                    self.progress[parts[number]].end(count, left_out)

    def _recognised(self, records: Sequence[Mapping[str, Any]]) -> dict[int, int]:
        """The parts of the source that are as they were when they were begun, by their numbers in the file."""
        places = {part.key: place for place, part in enumerate(self._parts)}
        found: dict[int, int] = {}
        begun = _begun_parts(records)
        for number, (key, times, fingerprint) in begun.items():
            place = places.get(key)
            if place is not None and _is_same(self._parts[place], times, fingerprint):
                found[number], self._numbers[place] = place, number
        self.restarted = len(begun) - len(found)
        used = [*begun, *(record["of"] for record in records if isinstance(record.get("of"), int))]
        self._next = max(used, default=-1) + 1
        return found

    def _append(self, record: Mapping[str, Any], *, sync: bool = False) -> None:
        self._file.append(_line(json.dumps(record).encode()), sync=sync)


def _begun_parts(records: Sequence[Mapping[str, Any]]) -> dict[int, tuple[str, list[Any], str]]:
    """Key, times and hash of each part, by its number."""
    found = {}
    for record in records:
        match record:
            case {"split": int(number), "key": str(key), "times": [*times], "hash": str(fingerprint)}:
                found[number] = (key, times, fingerprint)
    return found


def _is_same(part: Part, times: Sequence[int], fingerprint: str) -> bool:
    return [*part.times] == [*times] or part.fingerprint() == fingerprint


def _point(record: Mapping[str, Any]) -> ResumePoint | None:
    match record:
        case {"at": [int(offset), int(line), int(left_out)]}:
            return ResumePoint(offset, line, left_out)
    return None


def _line(data: bytes) -> bytes:
    return b"%s %s\n" % (checksum(data), data)


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of a line, None for one that is broken."""
    expected, _, data = line.rstrip(b"\n").partition(b" ")
    if not data.startswith(b"{") or checksum(data) != expected:
        return None
    found: dict[str, Any] = json.loads(data)
    return found


def _is_journal(head: bytes) -> bool:
    """Whether any line is a record: one flipped bit at the beginning does not make a journal a foreign file."""
    return any(_record(line) is not None for line in head.split(b"\n"))


JOURNAL = Kind("journal", _line(header_record("journal")), _is_journal)


def _differences(begun: Identity, identity: Identity) -> list[str]:
    if begun.get("format") != identity["format"]:
        return [EARLIER]
    names = sorted({*begun, *identity})
    return [name for name in names if begun.get(name) != identity.get(name)]
