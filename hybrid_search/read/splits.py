"""A source as splits: parts that are read by themselves, side by side, by one process, several, or several machines.

A split is small and can be pickled; :func:`read_split` is a function of it and the settings. The plan of a source is a
function of its bytes, so every process that plans it finds the same splits.

| format | a split is | reading goes on behind |
|---|---|---|
| JSON lines | 64 MiB of a file, cut at line ends | any record |
| Parquet | row groups of 64 MiB together | any row |
| CSV, TSV | a file: where a row begins cannot be told in its middle | any record |
| an index | some 20,000 operations of a shard: :mod:`hybrid_search.read.indexed` | any document |
| texts, pages, office documents | files of 64 MiB together, at most 1,000 | any file |
| whatever else: other layouts of JSON, other encodings, sheets, databases, XML, compressed files | a file | nothing |

What cannot go on is read from its beginning; of bodies of ``_bulk`` reading goes on behind any record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from hybrid_search.engine.ranges import Part
from hybrid_search.errors import SourceError
from hybrid_search.read.columns import row_groups
from hybrid_search.read.compose import compose
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.formats.json_files import is_lines
from hybrid_search.read.formats.registry import REGISTRY, Files
from hybrid_search.read.hub import PREFIX
from hybrid_search.read.indexed import KIND, OPERATION_BYTES, Asked, Origin, is_index, needed, vectors_of
from hybrid_search.read.ir_datasets import is_collection
from hybrid_search.read.raw import OnBad, OnNote, RawRecords, behind_last, refuse, unheard
from hybrid_search.read.sources import file_records, located
from hybrid_search.read.streams import PACKED, STDIN, printable
from hybrid_search.records import Document, ResumePoint
from hybrid_search.settings import DocumentSettings

SPLIT_BYTES = 64 << 20
"""About the bytes of a split: a second or two of encoding nothing, and small enough to be hashed whole."""

MOST_FILES = 1_000
"""Texts of a split."""

HASHED = 2 * SPLIT_BYTES
"""Of what is larger, and cannot be cut, only both ends are hashed, and its time of change counts."""

WHOLE = "whole"
"""The kind of :func:`as_one`."""

_END = 64 << 10
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Split:
    """A part of a source.

    Attributes:
        kind: the format; ``text`` for all files that are one document each.
        files: paths as they were given; several only of texts.
        folder: the folder that relative paths are relative to.
        root: texts: the folder that their ids are relative to.
        begin: the first byte (JSON lines) or row (Parquet).
        end: the byte or row after the last one, None for the end of the file.
        first: the first of its bytes in the file.
        size: how many bytes it has.
        line: the lines of the file before ``begin``, None where they were not counted.
        formats: texts: the format of each file.
        is_alone: whether the source is this one file.
        records_path: where in the file its records are.
        query: what is asked of a database, or of an index.
        part: of an index, in the place of files.
        held: of an index, what tells that it is the same: counts and sums, as long as it has its documents.
    """

    kind: str
    files: tuple[str, ...]
    folder: str
    root: str
    begin: int = 0
    end: int | None = None
    first: int = 0
    size: int = 0
    line: int | None = 0
    formats: tuple[str, ...] = ()
    is_alone: bool = True
    records_path: str | None = None
    query: str | None = None
    part: Part | None = None
    held: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """What it is known by in a later plan of the same source."""
        if self.part is not None:
            return self.part.key
        names = hashlib.blake2b("\n".join(self.files).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        name = printable(str(self.paths[0].resolve())) if len(self.files) == 1 else names
        return f"{name}:{self.begin}" + ("" if self.end is None else f"-{self.end}")

    @property
    def paths(self) -> list[Path]:
        """Its files, for any working directory; as they were given in that of the plan."""
        here = self.folder == str(Path.cwd())
        return [Path(file) if here else Path(self.folder) / file for file in self.files]

    def read_share(self, at: ResumePoint | None) -> float | None:
        """How much of it is before a place, between 0 and 1; None where that is not known."""
        end = len(self.files) if self.kind == "text" else self.end or self.begin + self.size
        if at is None or end <= self.begin:
            return None
        return min(1.0, (at.offset - self.begin) / (end - self.begin))


def can_be_split(source: str | Path) -> bool:
    """Whether a source can be read in parts, and again: files, folders, indices; no pipe, no data set by name."""
    if is_index(source):
        return True
    if str(source) == STDIN or str(source).startswith(PREFIX) or is_collection(source):
        return False
    path = Path(source)
    return path.is_file() or path.is_dir() or not path.exists()


def plan_splits(
    source: str | Path,
    *,
    format: str | None = None,
    exclude: Collection[Path] = (),
    split_bytes: int = SPLIT_BYTES,
    records_path: str | None = None,
    query: str | None = None,
    follow_links: bool = False,
    origin: Origin | None = None,
) -> list[Split]:
    """The splits of a source that :func:`can_be_split`, in the order in which it is read.

    See :func:`hybrid_search.read.sources.documents` for the arguments and for what is raised.
    """
    if is_index(source):
        parts = needed(source, origin).parts(Asked(str(source), query), max(1, split_bytes // OPERATION_BYTES))
        return [_of_index(part, str(source), query) for part in parts]
    found = located(source, format, exclude, follow_links=follow_links)
    folder, root = str(Path.cwd()), str(found.root)
    whole = Split("", (), folder, root, is_alone=found.is_alone, records_path=records_path, query=query)
    try:
        if all(REGISTRY[kind].is_document for _, kind in found.files):
            return _text_splits(found.files, split_bytes, replace(whole, kind="text"))
        return [
            split
            for file, kind in found.files
            for split in _CUTS.get(kind, _whole)(file, split_bytes, replace(whole, kind=kind, files=(str(file),)))
        ]
    except OSError as error:
        raise _unreadable(error, str(source)) from error


def as_one(splits: Sequence[Split]) -> Split:
    """All splits of a source as one, for a reader that must see the whole of it."""
    files = tuple(dict.fromkeys(file for split in splits for file in split.files))
    size, held = sum(split.size for split in splits), tuple(number for split in splits for number in split.held)
    return replace(splits[0], kind=WHOLE, files=files, begin=0, end=None, first=0, size=size, held=held)


def read_split(
    split: Split,
    settings: DocumentSettings,
    *,
    on_bad: OnBad | None = None,
    start: ResumePoint | None = None,
    on_note: OnNote = unheard,
    origin: Origin | None = None,
) -> Iterator[Document]:
    """The documents of a split with their positions; ids are not compared.

    Args:
        split: of any plan, also one that another process has made.
        settings: which field of a record is what.
        on_bad: told of each bad record with its bytes; without it the first bad record ends the reading.
        start: the ``position`` of the last document that is not wanted; only those behind it are read.
        on_note: told what was detected.
        origin: the cluster of a split of an index.

    Raises:
        SourceError: the split cannot be read, or has no place ``start`` any more.
        RecordError: a bad record, unless ``on_bad`` is given.
    """
    report = on_bad or refuse
    if split.part is not None:
        asked = Asked(split.root, split.query, vectors_of(settings))
        records = needed(split.root, origin).records(split.part, asked, start)
    else:
        records = read_records(split, dense=settings.dense, on_bad=report, start=start, on_note=on_note)
    folder = None if split.part is not None else _absolute(split, split.root)
    return compose(records, settings, split.files[0], report, unique_ids=False, may_be_empty=True, folder=folder)


def read_records(
    split: Split,
    *,
    dense: str | None = None,
    on_bad: OnBad = refuse,
    start: ResumePoint | None = None,
    on_note: OnNote = unheard,
) -> RawRecords:
    """The records of a split as they come; see :func:`read_split`."""
    paths, root = split.paths, _absolute(split, split.root)
    given = InputFile(
        paths[0],
        root,
        on_bad,
        on_note,
        dense=dense,
        records_path=split.records_path,
        query=split.query,
        is_alone=split.is_alone,
    )
    if split.kind == "text":
        for number, (path, kind) in enumerate(zip(paths, split.formats, strict=True)):
            if start is None or number >= start.offset:
                yield from behind_last(file_records(replace(given, path=path), kind), ResumePoint(number + 1, 1))
        return
    if start is None and split.begin:
        start = ResumePoint(split.begin, lines_before(split) if split.line is None else split.line)
    yield from file_records(replace(given, start=start, stop=split.end), split.kind)


def lines_before(split: Split, known: tuple[int, int] = (0, 0)) -> int:
    """The lines of the file before a split, counted from a ``known`` place on: its byte, and the lines before that."""
    place, lines = known
    with split.paths[0].open("rb") as file:
        file.seek(place)
        while place < split.begin and (block := file.read(min(_BLOCK, split.begin - place))):
            lines += block.count(b"\n")
            place += len(block)
    return lines


def times_of(split: Split) -> list[int]:
    """Size, time of change and inode of each file: while they stay, so does the content."""
    if split.part is not None:
        return [*split.held]
    try:
        return [
            value
            for status in (path.stat() for path in split.paths)
            for value in (status.st_size, status.st_mtime_ns, status.st_ino)
        ]
    except OSError as error:
        raise _unreadable(error, split.files[0]) from error


def fingerprint(split: Split) -> str:
    """32 hexadecimal digits that change with the bytes of a split; of more than 128 MiB see :data:`HASHED`."""
    digest = hashlib.blake2b(digest_size=16)
    if split.part is not None:
        digest.update(f"{split.key} {split.held}".encode())
        return digest.hexdigest()
    try:
        if split.kind == "parquet":
            digest.update(row_groups(split.paths[0])[0].encode())  # the names of columns are at the end of the file
        for path in split.paths:
            status = path.stat()
            size = status.st_size if len(split.files) > 1 else split.size
            with path.open("rb") as file:
                for place, length in _hashed(split.first, size):
                    file.seek(place)
                    _hash(file, length, digest)
            if size > HASHED:
                digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    except OSError as error:
        raise _unreadable(error, split.files[0]) from error
    return digest.hexdigest()


def _hashed(first: int, size: int) -> Sequence[tuple[int, int]]:
    return [(first, size)] if size <= HASHED else [(first, _END), (first + size - _END, _END)]


def _hash(file: BinaryIO, length: int, digest: hashlib.blake2b) -> None:
    digest.update(f"{length} ".encode())
    while length > 0 and (block := file.read(min(_BLOCK, length))):
        digest.update(block)
        length -= len(block)


def _of_index(part: Part, source: str, query: str | None) -> Split:
    return Split(
        KIND,
        (part.index,),
        str(Path.cwd()),
        source,
        begin=part.begin,
        end=part.end,
        size=part.held.count,
        query=query,
        part=part,
        held=(part.held.count, part.held.sum),
    )


def _whole(file: Path, _split_bytes: int, whole: Split) -> Iterator[Split]:
    yield replace(whole, size=_size(file))


def _line_ranges(file: Path, split_bytes: int, whole: Split) -> Iterator[Split]:
    """Ranges of whole lines: each begins with the first line that begins at or behind a multiple of ``split_bytes``."""
    size = _size(file)
    if size <= split_bytes or whole.records_path is not None or _is_packed(file) or not is_lines(file):
        yield replace(whole, size=size)
        return
    begin = 0
    with file.open("rb") as stream:
        for mark in range(split_bytes, size, split_bytes):
            if mark <= begin:
                continue  # inside a line that is longer than a split
            stream.seek(mark - 1)
            while (rest := stream.readline(_BLOCK)) and not rest.endswith(b"\n"):
                pass
            end = stream.tell()
            if end >= size:
                break
            yield _lines(whole, begin, end, size)
            begin = end
    yield _lines(whole, begin, None, size)


def _lines(whole: Split, begin: int, end: int | None, size: int) -> Split:
    length = (size if end is None else end) - begin
    return replace(whole, begin=begin, end=end, first=begin, size=length, line=None if begin else 0)


def _row_ranges(file: Path, split_bytes: int, whole: Split) -> Iterator[Split]:
    """Ranges of whole row groups."""
    _, groups = row_groups(file)
    row = first = 0
    for number, group in enumerate(groups):
        rows = sum(one.rows for one in groups[first : number + 1])
        length = group.begin + group.size - groups[first].begin
        if length >= split_bytes or number == len(groups) - 1:
            yield replace(whole, begin=row, end=row + rows, first=groups[first].begin, size=length, line=row)
            row, first = row + rows, number + 1


def _text_splits(files: Files, split_bytes: int, whole: Split) -> list[Split]:
    splits: list[Split] = []
    group: Files = []
    length = 0
    for file in files:
        group.append(file)
        length += _size(file[0])
        if length >= split_bytes or len(group) == MOST_FILES:
            splits.append(_group_of(group, length, whole))
            group, length = [], 0
    return [*splits, _group_of(group, length, whole)] if group else splits


def _group_of(files: Files, size: int, whole: Split) -> Split:
    names, formats = zip(*((str(file), kind) for file, kind in files), strict=True)
    return replace(whole, files=names, formats=formats, size=size)


_CUTS = {"jsonl": _line_ranges, "parquet": _row_ranges}


def _absolute(split: Split, path: str) -> Path:
    return Path(path) if split.folder == str(Path.cwd()) else Path(split.folder) / path


def _size(file: Path) -> int:
    return file.stat().st_size


def _is_packed(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(8).startswith(tuple(PACKED.values()))


def _unreadable(error: OSError, place: str) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError("no such file or folder", where=place, remedy="Check the path")
    return SourceError(f"cannot be read: {error.strerror or error}", where=place)
