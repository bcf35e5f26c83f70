"""The file of documents that were refused, one JSON object a line, for people to read and ``replay`` to send again.

A line is on the disk before the journal says that its document is settled, so a crash cannot lose it. It holds the
document itself, as it came from the source; a document that is refused again after a replay is written again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hybrid_search.errors import SourceError
from hybrid_search.ingest.state.lines import JSON_STRING, Kind, LineFile, header_record, own_lines
from hybrid_search.ingest.work import Refusal
from hybrid_search.records import Document

_RELEASED = re.compile(
    rf'\{{\s*"id":\s*{JSON_STRING},\s*"item":\s*{JSON_STRING},\s*"status":\s*\d+,\s*"type":\s*{JSON_STRING},\s*"reason":'.encode()
)
LETTERS = Kind("dead letters", header_record("dead letters") + b"\n", lambda head: bool(_RELEASED.match(head)))


class DeadLetters:
    """An open dead-letter file."""

    def __init__(self, path: Path) -> None:
        """Open or begin the file; see :class:`hybrid_search.ingest.state.lines.LineFile` for what is raised."""
        self._file = LineFile(path, LETTERS)
        self._file.cut_torn_line()

    @property
    def path(self) -> Path:
        return self._file.path

    def write(self, refusals: Iterable[Refusal]) -> None:
        """Append refusals and wait until they are on the disk."""
        self._file.append("".join(_line(refusal) for refusal in refusals).encode(), sync=True)

    def close(self) -> None:
        """Close the file, and remove it when nothing was ever refused."""
        if self._file.is_empty:
            self.path.unlink(missing_ok=True)
        self._file.close()


def read_dead_letters(path: Path) -> Iterator[Document]:
    """The documents of a dead-letter file, each once, the last line of each id.

    Raises:
        SettingsError: the file is no dead-letter file.
        SourceError: it is missing, or a line of it is broken.
    """
    lines = {}
    try:
        for where, line in own_lines(path, LETTERS):
            document = _document(line, where)
            lines[document.id] = document
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=str(path)) from error
    yield from lines.values()


def document_as_json(document: Document) -> dict[str, Any]:
    """What a person can read and :func:`document_from_json` can restore."""
    return {
        "id": document.id,
        "text": document.text,
        "fields": dict(document.fields),
        "dense": None if document.dense is None else document.dense.tolist(),
        "sparse": None if document.sparse is None else dict(document.sparse),
        "origin": document.origin,
    }


def document_from_json(value: Mapping[str, Any]) -> Document:
    """The inverse of :func:`document_as_json`; raises KeyError or TypeError for anything else."""
    dense = value["dense"]
    return Document(
        id=value["id"],
        text=value["text"],
        fields=value["fields"],
        dense=None if dense is None else np.asarray(dense, dtype=np.float32),
        sparse=value["sparse"],
        origin=value["origin"],
    )


def _line(refusal: Refusal) -> str:
    letter = {
        "id": refusal.document.id,
        "item": refusal.item,
        "status": refusal.status,
        "type": refusal.type,
        "reason": refusal.reason,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "document": document_as_json(refusal.document),
    }
    # The standard library's writer: it escapes lone surrogates, which may be the very reason of the refusal.
    return json.dumps(letter, default=str) + "\n"


def _document(line: bytes, where: str) -> Document:
    try:
        return document_from_json(json.loads(line)["document"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"not a line of a dead-letter file: {error!r}", where=where) from error
