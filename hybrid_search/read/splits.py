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
from hybrid_search.read.hashed import hash_part
from hybrid_search.read.hub import PREFIX
from hybrid_search.read.indexed import KIND, OPERATION_BYTES, Asked, Origin, is_index, needed, vectors_of
from hybrid_search.read.ir_datasets import is_collection
from hybrid_search.read.objects import is_object
from hybrid_search.read.raw import OnBad, OnNote, RawRecords, behind_last, refuse, unheard
from hybrid_search.read.sources import Located, file_records, located
from hybrid_search.read.storage import open_binary
from hybrid_search.read.streams import PACKED, STDIN, printable
from hybrid_search.records import Document, ResumePoint
from hybrid_search.settings import DocumentSettings

SPLIT_BYTES = 64 << 20
"""About the bytes of a split: a second or two of encoding nothing, and small enough to be hashed whole."""

MOST_FILES = 1_000
"""Texts of a split."""

WHOLE = "whole"
"""The kind of :func:`as_one`."""

_BLOCK = 1 << 20
_LOOK = 16 << 10
"""Bytes of an object that are asked for to find the end of a line."""


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
        versions: of objects, that of each, which is the only one that is read.
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
    versions: tuple[str, ...] = ()
    held: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """What it is known by in a later plan of the same source."""
        if self.part is not None:
            return self.part.key
        names = hashlib.blake2b("\n".join(self.files).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        path = self.paths[0]
        whole = path if is_object(path) else path.resolve()
        name = printable(str(whole)) if len(self.files) == 1 else names
        return f"{name}:{self.begin}" + ("" if self.end is None else f"-{self.end}")

    @property
    def paths(self) -> list[Path]:
        """Its files, for any working directory; as they were given in that of the plan."""
        return [_absolute(self, file) for file in self.files]

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
    return is_object(path) or path.is_file() or path.is_dir() or not path.exists()


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
            return _text_splits(found, split_bytes, replace(whole, kind="text"))
        return [
            split
            for file, kind in found.files
            for split in _CUTS.get(kind, _uncut)(file, split_bytes, _of_file(file, kind, found, whole))
        ]
    except OSError as error:
        raise _unreadable(error, str(error.filename or source)) from error


def as_one(splits: Sequence[Split]) -> Split:
    """All splits of a source as one, for a reader that must see the whole of it."""
    files = tuple(dict.fromkeys(file for split in splits for file in split.files))
    size, held = sum(split.size for split in splits), tuple(number for split in splits for number in split.held)
    known = {file: version for split in splits for file, version in zip(split.files, split.versions, strict=False)}
    whole = replace(splits[0], kind=WHOLE, files=files, begin=0, end=None, first=0, size=size, held=held)
    return replace(whole, versions=tuple(known.values()))  # files of the disk have none


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
        version=split.versions[0] if split.versions else None,
    )
    if split.kind == "text":
        versions = split.versions or [None] * len(paths)
        for number, (path, kind, version) in enumerate(zip(paths, split.formats, versions, strict=True)):
            if start is None or number >= start.offset:
                one = replace(given, path=path, version=version)
                yield from behind_last(file_records(one, kind), ResumePoint(number + 1, 1))
        return
    if start is None and split.begin:
        start = ResumePoint(split.begin, lines_before(split) if split.line is None else split.line)
    yield from file_records(replace(given, start=start, stop=split.end), split.kind)


def lines_before(split: Split, known: tuple[int, int] = (0, 0)) -> int:
    """The lines of the file before a split, counted from a ``known`` place on: its byte, and the lines before that."""
    place, lines = known
    with open_binary(split.paths[0], split.versions[0] if split.versions else None) as file:
        file.seek(place)
        while place < split.begin and (block := file.read(min(_BLOCK, split.begin - place))):
            lines += block.count(b"\n")
            place += len(block)
    return lines


def times_of(split: Split) -> list[int]:
    """Size, time of change and inode of each file, the version of an object: while they stay, so does the content."""
    if split.part is not None:
        return [*split.held]
    if split.versions:
        return [int(fingerprint(split)[:12], 16)]
    try:
        return [
            value
            for status in (path.stat() for path in split.paths)
            for value in (status.st_size, status.st_mtime_ns, status.st_ino)
        ]
    except OSError as error:
        raise _unreadable(error, split.files[0]) from error


