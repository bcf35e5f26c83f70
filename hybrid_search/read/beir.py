"""Queries and judgements for evaluation: BEIR folders, TREC qrels, plain TSV, JSON lines, ir_datasets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.read.ir_datasets import PREFIX, collection_qrels, collection_queries, is_collection
from hybrid_search.read.jsonl import read_jsonl
from hybrid_search.read.raw import refuse
from hybrid_search.read.storage import is_file
from hybrid_search.read.streams import PACKED, opened
from hybrid_search.records import Query

Qrels = dict[str, dict[str, int]]
"""Grades by query id and document id."""


def packed_variant(folder: Path, name: str) -> Path | None:
    """A file of a folder, plain or compressed; None where there is none."""
    candidates = (folder / f"{name}{suffix}" for suffix in ("", *PACKED))
    return next((path for path in candidates if is_file(path)), None)


def queries(path: str | Path, *, empty: bool = False) -> list[Query]:
    """Queries in the order of the file, compressed or not; with ``empty`` also those whose text is empty.

    ``path`` is a BEIR folder, JSON lines (``_id`` or ``id``, ``text``), TSV (``id``, tab, text), or
    ``ir_datasets:NAME``.

    Raises:
        SourceError: the file is missing or holds no query.
        RecordError: a line is broken, has no id or no text, or its id was there before.
    """
    if is_collection(path):
        return collection_queries(path, empty=empty)
    file = _file(Path(path), "queries.jsonl")
    is_json = ".jsonl" in file.suffixes or ".json" in file.suffixes
    found: dict[str, Query] = {}
    with opened(file) as stream:
        for where, identifier, text in _json_queries(stream, file) if is_json else _tsv_queries(stream, file):
            if not identifier or text is None or not (text.strip() or empty):
                raise RecordError("a query needs an id and a text", where=where, remedy="Fill in both")
            if identifier in found:
                raise RecordError(f"the query id {identifier!r} was given before", where=where, remedy="Leave one out")
            found[identifier] = Query(text, id=identifier)
    if not found:
        raise SourceError("holds no query", where=str(file), remedy="Expected JSON lines or TSV: id, tab, text")
    return list(found.values())


def qrels(path: str | Path, *, split: str = "test") -> Qrels:
    """Judgements, compressed or not: the grade of each document by query.

    ``path`` is a BEIR folder (its ``qrels/{split}.tsv``) or a file of three columns (query, document, grade; a header
    is passed over) or of the four of TREC (query, iteration, document, grade); or ``ir_datasets:NAME``, which needs no
    ``split``: it is in the name.

    Raises:
        SourceError: the file is missing or holds no judgement.
        RecordError: a line has other columns, a grade that is no whole number, or contradicts an earlier line.
    """
    if is_collection(path):
        return collection_qrels(path)
    file = _file(Path(path), f"qrels/{split}.tsv")
    judged: Qrels = {}
    with opened(file) as stream:
        for where, cells in _rows(stream, file):
            if cells[-1].lower() in {"score", "relevance", "rel", "label", "grade"} and not judged:
                continue
            query, document, grade = _judgement(cells, where)
            if judged.setdefault(query, {}).setdefault(document, grade) != grade:
                what = f"query {query!r} and document {document!r} were judged before, with another grade"
                raise RecordError(what, where=where, remedy="Leave one of the two lines out")
    if not judged:
        raise SourceError("holds no judgement", where=str(file), remedy="Expected: query, document, grade")
    return judged


def is_beir(path: str | Path) -> bool:
    """Whether judgements are those of BEIR, whose measures leave out the document with the query's own id."""
    return Path(path).is_dir() or str(path).startswith(f"{PREFIX}beir/")


def _file(path: Path, name: str) -> Path:
    """The file itself, or the one of this name in a folder."""
    if not path.is_dir():
        return path
    file = packed_variant(path, name)
    if file is None:
        raise SourceError(f"the folder has no {name}", where=str(path), remedy="Name the file itself")
    return file


def _json_queries(stream: BinaryIO, file: Path) -> Iterator[tuple[str, str, str | None]]:
    for record in read_jsonl(stream, str(file), refuse):
        identifier = record.values.get("_id", record.values.get("id"))
        text = record.values.get("text")
        yield record.where, "" if identifier is None else str(identifier), text if isinstance(text, str) else None


def _tsv_queries(stream: BinaryIO, file: Path) -> Iterator[tuple[str, str, str | None]]:
    for where, line in _lines(stream, file):
        identifier, tab, text = line.partition("\t")
        yield where, identifier.strip(), text.strip() if tab else None


def _rows(stream: BinaryIO, file: Path) -> Iterator[tuple[str, list[str]]]:
    """Cells between tabs, or between any white space where there is no tab."""
    for where, line in _lines(stream, file):
        yield where, [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()


def _lines(stream: BinaryIO, file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(stream, 1):
        where = f"{file}:{number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise RecordError(f"not UTF-8 at byte {error.start + 1}", where=where, remedy="Write it in UTF-8") from None
        if text.strip():
            yield where, text


def _judgement(cells: list[str], where: str) -> tuple[str, str, int]:
    if len(cells) not in {3, 4}:
        what = f"expected query, document and grade (or the four columns of TREC), got {len(cells)} columns"
        raise RecordError(what, where=where, remedy="Separate the columns by tabs")
    try:
        return cells[0], cells[-2], int(cells[-1])
    except ValueError:
        raise RecordError(f"the grade {cells[-1]!r} is no whole number", where=where, remedy="Use 0, 1, 2") from None
