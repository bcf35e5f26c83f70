"""A copy as a folder of Parquet files: a table that anybody reads, and one file of JSON that says what it is of.

| column | type | what |
|---|---|---|
| id | string | of the passage: that of the document, ``#`` and its number |
| doc_id | string | of the document |
| passage | int32 | its number, from 0 |
| start, end | int32 | where its text is in that of the document, in characters |
| text | string | the passage |
| fields | string | the fields of the document as its source has them, JSON |
| indexed | string | what is filtered on and searched beside the text, as the index has it, JSON; may be null |
| content_hash, source, load, passages | string, string, int64, int32 | where it comes from |
| dense | list of float32 | its vector; null without one |
| sparse | map of string to double | weights by term; null without any |

Each file is a bulk, written beside its place and moved there when it is on the disk. ``hybrid-search-index.json`` is
written last: without it a folder is no copy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
import numpy as np
import orjson

from hybrid_search.copying.stored import Bulk, Compared, Facts, Origin, StoredPassage, differences, pages
from hybrid_search.engine import layout
from hybrid_search.engine.layout import DENSE, SPARSE
from hybrid_search.errors import IngestError, SourceError
from hybrid_search.private_files import FILE, make_folder
from hybrid_search.records import ResumePoint

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
WHOLE, BEGUN = "hybrid-search-index.json", "hybrid-search-copy.json"
"""What says that a folder is a copy, and that one was begun."""
PLAIN = (
    *(layout.DOC_ID, layout.PASSAGE, layout.START, layout.END, layout.TEXT),
    *(layout.CONTENT_HASH, layout.SOURCE, layout.LOAD, layout.PASSAGES),
)
"""Columns that are values of a passage as they are."""
INDEXED = "indexed"
NAME = re.compile(r"passages-\d{5,}\.parquet")
"""Of a file of passages; no other is read or removed, whatever a folder says of itself."""
ROWS = 500
"""Of a group of rows, and of what is held at a time."""


class Manifest(msgspec.Struct, frozen=True):
    """What the one file of JSON says: what was copied, and how many passages each file has."""

    hybrid_search: str
    format: int
    of: str
    facts: Facts
    files: dict[str, int]


class Begun(msgspec.Struct, frozen=True):
    """What a copy that was begun is known by: its source, the bulks of that as they were, the names of its files."""

    of: str
    held: list[Any]
    files: list[str]


class FolderOrigin:
    """A folder that is copied from.

    Raises:
        SourceError: it is no copy, is not whole, or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder.resolve())
        self._manifest = _manifest(folder)
        self.facts = self._manifest.facts
        self._names = sorted(self._manifest.files)
        for name in self._names:
            if not (folder / name).is_file():
                raise SourceError(f"the copy lacks {name}", where=str(folder), remedy="Copy the index again")

    def bulks(self) -> Sequence[Bulk]:
        """Its files."""
        found = []
        for name in self._names:
            status = (self._folder / name).stat()
            found.append(Bulk(name, (status.st_size, status.st_mtime_ns), self._manifest.files[name]))
        return found

    def read(self, number: int, start: ResumePoint | None = None) -> Iterator[StoredPassage]:
        """The passages of a file, behind a row of it."""
        row, begin = 0, 0 if start is None else start.offset
        for batch in _batches(self._folder / self._names[number]):
            if row + batch.num_rows <= begin:
                row += batch.num_rows
                continue
            for values in _rows(batch):
                row += 1
                if row > begin:
                    yield StoredPassage(values.pop("id"), values, ResumePoint(row, row))

    def close(self) -> None:
        """There is nothing to close."""


