"""All formats by name, and the suffixes that tell them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from hybrid_search.errors import SourceError
from hybrid_search.read.columns import read_parquet
from hybrid_search.read.formats.databases import read_duckdb, read_sqlite
from hybrid_search.read.formats.feeds import read_xml
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.formats.json_files import read_json
from hybrid_search.read.formats.office import read_office
from hybrid_search.read.formats.pages import read_html
from hybrid_search.read.formats.photos import IMAGE, read_photo
from hybrid_search.read.formats.photos import SUFFIXES as PICTURES
from hybrid_search.read.formats.sheets import read_sheets
from hybrid_search.read.objects import is_object
from hybrid_search.read.packed import member_name, name_of_member
from hybrid_search.read.raw import RawRecords
from hybrid_search.read.storage import exists, on_disk
from hybrid_search.read.streams import STDIN, shown
from hybrid_search.read.tables import read_csv, read_tsv
from hybrid_search.read.texts import TEXT, read_text, suffix_of


class Format(NamedTuple):
    """How one format is read: by which reader, by which suffixes it is known, and whether each file is one document.

    ``is_stream`` says whether it can be read in order, so from standard input, and compressed.
    """

    read: Callable[[InputFile], RawRecords]
    suffixes: tuple[str, ...]
    is_stream: bool = True
    is_document: bool = False


def _csv(given: InputFile) -> RawRecords:
    with given.opened() as stream:
        yield from read_csv(stream, given.place, given.on_bad, start=given.start, on_note=given.on_note)


def _tsv(given: InputFile) -> RawRecords:
    with given.opened() as stream:
        yield from read_tsv(stream, given.place, given.on_bad, start=given.start, on_note=given.on_note)


def _parquet(given: InputFile) -> RawRecords:
    given.check_is_file("Parquet")
    yield from read_parquet(
        given.path,
        dense=given.dense,
        start=given.start,
        end=given.stop,
        on_note=given.on_note,
        version=given.version,
    )


def _on_disk(read: Callable[[InputFile], RawRecords]) -> Callable[[InputFile], RawRecords]:
    """The same reader, given a copy of an object: its library opens files by their names."""

    def reads(given: InputFile) -> RawRecords:
        with on_disk(given.path, given.version) as path:
            is_copy = is_object(given.path)
            yield from read(replace(given, path=path, known_as=given.path) if is_copy else given)

    return reads


REGISTRY: dict[str, Format] = {
    "jsonl": Format(read_json, (".jsonl", ".ndjson", ".json")),
    "csv": Format(_csv, (".csv",)),
    "tsv": Format(_tsv, (".tsv", ".tab")),
    "parquet": Format(_parquet, (".parquet", ".pq"), is_stream=False),
    "xlsx": Format(_on_disk(read_sheets), (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), is_stream=False),
    "sqlite": Format(_on_disk(read_sqlite), (".sqlite", ".sqlite3", ".db", ".db3"), is_stream=False),
    "duckdb": Format(_on_disk(read_duckdb), (".duckdb", ".ddb"), is_stream=False),
    "xml": Format(read_xml, (".xml", ".rss", ".atom")),
    "text": Format(read_text, tuple(sorted(TEXT)), is_document=True),
    "html": Format(read_html, (".html", ".htm", ".xhtml"), is_document=True),
    "office": Format(
        _on_disk(read_office), (".pdf", ".docx", ".pptx", ".odt", ".epub", ".rtf"), is_stream=False, is_document=True
    ),
    IMAGE: Format(read_photo, PICTURES, is_stream=False, is_document=True),
}

ALIASES = {
    **dict.fromkeys(("json", "ndjson", "bulk"), "jsonl"),
    **dict.fromkeys(("rss", "atom"), "xml"),
    **dict.fromkeys(("pdf", "docx"), "office"),
    **dict.fromkeys(("ods", "xls"), "xlsx"),
    "markdown": "text",
}
"""Other names that ``--format`` takes."""

FORMATS = tuple(REGISTRY)
Files = list[tuple[Path, str]]
"""Files with the names of their formats."""
SUFFIXES = {suffix: name for name, known in REGISTRY.items() for suffix in known.suffixes}


def format_of(path: Path) -> str:
    """The format that a file's suffix tells; JSON lines on standard input.

    Raises:
        SourceError: it tells none.
    """
    if str(path) == STDIN:
        return "jsonl"
    suffix = telling_suffix(path)
    if suffix not in SUFFIXES:
        if not exists(path):
            raise SourceError("no such file or folder", where=shown(path), remedy="Check the path")
        if path.suffix.lower() == ".zip":
            suffix = suffix_of(Path(name_of_member(path)))
        remedy = f"Give --format: {', '.join(FORMATS)}"
        raise SourceError(f"the suffix {suffix!r} tells no format", where=shown(path), remedy=remedy)
    return SUFFIXES[suffix]


def telling_suffix(path: Path) -> str:
    """The suffix that tells the format; of an archive that has none the suffix of the file in it."""
    suffix = suffix_of(path)
    if suffix or path.suffix.lower() != ".zip":
        return suffix
    return suffix_of(Path(member_name(path) or ""))
