"""The file of ``--skip-bad``: records that are no documents, with the reason, one JSON object a line."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from hybrid_search.errors import RecordError
from hybrid_search.ingest.state.letters import document_as_json
from hybrid_search.ingest.state.lines import JSON_STRING, Kind, LineFile, header_record
from hybrid_search.records import Document

SHOWN = 5
_TEXT = rf"(?:null|{JSON_STRING})"
_RELEASED = re.compile(
    rf'\{{\s*"where":\s*{_TEXT},\s*"what":\s*{_TEXT},\s*"remedy":\s*{_TEXT},\s*"(?:record|document)":'.encode()
)
BAD_RECORDS = Kind("bad records", header_record("bad records") + b"\n", lambda head: bool(_RELEASED.match(head)))


class BadRecords:
    """Saves and counts bad records; safe to share between the reader's thread and the pipeline's.

    Attributes:
        first: messages of the first few.
    """

    def __init__(self, path: Path, *, resumes: bool) -> None:
        """Open the file; a load that ``resumes`` another adds to it, and does not repeat what it already holds."""
        self.first: list[str] = []
        self._file = LineFile(path, BAD_RECORDS)
        self._file.cut_torn_line()
        if not resumes:
            self._file.clear()
        self._known = {_digest(line) for line in self._file.lines()}
        self._load: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        return self._file.path

    def __len__(self) -> int:
        return len(self._known)

    def belong_to(self, load: int) -> None:
        """Say which load it is that several do together, by its first number; what other loads have left goes."""
        self._load = {"load": load}
        lines = list(self._file.lines())
        own = [line for line in lines if json.loads(line).get("load") == load]
        if len(own) == len(lines):
            return
        self._file.clear()
        self._file.append(b"".join(own))
        self._known = {_digest(line) for line in own}

    def record(self, error: RecordError, data: bytes) -> None:
        """Save a record that a reader could not make a document of."""
        self._save(error, {"record": data.decode("utf-8", "backslashreplace").rstrip("\n")})

    def document(self, error: RecordError, document: Document) -> None:
        """Save a document that no index can hold."""
        self._save(error, {"document": document_as_json(document)})

    def close(self) -> None:
        self._file.close()

    def _save(self, error: RecordError, content: Mapping[str, object]) -> None:
        told = {"where": error.where, "what": error.what, "remedy": error.remedy, **self._load}
        line = json.dumps({**told, **content}, default=str).encode() + b"\n"
        with self._lock:
            if (digest := _digest(line)) not in self._known:
                self._known.add(digest)
                self._file.append(line)
            if len(self.first) < SHOWN:
                self.first.append(str(error))


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()