class FolderTarget:
    """Writes a copy; see :func:`hybrid_search.copying.copy_index`.

    Raises:
        IngestError: there is something in the folder, and it is no unfinished copy of the same.
    """

    def __init__(self, folder: Path, origin: Origin) -> None:
        self._folder = folder
        self._origin = origin
        self._bulks = origin.bulks()
        self.where = str(folder)
        self.notes: list[str] = []

    def begin(self) -> bool:
        """Make the folder, or go on with it; whether it is a copy that is whole already."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        make_folder(self._folder)
        self._remove(
            chain(self._folder.glob(".passages-*.parquet.tmp"), self._folder.glob(".hybrid-search-*.json.tmp"))
        )
        plan = _plan(self._origin, self._bulks)
        there = sorted(path.name for path in self._folder.iterdir())
        known = self._begun()
        if there and known is None:
            self._refuse(f"holds {', '.join(there[:3])}{' ...' if len(there) > 3 else ''}")
        if known == plan:
            return all((self._folder / name).is_file() for name in (*plan.files, WHOLE))
        if known is not None:
            if known.of != plan.of or (self._folder / WHOLE).is_file():
                self._refuse(f"is a copy of {known.of}, as it was")
            self.notes.append("the source has changed since the copy was begun, which is therefore begun anew")
            self._remove(self._folder / name for name in (*known.files, WHOLE))
        _write_whole(self._folder / BEGUN, msgspec.json.encode(plan))
        return False

    def _begun(self) -> Begun | None:
        """What was begun here; refuses what others may have written: its files are removed by their names."""
        try:
            found = msgspec.json.decode((self._folder / BEGUN).read_bytes(), type=Begun)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError:
            found = None
        if found is None or not all(map(NAME.fullmatch, found.files)):
            self._refuse(f"has a {BEGUN} that is none of ours")
        return found

    def write(self) -> int:
        """Write the files that are not there; how many passages those hold."""
        written = 0
        for number, bulk in enumerate(self._bulks):
            if not (self._folder / _name(number)).exists():
                self._write_bulk(number)
                written += bulk.passages
        return written

    def finish(self) -> None:
        """Say that it is whole."""
        files = {_name(number): bulk.passages for number, bulk in enumerate(self._bulks)}
        manifest = Manifest("index", FORMAT, self._origin.where, self._origin.facts, files)
        _write_whole(self._folder / WHOLE, msgspec.json.format(msgspec.json.encode(manifest), indent=2))

    def compare(self, *, deep: bool) -> Compared:
        """The rows of the files, and with ``deep`` every passage."""
        from pyarrow import ArrowException

        wrong: list[str] = []
        for number, bulk in enumerate(self._bulks):
            path = self._folder / _name(number)
            try:
                wrong += self._wrong(path, number, bulk, deep=deep)
            except ArrowException:
                wrong.append(f"{path.name} is broken")
        return Compared(sum(bulk.passages for bulk in self._bulks), tuple(wrong))

    def _wrong(self, path: Path, number: int, bulk: Bulk, *, deep: bool) -> Iterator[str]:
        from pyarrow import parquet

        with path.open("rb") as opened:
            file = parquet.ParquetFile(opened)
            rows = file.metadata.num_rows
            if rows != bulk.passages:
                yield f"{path.name} has {rows:,} passages, not {bulk.passages:,}"
            elif deep:
                held = (values for batch in file.iter_batches(ROWS) for values in _rows(batch))
                yield from _unlike(self._origin.read(number), held)

    def _write_bulk(self, number: int) -> None:
        from pyarrow import parquet

        dense = self._origin.facts.schema.dense
        schema = _arrow_schema(None if dense is None else dense.dimension)
        path = self._folder / _name(number)
        beside = self._folder / f".{path.name}.tmp"
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE), "wb") as file:
                with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
                    for page in pages(self._origin.read(number), ROWS):
                        writer.write_batch(_batch(page, schema))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            _sync(self._folder)
        except OSError as error:
            remedy = "Make room, then run the same command again: it goes on"
            raise IngestError(f"cannot be written: {error.strerror}", where=str(path), remedy=remedy) from error

    def _remove(self, paths: Iterator[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    def _refuse(self, what: str) -> NoReturn:
        raise IngestError(f"the folder {what}", where=str(self._folder), remedy="Name an empty folder, or a new one")


def _name(number: int) -> str:
    return f"passages-{number:05}.parquet"


def _plan(origin: Origin, bulks: Sequence[Bulk]) -> Begun:
    """What a copy is of: one that was begun is known by it."""
    return Begun(
        of=origin.where,
        held=[[bulk.key, *bulk.held] for bulk in bulks],
        files=[_name(number) for number in range(len(bulks))],
    )


def _manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise SourceError("no such folder", where=str(folder), remedy="Check the path")
    path = folder / WHOLE
    if not path.is_file():
        begun = (folder / BEGUN).is_file()
        what = "the copy was not finished" if begun else f"no copy of an index: it has no {WHOLE}"
        raise SourceError(what, where=str(folder), remedy="Make it, or finish it: hybrid-search copy INDEX FOLDER/")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        remedy = "Use the version of hybrid-search that wrote it"
        raise SourceError(f"is not what this version reads: {error}", where=str(path), remedy=remedy) from error
    if found.format != FORMAT:
        remedy = "Use the version of hybrid-search that wrote it"
        raise SourceError(f"is of format {found.format}, this version reads {FORMAT}", where=str(path), remedy=remedy)
    if foreign := [name for name in found.files if not NAME.fullmatch(name)]:
        what = f"names {foreign[0]!r:.80}, which is no file of a copy"
        raise SourceError(what, where=str(path), remedy="Copy the index again")
    return found


def _arrow_schema(dimension: int | None) -> pa.Schema:
    import pyarrow as pa

    text, small = pa.string(), pa.int32()
    types = {
        "id": text,
        layout.DOC_ID: text,
        layout.PASSAGE: small,
        layout.START: small,
        layout.END: small,
        layout.TEXT: text,
        layout.FIELDS: text,
        INDEXED: text,
        layout.CONTENT_HASH: text,
        layout.SOURCE: text,
        layout.LOAD: pa.int64(),
        layout.PASSAGES: small,
        DENSE: pa.list_(pa.float32(), dimension if dimension is not None else -1),
        SPARSE: pa.map_(text, pa.float64()),
    }
    return pa.schema(list(types.items()))


def _batch(page: Sequence[StoredPassage], schema: pa.Schema) -> pa.RecordBatch:
    """A page as a table."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {name: [one.values.get(name) for one in page] for name in PLAIN}
    columns["id"] = [one.id for one in page]
    columns[layout.FIELDS] = [_json(one.values.get(layout.FIELDS)) for one in page]
    named = {*PLAIN, layout.FIELDS, DENSE, SPARSE}
    columns[INDEXED] = [_json({k: v for k, v in one.values.items() if k not in named} or None) for one in page]
    columns[DENSE] = [one.values.get(DENSE) for one in page]
    columns[SPARSE] = [None if (held := one.values.get(SPARSE)) is None else list(held.items()) for one in page]
    return pa.RecordBatch.from_pydict({name: columns[name] for name in schema.names}, schema=schema)


