"""Collections of ir_datasets with their queries and judgements: ``ir_datasets:NAME``.

What is not on this machine yet is downloaded by that library, into its own folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hybrid_search.errors import MissingExtraError, RecordError, SourceError
from hybrid_search.read.columns import plain
from hybrid_search.read.raw import RawRecord, RawRecords
from hybrid_search.records import Query

PREFIX = "ir_datasets:"

Grades = dict[str, dict[str, int]]


def is_collection(source: str | Path) -> bool:
    """Whether a source, or a file of queries or judgements, is named ``ir_datasets:NAME``."""
    return str(source).startswith(PREFIX)


def read_collection(source: str | Path) -> RawRecords:
    """The documents of a collection: ``_id``, ``text``, and the other fields under their own names.

    A collection without a field ``text`` (MS MARCO's documents have ``title`` and ``body``) gets as ``text`` what
    ir_datasets calls its default text, without the title before it.

    Raises:
        MissingExtraError: ir_datasets is not installed.
        SourceError: there is no such collection, it has no documents, or they cannot be downloaded or read.
    """
    for number, one in enumerate(_entries(source, "docs"), 1):
        values = {name: _jsonable(value) for name, value in one._asdict().items()}
        identifier = values.pop("doc_id")
        if "text" not in values:
            values["text"] = _without_title(one.default_text(), values.get("title"))
        yield RawRecord({"_id": identifier, **values}, f"{source}:{number}")


def collection_queries(source: str | Path, *, empty: bool = False) -> list[Query]:
    """The queries of a collection; with ``empty`` also those whose text is empty.

    Raises:
        MissingExtraError: ir_datasets is not installed.
        SourceError: there is no such collection, or it has no queries, or they cannot be read.
        RecordError: a query without a text.
    """
    found = [Query(str(one.default_text() or ""), id=str(one.query_id)) for one in _entries(source, "queries")]
    if not empty and (lacking := next((query for query in found if not query.text.strip()), None)):
        raise RecordError(f"the query {lacking.id!r} has no text", where=str(source), remedy="Leave it out")
    if not found:
        raise SourceError("holds no query", where=str(source), remedy="Take another part of the collection")
    return found


def collection_qrels(source: str | Path) -> Grades:
    """The judgements of a collection; of a document that was judged twice for a query, the higher grade.

    Raises:
        MissingExtraError: ir_datasets is not installed.
        SourceError: there is no such collection, or it has no judgements with grades, or they cannot be read.
    """
    judged: Grades = {}
    for one in _entries(source, "qrels"):
        grade = getattr(one, "relevance", None)
        if not isinstance(grade, int):
            what = f"its judgements have no whole grade, but {', '.join(one._fields)}"
            raise SourceError(what, where=str(source), remedy="Write them to a file: query, document, grade")
        grades = judged.setdefault(str(one.query_id), {})
        grades[str(one.doc_id)] = max(grade, grades.get(str(one.doc_id), grade))
    if not judged:
        raise SourceError("holds no judgement", where=str(source), remedy="Take another part of the collection")
    return judged


def _entries(source: str | Path, part: str) -> Iterator[Any]:
    """Documents (``docs``), queries or judgements (``qrels``) of a collection."""
    dataset = _loaded(source)
    if not dataset.has(part):
        has = ", ".join(one for one in ("docs", "queries", "qrels") if dataset.has(one)) or "nothing"
        named = {"docs": "documents", "qrels": "judgements"}.get(part, part)
        remedy = f"It has {has}; name a part that has them, such as {source}/test"
        raise SourceError(f"the collection has no {named}", where=str(source), remedy=remedy)
    try:
        yield from getattr(dataset, f"{part}_iter")()
    except Exception as error:  # what its downloads and parsers raise
        what = f"the collection cannot be read ({type(error).__name__}: {error})"
        remedy = "Check that it can be downloaded; ir_datasets says where each collection comes from"
        raise SourceError(what, where=str(source), remedy=remedy) from error


def _loaded(source: str | Path) -> Any:
    try:
        import ir_datasets  # type: ignore[import-untyped]  # ships no types
    except ImportError:
        raise MissingExtraError("Reading a collection of ir_datasets", "ir-datasets") from None
    name = Path(source).as_posix().removeprefix(PREFIX)
    try:
        return ir_datasets.load(name)
    except KeyError:
        near = get_close_matches(name, list(ir_datasets.registry), n=1)
        remedy = f"Did you mean {PREFIX}{near[0]}?" if near else "ir_datasets list has the names"
        raise SourceError("ir_datasets has no such collection", where=str(source), remedy=remedy) from None


def _jsonable(value: Any) -> Any:
    """A value as JSON can hold it; named tuples, also in lists, by their names."""
    if hasattr(value, "_asdict"):
        return {name: _jsonable(inner) for name, inner in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [_jsonable(inner) for inner in value]
    return plain(value)


def _without_title(text: str, title: Any) -> str:
    return text.removeprefix(title).lstrip() if isinstance(title, str) and title else text
