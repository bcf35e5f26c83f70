"""What makes a load the same load as an earlier one, so that a journal may continue it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import OpenedIndex, read_settings
from hybrid_search.errors import SourceError
from hybrid_search.read.objects import Seen, address_of, below, is_object, look
from hybrid_search.read.own_files import OwnFiles
from hybrid_search.read.places import is_pattern, matched, matched_objects
from hybrid_search.read.streams import printable
from hybrid_search.settings import Settings

HEAD_BYTES = 65_536


def load_identity(
    source: Path | str,
    settings: Settings,
    encoder: TextEncoder,
    connection: Connection,
    index: OpenedIndex,
) -> Mapping[str, Any]:
    """JSON values by name; a load with any other value starts from the beginning.

    ``source`` is known by its path, or by the place that is given as text, and its splits by themselves; the index by
    its uuid, which a new index of the same name does not share. Settings that cannot change what is indexed are left
    out.
    """
    return {
        "source": _place(source),
        "settings": msgspec.to_builtins(
            {"documents": settings.documents, "text": settings.text, "chunking": settings.chunking}
        ),
        "models": msgspec.to_builtins({"dense": encoder.dense, "sparse": encoder.sparse}),
        "index": {"name": index.name, "uuid": read_settings(connection, index.name)["index.uuid"]},
    }


def source_identity(source: Path, *, exclude: Collection[Path] = ()) -> dict[str, Any]:
    """Path, size, time of change and a hash of the first 64 KiB of a file; for a folder a hash over its files'.

    ``exclude`` names files that the load writes to, which are no part of a folder. Raises SourceError for a source that
    is one of them, or cannot be read.
    """
    if is_object(source):
        return _of_objects(source)
    own = OwnFiles(exclude)
    own.check_source(source)
    try:
        files = [_file_identity(path) for path in _files(source) if path not in own]
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=str(source)) from error
    digest = hashlib.blake2b(msgspec.json.encode(files), digest_size=16).hexdigest()
    return {"path": printable(str(source.resolve())), "files": len(files), "digest": digest}


def _of_objects(source: Path) -> dict[str, Any]:
    """Address and versions; nothing is read."""
    seen: dict[Path, Seen] = matched_objects(source) if is_pattern(source) else {}
    if not seen:
        alone = look(source)
        seen = below(source) if alone is None else {source: alone}
    files = [[address_of(path), one.identity] for path, one in seen.items()]
    digest = hashlib.blake2b(msgspec.json.encode(files), digest_size=16).hexdigest()
    return {"path": printable(address_of(source)), "files": len(files), "digest": digest}


def journal_name(source: Path | str, where: str, index: str) -> str:
    """A file name for the journal of this source, cluster and index."""
    digest = hashlib.blake2b(f"{_place(source)}\n{where}\n{index}".encode(), digest_size=8).hexdigest()
    return f"{index}-{digest}.journal"


def _place(source: Path | str) -> str:
    return printable(source if isinstance(source, str) else str(source.resolve()))


def _files(source: Path) -> Iterator[Path]:
    if is_pattern(source):
        yield from matched(source)
    elif source.is_dir():
        yield from sorted(path for path in source.rglob("*") if path.is_file())
    else:
        yield source


def _file_identity(path: Path) -> list[str | int]:
    status = path.stat()
    with path.open("rb") as file:
        head = hashlib.blake2b(file.read(HEAD_BYTES), digest_size=16).hexdigest()
    return [printable(str(path)), status.st_size, status.st_mtime_ns, head]