def _batches(path: Path) -> Iterator[Any]:
    from pyarrow import ArrowException, parquet

    try:
        with path.open("rb") as file:
            yield from parquet.ParquetFile(file).iter_batches(ROWS)
    except ArrowException as error:
        raise SourceError(f"is broken: {error}", where=str(path), remedy="Copy the index again") from error


def _rows(batch: Any) -> Iterator[dict[str, Any]]:
    """The values of each passage, and its ``id``."""
    columns = {name: batch.column(name).to_pylist() for name in batch.schema.names if name != DENSE}
    dense = batch.column(DENSE)
    for row in range(batch.num_rows):
        values = {name: columns[name][row] for name in ("id", *PLAIN) if columns[name][row] is not None}
        for name, known in ((layout.FIELDS, layout.FIELDS), (INDEXED, None)):
            if (text := columns[name][row]) is not None:
                values |= orjson.loads(text) if known is None else {known: orjson.loads(text)}
        if dense[row].is_valid:
            values[DENSE] = dense[row].values.to_numpy(zero_copy_only=False).astype(np.float32)
        if columns[SPARSE][row] is not None:
            values[SPARSE] = dict(columns[SPARSE][row])
        yield values


def _unlike(wanted: Iterator[StoredPassage], held: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    for one, there in zip(wanted, held, strict=True):
        if there["id"] != one.id:
            yield f"{one.id} is missing: {there['id']} is in its place"
        elif names := list(differences(one, {k: v for k, v in there.items() if k != "id"}, rounded=False)):
            yield f"{one.id} has another {', '.join(names)}"


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, and move it there when it is on the disk."""
    beside = path.with_name(f".{path.name}.tmp")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Let the disk know the names in a folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