def fingerprint(split: Split) -> str:
    """32 hexadecimal digits that change with the bytes of a split; for large ones see :func:`hash_part`."""
    digest = hashlib.blake2b(digest_size=16)
    if split.part is not None:
        digest.update(f"{split.key} {split.held}".encode())
        return digest.hexdigest()
    if split.versions:
        digest.update(f"{split.versions} {split.begin} {split.end}".encode())
        return digest.hexdigest()
    try:
        if split.kind == "parquet":
            digest.update(row_groups(split.paths[0])[0].encode())  # the names of columns are at the end of the file
        for path in split.paths:
            hash_part(path, split.first, path.stat().st_size if len(split.files) > 1 else split.size, digest)
    except OSError as error:
        raise _unreadable(error, split.files[0]) from error
    return digest.hexdigest()


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


def _of_file(file: Path, kind: str, found: Located, whole: Split) -> Split:
    """A file as one split; all that is known of an object was said by the list of objects."""
    version = found.version(file)
    versions = () if version is None else (version,)
    return replace(whole, kind=kind, files=(str(file),), size=_size(file, found), versions=versions)


def _uncut(_file: Path, _split_bytes: int, whole: Split) -> Iterator[Split]:
    yield whole


def _line_ranges(file: Path, split_bytes: int, whole: Split) -> Iterator[Split]:
    """Ranges of whole lines: each begins with the first line that begins at or behind a multiple of ``split_bytes``."""
    size, version = whole.size, whole.versions[0] if whole.versions else None
    is_small = size <= split_bytes or whole.records_path is not None
    if is_small or _is_packed(file, version) or not is_lines(file, version):
        yield whole
        return
    begin = 0
    with open_binary(file, version, first=_LOOK) as stream:
        for mark in range(split_bytes, size, split_bytes):
            if mark <= begin:
                continue  # inside a line that is longer than a split
            if (end := _line_end(stream, mark - 1)) >= size:
                break
            yield _lines(whole, begin, end, size)
            begin = end
    yield _lines(whole, begin, None, size)


def _line_end(stream: BinaryIO, place: int) -> int:
    """The place behind the next line end from a place on."""
    stream.seek(place)
    while (rest := stream.readline(_BLOCK)) and not rest.endswith(b"\n"):
        pass
    return stream.tell()


def _lines(whole: Split, begin: int, end: int | None, size: int) -> Split:
    length = (size if end is None else end) - begin
    return replace(whole, begin=begin, end=end, first=begin, size=length, line=None if begin else 0)


def _row_ranges(file: Path, split_bytes: int, whole: Split) -> Iterator[Split]:
    """Ranges of whole row groups."""
    _, groups = row_groups(file, whole.versions[0] if whole.versions else None)
    row = first = 0
    for number, group in enumerate(groups):
        rows = sum(one.rows for one in groups[first : number + 1])
        length = group.begin + group.size - groups[first].begin
        if length >= split_bytes or number == len(groups) - 1:
            yield replace(whole, begin=row, end=row + rows, first=groups[first].begin, size=length, line=row)
            row, first = row + rows, number + 1


def _text_splits(found: Located, split_bytes: int, whole: Split) -> list[Split]:
    splits: list[Split] = []
    group: Files = []
    length = 0
    for file in found.files:
        group.append(file)
        length += _size(file[0], found)
        if length >= split_bytes or len(group) == MOST_FILES:
            splits.append(_group_of(group, length, found, whole))
            group, length = [], 0
    return [*splits, _group_of(group, length, found, whole)] if group else splits


def _group_of(files: Files, size: int, found: Located, whole: Split) -> Split:
    names, formats = zip(*((str(file), kind) for file, kind in files), strict=True)
    versions = tuple(version for file, _ in files if (version := found.version(file)) is not None)
    return replace(whole, files=names, formats=formats, size=size, versions=versions)


_CUTS = {"jsonl": _line_ranges, "parquet": _row_ranges}


def _absolute(split: Split, path: str) -> Path:
    is_as_given = is_object(path) or split.folder == str(Path.cwd())
    return Path(path) if is_as_given else Path(split.folder) / path


def _size(file: Path, found: Located) -> int:
    return found.seen[file].size if file in found.seen else file.stat().st_size


def _is_packed(file: Path, version: str | None) -> bool:
    with open_binary(file, version, first=_LOOK) as stream:
        return stream.read(8).startswith(tuple(PACKED.values()))


def _unreadable(error: OSError, place: str) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError("no such file or folder", where=place, remedy="Check the path")
    return SourceError(f"cannot be read: {error.strerror or error}", where=place)
