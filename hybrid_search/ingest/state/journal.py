"""The append-only record of which documents of a source are settled, so that a load can go on where it stopped.

One text line per record: eight hexadecimal digits of CRC-32, a space, a JSON object. The first record says what is
loaded where (``begin``); each body that is settled adds its range of document numbers (``done``); a load that came to
its end says so (``finished``). A line whose checksum is wrong ends the journal: it and what follows are cut off.

Durability: a record is handed to the operating system before the next body of its sender, which is enough for
``kill -9``; it is forced to the disk when the journal is begun and closed. Losing the last records to a power
failure costs only a repetition, because ids are deterministic and every action replaces.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.lines import LineFile

Identity = Mapping[str, Any]


class Journal:
    """An open journal, locked against a second load.

    Attributes:
        done: numbers of the documents that are settled.
        changes: what differs from the load that the file was begun with, which was therefore started over.
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        """Open or begin the journal of the load ``identity`` (JSON values by name).

        Raises:
            IngestError: another process has it open, or it cannot be written.
        """
        self.done = Intervals()
        self.changes: list[str] = []
        self._file = LineFile(path)
        try:
            self._resume_or_begin(json.loads(json.dumps(identity)))
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

    def settled(self, first: int, end: int) -> None:
        """Record that the documents ``first`` to ``end - 1`` are settled."""
        self._append({"done": [first, end]})
        self.done.add(first, end)

    def finish(self) -> None:
        """Record that all documents are settled: the next load begins from the start."""
        self._append({"finished": True}, sync=True)

    def close(self) -> None:
        """Close and unlock."""
        self._file.close()

    def _resume_or_begin(self, identity: Identity) -> None:
        records = _valid_records(self._file)
        begun = records[0].get("begin") if records else None
        finished = any("finished" in record for record in records)
        if begun is not None and not finished:
            self.changes = _differences(begun, identity)
        if begun is None or finished or self.changes:
            self._file.truncate(0)
            self._append({"begin": identity}, sync=True)
            return
        for record in records[1:]:
            self.done.add(*record["done"])

    def _append(self, record: Mapping[str, Any], *, sync: bool = False) -> None:
        data = json.dumps(record).encode()
        self._file.append(b"%08x %s\n" % (zlib.crc32(data), data), sync=sync)


def _valid_records(file: LineFile) -> list[dict[str, Any]]:
    """The records up to the first broken line; the file is cut there."""
    records, whole = [], 0
    for line in file.lines():
        checksum, _, data = line.rstrip(b"\n").partition(b" ")
        if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(data):
            file.truncate(whole)
            break
        records.append(json.loads(data))
        whole += len(line)
    return records


def _differences(begun: Identity, identity: Identity) -> list[str]:
    names = sorted({*begun, *identity})
    return [name for name in names if begun.get(name) != identity.get(name)]
