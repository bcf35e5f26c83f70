"""Which reader a source needs, and the documents that it gives."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hybrid_search.errors import RecordError, SettingsError, SourceError
from hybrid_search.read.compose import compose
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.formats.registry import ALIASES, FORMATS, REGISTRY, Files, format_of
from hybrid_search.read.hub import PREFIX, read_hub
from hybrid_search.read.indexed import SPLIT_OPERATIONS, Asked, Origin, is_index, needed, vectors_of
from hybrid_search.read.ir_datasets import is_collection, read_collection
from hybrid_search.read.objects import Seen, is_object, look
from hybrid_search.read.own_files import OwnFiles
from hybrid_search.read.parts import parts_of, parts_of_prefix
from hybrid_search.read.places import (
    fixed_part,
    is_pattern,
    matched,
    matched_objects,
    partition_values,
    without_links_out,
)
from hybrid_search.read.raw import OnBad, OnNote, RawRecords, refuse, unheard
from hybrid_search.read.repeated import Repetitions, settled
from hybrid_search.read.streams import STDIN, shown
from hybrid_search.records import Document
from hybrid_search.settings import DocumentSettings
from hybrid_search.settings.documents import LAST, REFUSE


def documents(
    source: str | Path,
    settings: DocumentSettings,
    *,
    on_bad: OnBad | None = None,
    format: str | None = None,
    unique_ids: bool = True,
    exclude: Collection[Path] = (),
    records_path: str | None = None,
    query: str | None = None,
    on_note: OnNote = unheard,
    repetitions: Repetitions | None = None,
    origin: Origin | None = None,
) -> Iterator[Document]:
    """The documents of a source, read one at a time.

    Args:
        source: a file; a folder (BEIR, parts of one format, or texts); a pattern (``parts/*.jsonl``); ``-``, standard
            input; ``hf:NAME`` and ``ir_datasets:NAME``, data sets; ``es:NAME`` and ``os:NAME``, an index.
        settings: which field of a record is what; see :class:`hybrid_search.read.compose.Composer`.
        on_bad: told of each bad record with its bytes; without it the first bad record ends the reading.
        format: one of ``FORMATS``, where the suffix does not tell it.
        unique_ids: False leaves repeated ids to the caller, who then need not have room for all of them in memory.
        exclude: files that the load writes to, which are no part of a folder.
        records_path: where in a JSON or XML file the records are, by names joined by dots.
        query: what is asked of a database, or of an index.
        on_note: told what was detected (an encoding, a separator) and what was left out.
        repetitions: counts the documents that ``documents.repeated_ids`` left out or numbered.
        origin: the cluster of an index.

    Raises:
        SettingsError: ``documents.repeated_ids`` is ``last`` and the source a pipe, which cannot be read twice.
        SourceError: the source is missing, broken, of an unknown format, one of ``exclude``, or holds no document.
        RecordError: a bad record, unless ``on_bad`` is given.
        MissingExtraError: a format whose library is not installed.
    """
    if (rule := settings.repeated_ids) == LAST and str(source) == STDIN:
        remedy = "Write it to a file first, or set first or number"
        raise SettingsError('is "last", and a pipe is read once', where="documents.repeated_ids", remedy=remedy)
    found = partial(records, source, format=format, dense=settings.dense, exclude=exclude, query=query)
    if is_index(source):
        found = partial(found, origin=origin, vectors=vectors_of(settings))

    def read(report: OnBad, hear: OnNote) -> Iterator[Document]:
        raw = found(on_bad=report, records_path=records_path, follow_links=settings.follow_links, on_note=hear)
        unique, folder = unique_ids and rule == REFUSE, folder_of(source)
        return compose(raw, settings, shown(source), report, unique_ids=unique, folder=folder)

    first, again = read(on_bad or refuse, on_note), partial(read, _pass_over, unheard)
    return first if rule == REFUSE else settled(first, rule, again, repetitions or Repetitions())


def folder_of(source: str | Path) -> Path | None:
    """What the paths of images in a source are relative to; None for a pipe, a data set, an index."""
    if is_index(source) or str(source) == STDIN or str(source).startswith(PREFIX) or is_collection(source):
        return None
    if is_pattern(source):
        return fixed_part(source)
    return Path(source) if Path(source).is_dir() else Path(source).parent


def _pass_over(_error: RecordError, _data: bytes) -> None:
    """Bad records are told of when they are read for good."""


def records(
    source: str | Path,
    *,
    format: str | None = None,
    dense: str | None = None,
    on_bad: OnBad = refuse,
    exclude: Collection[Path] = (),
    records_path: str | None = None,
    query: str | None = None,
    follow_links: bool = False,
    on_note: OnNote = unheard,
    origin: Origin | None = None,
    vectors: frozenset[str] | None = None,
) -> RawRecords:
    """The records of a source as they come, before settings say what each field is.

    ``dense`` names a field of dense vectors, which Parquet then gives as numpy arrays; ``vectors`` are those that are
    read of an index, None for all; for the rest, and for what is raised, see :func:`documents`.
    """
    if is_index(source):
        yield from _of_index(needed(source, origin), Asked(str(source), query, vectors), on_note)
        return
    if str(source).startswith(PREFIX):
        _known(format, str(source))
        yield from read_hub(str(source))
        return
    if is_collection(source):
        _known(format, str(source))
        yield from read_collection(source)
        return
    found = located(source, format, exclude, on_note, follow_links=follow_links)
    for file, kind in found.files:
        given = InputFile(
            file,
            found.root,
            on_bad,
            on_note,
            dense=dense,
            records_path=records_path,
            query=query,
            is_alone=found.is_alone,
            version=found.version(file),
        )
        yield from file_records(given, kind)


def _of_index(origin: Origin, asked: Asked, on_note: OnNote) -> RawRecords:
    """The documents of an index, part by part."""
    for note in origin.notes(asked):
        on_note(note)
    for part in origin.parts(asked, SPLIT_OPERATIONS):
        yield from origin.records(part, asked)


class Located(NamedTuple):
    """The files of a source in the order of reading with their formats, and the folder that names are relative to.

    ``is_alone`` says that the source is one file, not a folder or a pattern; ``seen`` which versions objects have.
    """

    files: Files
    root: Path
    is_alone: bool
    seen: Mapping[Path, Seen] = {}

    def version(self, file: Path) -> str | None:
        """That of an object, which is the one that is read; None for a file."""
        return self.seen[file].identity if file in self.seen else None


def located(
    source: str | Path,
    format: str | None = None,
    exclude: Collection[Path] = (),
    on_note: OnNote = unheard,
    *,
    follow_links: bool = False,
) -> Located:
    """Which files a source has, and in which formats; ``-`` is a file of its own, and so is a link that is named.

    Raises:
        SourceError: it is missing, of an unknown format, or one of ``exclude``.
    """
    known, path, own = _known(format, shown(source)), Path(source), OwnFiles(exclude)
    own.check_source(path)
    if is_object(path):
        return _located_objects(path, known, on_note)
    if is_pattern(source):
        found = [file for file in matched(source) if file not in own]
        inside = found if follow_links else without_links_out(found, fixed_part(source), on_note)
        return Located([(file, known or format_of(file)) for file in inside], fixed_part(source), is_alone=False)
    if path.is_dir():
        return Located(parts_of(path, known, own, on_note, follow_links=follow_links), path, is_alone=False)
    return Located([(path, known or format_of(path))], path.parent, is_alone=True)


def _located_objects(path: Path, known: str | None, on_note: OnNote) -> Located:
    """The same of an object, of a prefix, or of a pattern of objects."""
    if is_pattern(path):
        seen = matched_objects(path)
        return Located([(file, known or format_of(file)) for file in seen], fixed_part(path), is_alone=False, seen=seen)
    if (alone := look(path)) is not None:
        return Located([(path, known or format_of(path))], path.parent, is_alone=True, seen={path: alone})
    files, seen = parts_of_prefix(path, known, on_note)
    return Located(files, path, is_alone=False, seen=seen)


def file_records(given: InputFile, kind: str) -> RawRecords:
    """The records of one file, with what its folders say of them (``year=2024``)."""
    found = REGISTRY[kind].read(given)
    values = {} if given.is_alone else partition_values(given.path, given.folder)
    return (record._replace(values={**values, **record.values}) for record in found) if values else found


def _known(format: str | None, place: str) -> str | None:
    """A format by the name of the registry."""
    known = ALIASES.get(format or "", format)
    if known is not None and known not in FORMATS:
        raise SourceError(f"unknown format {format!r}", where=place, remedy=f"Known: {', '.join(FORMATS)}")
    return known
