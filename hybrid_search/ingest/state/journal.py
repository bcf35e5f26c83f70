"""The append-only record of which documents of a source are settled, so that a load can go on where it stopped.

One text line per record: eight hexadecimal digits of CRC-32, a space, a JSON object. The first record says that the
file is a journal, the next what is loaded where (``begin``); each body that is settled adds its range of document
numbers (``done``), and where reading goes on behind it (``at``: file, offset, line), if the source can go on; a load
that came to its end says so (``finished``). A line whose checksum is wrong is passed over,
and so are records that this version does not know: what they said is loaded again.

Durability: a record is handed to the operating system before the next body of its sender, which is enough for
``kill -9``; it is forced to the disk when the journal is begun and closed. Losing the last records to a power
failure costs only a repetition, because ids are deterministic and every action replaces.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.lines import Kind, LineFile, checksum, header_record
from hybrid_search.records import ResumePoint

Identity = Mapping[str, Any]

UNREADABLE = "the journal, whose beginning was broken"
"""Among the ``changes`` of a journal that does not say which load it was of."""


class Journal:
    """An open journal, locked against a second load.

    Attributes:
        done: numbers of the documents that are settled.
        resume: the furthest place in the source before which all documents are settled, None for its beginning.
        prefix: how many documents are before ``resume``: the one that is read there first has this number.
        changes: what differs from the load that the file was begun with, which was therefore started over.
        passages: how many passages of settled bodies the engine has taken, by the number of the load that wrote them.
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        """Open or begin the journal of the load ``identity`` (JSON values by name).

        Raises:
            IngestError: another process has it open, or it cannot be written.
        """
        self.done = Intervals()
        self.prefix = 0
        self.resume: ResumePoint | None = None
        self.passages: Counter[int] = Counter()
        self._identity = json.loads(json.dumps(identity))
        self._points: dict[int, ResumePoint] = {}
        self.changes: list[str] = []
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
    def resumes(self) -> bool:
        """Whether an earlier, unfinished load is continued."""
        return len(self.done) > 0

    def settled(self, first: int, end: int, at: ResumePoint | None = None) -> None:
        """Record that the documents ``first`` to ``end - 1`` are settled; ``at`` is the ``position`` of the last."""
        place = {} if at is None else {"at": [at.file, at.offset, at.line]}
        self._append({"done": [first, end], **place})
        self._settle(first, end, at)

    def wrote(self, load: int, passages: int) -> None:
        """Record that the engine has taken passages of a body, written before the body is called settled."""
        self._append({"wrote": [load, passages]})
        self.passages[load] += passages

    def begin_anew(self, why: str) -> None:
        """Take back what is settled: ``why`` is then among the ``changes``."""
        self._file.clear()
        self._append({"begin": self._identity}, sync=True)
        self.done, self.prefix, self.resume = Intervals(), 0, None
        self.changes = [*self.changes, why]
        self.passages.clear()
        self._points.clear()

    def finish(self) -> None:
        """Record that all documents are settled: the next load begins from the start."""
        self._append({"finished": True}, sync=True)

    def close(self) -> None:
        """Close and unlock."""
        self._file.close()

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
        for record in records:
            match record:
                case {"done": [int(first), int(end)], "at": [str(file), int(offset), int(line)]}:
                    self._settle(first, end, ResumePoint(file, offset, line))
                case {"done": [int(first), int(end)]}:
                    self._settle(first, end, None)
                case {"wrote": [int(load), int(passages)]}:
                    self.passages[load] += passages

    def _settle(self, first: int, end: int, at: ResumePoint | None) -> None:
        before = self.done.prefix
        self.done.add(first, end)
        if at is not None:
            self._points[end] = at
        if self.done.prefix == before:
            return
        reached = sorted(number for number in self._points if number <= self.done.prefix)
        for number in reached:
            point = self._points.pop(number)
            if number > self.prefix:
                self.prefix, self.resume = number, point

    def _append(self, record: Mapping[str, Any], *, sync: bool = False) -> None:
        self._file.append(_line(json.dumps(record).encode()), sync=sync)


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
    names = sorted({*begun, *identity})
    return [name for name in names if begun.get(name) != identity.get(name)]
