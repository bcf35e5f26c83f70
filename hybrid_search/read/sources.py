"""Which reader a source needs, and the documents that it gives."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from hybrid_search.errors import RecordError, SettingsError, SourceError
from hybrid_search.read.beir import packed_variant
from hybrid_search.read.compose import compose
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.formats.registry import ALIASES, FORMATS, REGISTRY, SUFFIXES
from hybrid_search.read.hub import PREFIX, read_hub
from hybrid_search.read.own_files import OwnFiles
from hybrid_search.read.packed import member_name
from hybrid_search.read.places import (
    LINKS,
    LeftOut,
    files_below,
    fixed_part,
    is_pattern,
    leads_out,
    matched,
    partition_values,
    without_companions,
)
from hybrid_search.read.raw import OnBad, OnNote, RawRecords, changed, refuse, unheard
from hybrid_search.read.repeated import Repetitions, settled
from hybrid_search.read.streams import STDIN, printable, shown
from hybrid_search.read.texts import suffix_of
from hybrid_search.records import Document, ResumePoint
from hybrid_search.settings import DocumentSettings
from hybrid_search.settings.documents import LAST, REFUSE

_RESUMABLE = frozenset({"jsonl", "parquet"})
_Files = list[tuple[Path, str]]
"""Files with their formats."""


_FOLLOW = "If what they lead to may be found by everybody who searches: --follow-links"


def documents(
    source: str | Path,
    settings: DocumentSettings,
    *,
    on_bad: OnBad | None = None,
    format: str | None = None,
    unique_ids: bool = True,
    exclude: Collection[Path] = (),
    resume: ResumePoint | None = None,
    records_path: str | None = None,
    query: str | None = None,
    on_note: OnNote = unheard,
    repetitions: Repetitions | None = None,
) -> Iterator[Document]:
    """The documents of a source, read one at a time.

    Args:
        source: a file; a folder (BEIR, parts of one format, or texts); a pattern (``parts/*.jsonl``); ``-`` for
            standard input; ``hf:NAME`` for a data set of the Hugging Face hub. Compression is undone.
        settings: which field of a record is what; see :class:`hybrid_search.read.compose.Composer`.
        on_bad: told of each bad record with its bytes; without it the first bad record ends the reading.
        format: one of ``FORMATS``, where the suffix does not tell it.
        unique_ids: False leaves repeated ids to the caller, who then need not have room for all of them in memory.
        exclude: files that the load writes to, which are no part of a folder.
        resume: the ``position`` of the last document that is not wanted: only those behind it are read, if any.
        records_path: where in a JSON or XML file the records are, by names joined by dots.
        query: what is asked of a database.
        on_note: told what was detected (an encoding, a separator) and what was left out.
        repetitions: counts the documents that ``documents.repeated_ids`` left out or numbered.

    Raises:
        SettingsError: ``documents.repeated_ids`` is ``last`` and the source a pipe, which cannot be read twice.
        SourceError: the source is missing, broken, of an unknown format, one of ``exclude``, has no
            place ``resume`` any more, or holds no document.
        RecordError: a bad record, unless ``on_bad`` is given.
        MissingExtraError: a format whose library is not installed.
    """
    rule = settings.repeated_ids
    if rule == LAST and str(source) == STDIN:
        remedy = "Write it to a file first, or set first or number"
        raise SettingsError('is "last", and a pipe is read once', where="documents.repeated_ids", remedy=remedy)
    found = partial(records, source, format=format, dense=settings.dense, exclude=exclude, resume=resume, query=query)
    is_rest, unique = resume is not None, unique_ids and rule == REFUSE

    def read(report: OnBad) -> Iterator[Document]:
        raw = found(on_bad=report, records_path=records_path, follow_links=settings.follow_links, on_note=on_note)
        return compose(raw, settings, shown(source), report, unique_ids=unique, may_be_empty=is_rest)

    first = read(on_bad or refuse)
    return first if rule == REFUSE else settled(first, rule, lambda: read(_pass_over), repetitions or Repetitions())


def _pass_over(_error: RecordError, _data: bytes) -> None:
    """Bad records are told of when they are read for good."""


def records(
    source: str | Path,
    *,
    format: str | None = None,
    dense: str | None = None,
    on_bad: OnBad = refuse,
    exclude: Collection[Path] = (),
    resume: ResumePoint | None = None,
    records_path: str | None = None,
    query: str | None = None,
    follow_links: bool = False,
    on_note: OnNote = unheard,
) -> RawRecords:
    """The records of a source as they come, before settings say what each field is.

    ``dense`` names a field of dense vectors, which Parquet then gives as numpy arrays; for the rest, and for what is
    raised, see :func:`documents`.
    """
    known = _known(format, shown(source))
    if str(source).startswith(PREFIX):
        if resume is not None:
            raise changed(resume)
        yield from read_hub(str(source))
        return
    own = OwnFiles(exclude)
    own.check_source(Path(source))
    folder, files = _files(source, known, own, on_note, follow_links=follow_links)
    is_alone = len(files) == 1 and folder == Path(source).parent
    if resume is not None:
        files = _files_from(files, resume)
    for file, kind in files:
        start = None if str(file) == STDIN else ResumePoint(printable(str(file.resolve())))
        if resume is not None and start is not None and start.file == resume.file:
            start = resume
        given = InputFile(file, folder, on_bad, on_note, start, dense, records_path, query, is_alone)
        yield from _with_partitions(given, REGISTRY[kind].read(given))


def _known(format: str | None, place: str) -> str | None:
    """A format by the name of the registry."""
    known = ALIASES.get(format or "", format)
    if known is not None and known not in FORMATS:
        raise SourceError(f"unknown format {format!r}", where=place, remedy=f"Known: {', '.join(FORMATS)}")
    return known


def _with_partitions(given: InputFile, found: RawRecords) -> RawRecords:
    """The records, with what the folders of their file say of them."""
    values = {} if given.is_alone else partition_values(given.path, given.folder)
    if not values:
        return found
    return (record._replace(values={**values, **record.values}) for record in found)


def _files_from(files: _Files, resume: ResumePoint) -> _Files:
    """The files that are still to be read, the one with the place ``resume`` first; of texts only those behind it."""
    names = [printable(str(file.resolve())) for file, _ in files]
    if resume.file not in names:
        raise changed(resume)
    here = names.index(resume.file)
    kind = files[here][1]
    if kind not in _RESUMABLE and not REGISTRY[kind].is_document:
        raise changed(resume)
    return files[here + REGISTRY[kind].is_document :]


def _files(
    source: str | Path, format: str | None, own: OwnFiles, on_note: OnNote, *, follow_links: bool
) -> tuple[Path, _Files]:
    """The files of a source with their formats, and the folder that they are in; a link that is named is read."""
    path = Path(source)
    if is_pattern(source):
        left_out, folder = LeftOut(), fixed_part(source)
        found = [file for file in matched(source) if file not in own]
        files = [file for file in found if follow_links or not _is_left_out(file, folder, left_out)]
        if not files:
            raise SourceError("all that match are links out of their folder", where=str(source), remedy=_FOLLOW)
        left_out.note(folder, on_note)
        return folder, [(file, format or format_of(file)) for file in files]
    if path.is_dir():
        return path, _parts(path, format, own, on_note, follow_links=follow_links)
    return path.parent, [(path, format or format_of(path))]


def _is_left_out(file: Path, folder: Path, left_out: LeftOut) -> bool:
    if leads_out(file, folder):
        left_out.add(LINKS, file.name)
        return True
    return False


def format_of(path: Path) -> str:
    """The format that a file's suffix tells; JSON lines on standard input.

    Raises:
        SourceError: it tells none.
    """
    if str(path) == STDIN:
        return "jsonl"
    suffix = _suffix(path)
    if suffix not in SUFFIXES:
        if not path.exists():
            raise SourceError("no such file or folder", where=str(path), remedy="Check the path")
        remedy = f"Give --format: {', '.join(FORMATS)}"
        raise SourceError(f"the suffix {suffix!r} tells no format", where=str(path), remedy=remedy)
    return SUFFIXES[suffix]


def _suffix(path: Path) -> str:
    """The suffix that tells the format; of an archive that has none the suffix of the file in it."""
    suffix = suffix_of(path)
    if suffix or path.suffix.lower() != ".zip":
        return suffix
    return suffix_of(Path(member_name(path) or ""))


def _parts(folder: Path, format: str | None, own: OwnFiles, on_note: OnNote, *, follow_links: bool) -> _Files:
    """The files of a folder that are to be read: a BEIR corpus, parts of one format at any depth, or texts."""
    corpus = packed_variant(folder, "corpus.jsonl")
    is_inside = corpus is not None and (follow_links or not leads_out(corpus, folder))
    if corpus is not None and is_inside and corpus not in own and format in {None, "jsonl"}:
        return [(corpus, "jsonl")]
    left_out = LeftOut()
    parts: dict[str, _Files] = {}
    for path in files_below(folder, own, left_out, follow_links=follow_links):
        kind = SUFFIXES.get(_suffix(path))
        if kind is None:
            left_out.add("of no known format", f"*{suffix_of(path)}" if path.suffix else path.name)
        elif format in {None, kind}:
            family = "text" if REGISTRY[kind].is_document and format is None else kind
            parts.setdefault(family, []).append((path, kind))
    wanted = _without_companions(parts, folder, left_out)
    if len(wanted) != 1:
        what = f"the folder holds {' and '.join(wanted)}" if wanted else "the folder holds nothing that can be read"
        remedy = f"Give --format, or name a file or a pattern; known: {', '.join(FORMATS)}"
        if not wanted and LINKS in left_out.reasons:
            what, remedy = "the folder holds links out of it and nothing else that can be read", _FOLLOW
        raise SourceError(what, where=str(folder), remedy=remedy)
    left_out.note(folder, on_note)
    return wanted.popitem()[1]


def _without_companions(parts: dict[str, _Files], folder: Path, left_out: LeftOut) -> dict[str, _Files]:
    """Of several formats those that are left when a README, a licence and the like are taken for what they are."""
    if len(parts) < 2:
        return parts
    aside = replace(left_out, reasons={})
    kept: dict[str, _Files] = {}
    for kind, files in parts.items():
        names = set(without_companions([path for path, _ in files], folder, aside))
        if rest := [(path, each) for path, each in files if path in names]:
            kept[kind] = rest
    if len(kept) != 1:
        return parts
    left_out.reasons.update(aside.reasons)
    return kept
