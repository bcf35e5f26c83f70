"""The file of documents that were refused, one JSON object a line, for people to read and ``replay`` to send again.

A line is on the disk before the journal says that its document is settled, so a crash cannot lose it. It holds the
document itself, as it came from the source, and says for which index and cluster it was, of which source and load;
a document that is refused again after a replay is written again.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hybrid_search.errors import SourceError
from hybrid_search.images import ImageSource, KeptImage
from hybrid_search.ingest.state.lines import JSON_STRING, Kind, LineFile, header_record, own_lines
from hybrid_search.ingest.work import Refusal
from hybrid_search.records import Document, Fingerprint

_RELEASED = re.compile(
    rf'\{{\s*"id":\s*{JSON_STRING},\s*"item":\s*{JSON_STRING},\s*"status":\s*\d+,\s*"type":\s*{JSON_STRING},\s*"reason":'.encode()
)
_ORIGIN = ("source", "load", "index", "uuid", "cluster")
LETTERS = Kind("dead letters", header_record("dead letters") + b"\n", lambda head: bool(_RELEASED.match(head)))


@dataclass(frozen=True, slots=True)
class LetterOrigin:
    """Where a letter belongs.

    Attributes:
        source: the source's name.
        load: the number of the load that wrote the letter; a later load may have settled its document.
        index: the index's name, no alias.
        uuid: the index's uuid, which a new index of the same name does not share.
        cluster: the cluster's address, without credentials.
    """

    source: str
    load: int
    index: str
    uuid: str
    cluster: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A line of a dead-letter file: the document, why it was refused, and where it belongs.

    ``origin`` is None in lines of the first release, which did not say. ``time`` is ISO-8601 in UTC; the rest is as in
    :class:`hybrid_search.ingest.work.Refusal`.
    """

    document: Document
    origin: LetterOrigin | None
    item: str
    status: int
    type: str
    reason: str
    time: str


class DeadLetters:
    """An open dead-letter file; ``origin`` is written into each of its new lines."""

    def __init__(self, path: Path, origin: LetterOrigin | None = None) -> None:
        """Open or begin the file; see :class:`hybrid_search.ingest.state.lines.LineFile` for what is raised."""
        self._origin = {} if origin is None else asdict(origin)
        self._file = LineFile(path, LETTERS)
        self._file.cut_torn_line()

    @property
    def path(self) -> Path:
        return self._file.path

    def belong_to(self, origin: LetterOrigin) -> None:
        """Say where the letters that follow belong: the number of a load is known after its files are open."""
        self._origin = asdict(origin)

    def write(self, refusals: Iterable[Refusal]) -> None:
        """Append refusals and wait until they are on the disk."""
        self._file.append("".join(self._line(refusal) for refusal in refusals).encode(), sync=True)

    def close(self) -> None:
        """Close the file, and remove it when nothing was ever refused."""
        if self._file.is_empty:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _line(self, refusal: Refusal) -> str:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        letter = {
            **refusal.as_json(),
            "time": now,
            **self._origin,
            "document": document_as_json(refusal.document),
        }
        # The standard library's writer: it escapes lone surrogates, which may be the very reason of the refusal.
        return json.dumps(letter, default=str) + "\n"


def read_letters(path: Path) -> Iterator[Letter]:
    """The letters of a file, one for each document and index: the last one, in the order of the file.

    The file is read twice, so that memory holds the ids and not the documents. A letter of the first release gives
    way to any later one of its document.

    Raises:
        SettingsError: the file is no dead-letter file.
        SourceError: it is missing, or a line of it is broken.
    """
    last: dict[tuple[str, str | None], str] = {}
    for where, letter in _letters(path):
        id_ = letter.document.id
        last.pop((id_, None), None)
        last[id_, None if letter.origin is None else letter.origin.uuid] = where
    wanted = set(last.values())
    yield from (letter for where, letter in _letters(path) if where in wanted)


def document_as_json(document: Document) -> dict[str, Any]:
    """What a person can read and :func:`document_from_json` can restore."""
    return {
        "id": document.id,
        "text": document.text,
        "fields": dict(document.fields),
        "dense": None if document.dense is None else document.dense.tolist(),
        "sparse": None if document.sparse is None else dict(document.sparse),
        "origin": document.origin,
        "texts": dict(document.texts),
        **({"images": [_image_as_json(image) for image in document.images]} if document.images else {}),
    }


def _image_as_json(image: ImageSource) -> dict[str, Any]:
    data = None if image.data is None else base64.b64encode(image.data).decode("ascii")
    kept = {} if image.kept is None else {"kept": _kept_as_json(image.kept)}
    return {"path": image.path, "url": image.url, "data": data, **kept}


def _kept_as_json(kept: KeptImage) -> dict[str, Any]:
    return {
        "model": None if kept.model is None else msgspec.to_builtins(kept.model),
        "vector": None if kept.vector is None else kept.vector.tolist(),
        "thumbnail": base64.b64encode(kept.thumbnail).decode("ascii"),
        "beside_vectors": kept.beside_vectors,
    }


def _image_from_json(value: Mapping[str, Any]) -> ImageSource:
    data = None if value["data"] is None else base64.b64decode(value["data"])
    kept = None if "kept" not in value else _kept_from_json(value["kept"])
    return ImageSource(value["path"], data, value["url"], kept)


def _kept_from_json(value: Mapping[str, Any]) -> KeptImage:
    return KeptImage(
        None if value["model"] is None else msgspec.convert(value["model"], Fingerprint),
        None if value["vector"] is None else np.asarray(value["vector"], dtype=np.float32),
        base64.b64decode(value["thumbnail"]),
        bool(value["beside_vectors"]),
    )


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
        texts=value.get("texts", {}),
        images=tuple(map(_image_from_json, value.get("images", ()))),
    )


def _letters(path: Path) -> Iterator[tuple[str, Letter]]:
    try:
        for where, line in own_lines(path, LETTERS):
            yield where, _letter(line, where)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _letter(line: bytes, where: str) -> Letter:
    try:
        values = json.loads(line)
        origin = LetterOrigin(*(values[name] for name in _ORIGIN)) if "uuid" in values else None
        told = (values[name] for name in ("item", "status", "type", "reason", "time"))
        return Letter(document_from_json(values["document"]), origin, *told)
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"not a line of a dead-letter file: {error!r}", where=where) from error
