"""Which reader a source needs, and the documents that it gives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from hybrid_search.errors import RecordError, SettingsError, SourceError
from hybrid_search.read.beir import packed_variant
from hybrid_search.read.columns import read_parquet
from hybrid_search.read.compose import compose
from hybrid_search.read.hub import PREFIX, read_hub
from hybrid_search.read.jsonl import read_jsonl
from hybrid_search.read.own_files import OwnFiles
from hybrid_search.read.raw import OnBad, RawRecords, refuse
from hybrid_search.read.repeated import Repetitions, settled
from hybrid_search.read.streams import STDIN, opened, shown
from hybrid_search.read.tables import read_csv, read_tsv
from hybrid_search.read.texts import TEXT, read_texts, suffix_of, text_files
from hybrid_search.records import Document, ResumePoint
from hybrid_search.settings import DocumentSettings
from hybrid_search.settings.documents import LAST, REFUSE

STREAMED: dict[str, Callable[..., RawRecords]] = {
    "jsonl": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
}
"""Formats that are read from a stream of bytes, so from standard input too."""

FORMATS = (*STREAMED, "parquet", "text")
SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    **dict.fromkeys(TEXT, "text"),
}


def documents(
    source: str | Path,
    settings: DocumentSettings,
    *,
    on_bad: OnBad | None = None,
    format: str | None = None,
    unique_ids: bool = True,
    exclude: Collection[Path] = (),
    repetitions: Repetitions | None = None,
) -> Iterator[Document]:
    """The documents of a source, read one at a time.

    Args:
        source: a file; a folder (BEIR, parts of one format, or text and Markdown files); ``-`` for standard input;
            ``hf:NAME`` for a data set of the Hugging Face hub. Gzip and Zstandard are undone.
        settings: which field of a record is what; see :class:`hybrid_search.read.compose.Composer`.
        on_bad: told of each bad record with its bytes; without it the first bad record ends the reading.
        format: one of ``FORMATS``, where the suffix does not tell it.
        unique_ids: False leaves repeated ids to the caller, who then need not have room for all of them in memory.
        exclude: files that the load writes to, which are no part of a folder.
        repetitions: counts the documents that ``documents.repeated_ids`` left out or numbered.

    Raises:
        SettingsError: ``documents.repeated_ids`` is ``last`` and the source a pipe, which cannot be read twice.
        SourceError: the source is missing, broken, of an unknown format, one of ``exclude``, or holds no document.
        RecordError: a bad record, unless ``on_bad`` is given.
        MissingExtraError: a data set of the hub without the library for it.
    """
    rule = settings.repeated_ids

    def read(report: OnBad) -> Iterator[Document]:
        found = records(source, format=format, dense=settings.dense, on_bad=report, exclude=exclude)
        return compose(found, settings, shown(source), report, unique_ids=unique_ids and rule == REFUSE)

    if rule == LAST and str(source) == STDIN:
        remedy = "Write it to a file first, or set first or number"
        raise SettingsError('is "last", and a pipe is read once', where="documents.repeated_ids", remedy=remedy)
    documents = read(on_bad or refuse)
    if rule == REFUSE:
        return documents
    return settled(documents, rule, lambda: read(_pass_over), repetitions or Repetitions())


def _pass_over(_error: RecordError, _data: bytes) -> None:
    """Bad records are told of when they are read for good."""


def records(
    source: str | Path,
    *,
    format: str | None = None,
    dense: str | None = None,
    on_bad: OnBad = refuse,
    exclude: Collection[Path] = (),
) -> RawRecords:
    """The records of a source as they come, before settings say what each field is.

    ``dense`` names a field of dense vectors, which Parquet then gives as numpy arrays; for the rest, and for what is
    raised, see :func:`documents`.
    """
    if str(source).startswith(PREFIX):
        _check_format(source, format)
        yield from read_hub(str(source))
        return
    found = located(source, format, exclude)
    if found.kind == "text":
        yield from read_texts(found.files, found.root, on_bad)
        return
    for file in found.files:
        yield from file_records(file, found.kind, on_bad, dense=dense)


class Located(NamedTuple):
    """The files of a source in the order of reading, their format, and the folder that names are relative to."""

    kind: str
    files: list[Path]
    root: Path


def located(source: str | Path, format: str | None = None, exclude: Collection[Path] = ()) -> Located:
    """Which files a source has, and in which format; ``-`` is a file of its own.

    Raises:
        SourceError: it is missing, of an unknown format, or one of ``exclude``.
    """
    _check_format(source, format)
    path, own = Path(source), OwnFiles(exclude)
    own.check_source(path)
    if path.is_dir():
        return Located(*_parts(path, format, own), path)
    return Located(format or format_of(path), [path], path.parent)


def file_records(
    file: Path,
    kind: str,
    on_bad: OnBad,
    *,
    dense: str | None = None,
    start: ResumePoint | None = None,
    end: int | None = None,
) -> RawRecords:
    """The records of one file that is no text, from ``start`` on and to ``end``; see the readers of the formats.

    Compressed data cannot be sought in, and is read whole.
    """
    if kind == "parquet":
        if str(file) == STDIN:
            remedy = "Write it to a file first"
            raise SourceError("Parquet cannot be read from a pipe", where=shown(file), remedy=remedy)
        yield from read_parquet(file, dense=dense, start=start, end=end)
        return
    with opened(file) as stream:
        if kind == "jsonl":
            yield from read_jsonl(stream, shown(file), on_bad, start=start, end=end)
        else:
            yield from STREAMED[kind](stream, shown(file), on_bad, start=start)


def _check_format(source: str | Path, format: str | None) -> None:
    if format is not None and format not in FORMATS:
        raise SourceError(f"unknown format {format!r}", where=shown(source), remedy=f"Known: {', '.join(FORMATS)}")


def format_of(path: Path) -> str:
    """The format that a file's suffix tells; JSON lines on standard input.

    Raises:
        SourceError: it tells none.
    """
    if str(path) == STDIN:
        return "jsonl"
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        if not path.exists():
            raise SourceError("no such file or folder", where=str(path), remedy="Check the path")
        remedy = f"Give --format: {', '.join(FORMATS)}"
        raise SourceError(f"the suffix {suffix!r} tells no format", where=str(path), remedy=remedy)
    return SUFFIXES[suffix]


def _parts(folder: Path, format: str | None, own: OwnFiles) -> tuple[str, list[Path]]:
    """The format of a folder and the files to read: a BEIR corpus, parts of one format, or texts at any depth."""
    corpus = packed_variant(folder, "corpus.jsonl")
    if corpus is not None and corpus not in own and format in {None, "jsonl"}:
        return "jsonl", [corpus]
    parts: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        kind = SUFFIXES.get(suffix_of(path)) if path.is_file() and not path.name.startswith(".") else None
        if kind not in {None, "text"} and path not in own:
            parts.setdefault(str(kind), []).append(path)
    if texts := [path for path in text_files(folder) if path not in own]:
        parts["text"] = texts
    wanted = {kind: files for kind, files in parts.items() if format in {None, kind}}
    if len(wanted) != 1:
        what = f"the folder holds {' and '.join(wanted)}" if wanted else "the folder holds nothing that can be read"
        remedy = f"Give --format, or name a file; known: {', '.join(FORMATS)}"
        raise SourceError(what, where=str(folder), remedy=remedy)
    return wanted.popitem()
