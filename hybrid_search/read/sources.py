"""Which reader a source needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from hybrid_search.errors import SourceError
from hybrid_search.read.beir import packed_variant
from hybrid_search.read.compose import compose
from hybrid_search.read.jsonl import read_jsonl
from hybrid_search.read.raw import OnBad, RawRecords, refuse
from hybrid_search.read.streams import PACKED, STDIN, opened, shown
from hybrid_search.records import Document
from hybrid_search.settings import DocumentSettings

StreamReader = Callable[[BinaryIO, str, OnBad], RawRecords]

STREAM_READERS: dict[str, StreamReader] = {"jsonl": read_jsonl}
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


def documents(
    source: str | Path,
    settings: DocumentSettings,
    *,
    on_bad: OnBad | None = None,
    format: str | None = None,
) -> Iterator[Document]:
    """The documents of a source, read one at a time.

    Args:
        source: a file, a folder, or ``-`` for standard input; compressed by gzip or Zstandard or not.
        settings: which field of a record is what; see :class:`hybrid_search.read.compose.Composer`.
        on_bad: told of each bad record with its bytes; without it the first bad record ends the reading.
        format: the format where the suffix does not tell it.

    Raises:
        SourceError: the source is missing, broken, of an unknown format, or holds no document.
        RecordError: a bad record, unless ``on_bad`` is given.
    """
    report = on_bad or refuse
    return compose(records(source, format=format, on_bad=report), settings, shown(source), report)


def records(source: str | Path, *, format: str | None = None, on_bad: OnBad = refuse) -> RawRecords:
    """The records of a source as they come, before settings say what each field is."""
    path = Path(source)
    if path.is_dir():
        corpus = packed_variant(path, "corpus.jsonl")
        if corpus is None:
            raise SourceError("the folder has no corpus.jsonl", where=str(path), remedy="Name a file")
        path = corpus
    with opened(source if str(source) == STDIN else path) as stream:
        yield from STREAM_READERS[format or format_of(path)](stream, shown(path), on_bad)


def format_of(path: Path) -> str:
    """The format that a file's suffix tells; JSON lines on standard input."""
    if str(path) == STDIN:
        return "jsonl"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    name = next((suffix for suffix in reversed(suffixes) if suffix not in PACKED), "")
    if name not in SUFFIXES:
        what = f"the suffix {name!r} tells no format"
        raise SourceError(what, where=str(path), remedy=f"Give --format: {', '.join(STREAM_READERS)}")
    return SUFFIXES[name]
