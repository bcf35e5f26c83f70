"""Judgements made by click: kept beside those that were given, and on disk before the click is answered.

The folder has the layout of BEIR, ``queries.jsonl`` and ``qrels/test.tsv``: ``evaluate`` and ``tune`` read it as it
is. It holds what was judged here alone; the judgements that the command was given are never written to.
"""

from __future__ import annotations

import hashlib
import os
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from hybrid_search import read
from hybrid_search.errors import QueryError, RecordError, SourceError
from hybrid_search.private_files import make_folder, open_new
from hybrid_search.read import Qrels
from hybrid_search.records import Query

GRADES = range(4)
"""0 is not relevant, 3 is perfect."""

HEADER = "query-id\tcorpus-id\tscore\n"


class Judgements:
    """Judged queries: those given, and those of a folder, which win.

    Args:
        folder: where judgements are kept; made with the first of them. None: nothing can be judged.
        queries: the queries given.
        qrels: the judgements given, by query id and document id.

    Raises:
        SourceError, RecordError: what is in the folder is not what this class writes there.
    """

    def __init__(self, folder: Path | None, queries: Sequence[Query] = (), qrels: Qrels | None = None) -> None:
        self.folder = folder
        self._given: Qrels = qrels or {}
        self._queries = {str(query.id): query.text for query in queries}
        self._own: Qrels = {}
        self._lock = threading.Lock()
        if folder is not None and _queries_in(folder).exists() and _queries_in(folder).stat().st_size:
            self._queries |= {str(query.id): query.text for query in read.queries(folder, empty=True)}
            self._own = read.qrels(folder)
        self._ids = {_same(text): id_ for id_, text in reversed(self._queries.items())}

    @property
    def qrels(self) -> Qrels:
        """All judgements."""
        with self._lock:
            queries = [*self._given, *(id_ for id_ in self._own if id_ not in self._given)]
            return {id_: self._given.get(id_, {}) | self._own.get(id_, {}) for id_ in queries}

    @property
    def queries(self) -> list[Query]:
        """The queries that are judged, in the order in which they were given."""
        judged = self.qrels
        return [Query(text, id=id_) for id_, text in self._queries.items() if id_ in judged]

    def of(self, text: str) -> Mapping[str, int]:
        """The grades of documents for a query that is called by its text."""
        id_ = self._ids.get(_same(text))
        return {} if id_ is None else self.qrels.get(id_, {})

    def judge(self, text: str, document_id: str, grade: int | None) -> int | None:
        """Keep a grade, on disk too; None takes back what was judged here. What it was before is returned.

        Raises:
            QueryError: no such grade, an id that the file cannot hold, or there is no folder.
            SourceError: the folder cannot be written to; nothing is judged then.
        """
        self._check(text, document_id, grade)
        with self._lock:
            id_ = self._ids.get(_same(text)) or _new_id(text)
            before = self._own.get(id_, {}).get(document_id, self._given.get(id_, {}).get(document_id))
            own = {query: dict(grades) for query, grades in self._own.items()}
            if grade is None:
                own.get(id_, {}).pop(document_id, None)
            else:
                own.setdefault(id_, {})[document_id] = grade
            queries = {id_: text} | self._queries
            self._save({query: grades for query, grades in own.items() if grades}, queries)
            self._own, self._queries = own, self._queries | {id_: queries[id_]}
            self._ids[_same(text)] = id_
        return before

    def _check(self, text: str, document_id: str, grade: int | None) -> None:
        if self.folder is None:
            raise QueryError("nothing can be judged", remedy="Start hybrid-search serve with --judge FOLDER")
        if grade is not None and grade not in GRADES:
            raise QueryError(f"the grade {grade}", remedy="Give 0, 1, 2 or 3")
        if not text.strip() or not document_id or set(document_id) & set("\t\r\n"):
            raise QueryError("a judgement needs a query and the id of a document without tabs and line ends")

    def _save(self, own: Qrels, queries: Mapping[str, str]) -> None:
        """Each file is replaced whole: one that is half written is never seen."""
        folder = self.folder
        if folder is None:
            raise QueryError("nothing can be judged")
        lines = [f"{query}\t{id_}\t{grade}\n" for query, grades in own.items() for id_, grade in grades.items()]
        asked = [orjson.dumps({"_id": id_, "text": queries[id_]}).decode() + "\n" for id_ in own]
        try:
            make_folder(folder)
            make_folder(folder / "qrels")
            _replace(_queries_in(folder), "".join(asked))
            _replace(_qrels_in(folder), HEADER + "".join(lines))
        except OSError as error:
            raise SourceError(
                f"the judgement is not kept ({error.strerror})", where=str(folder), remedy="Name another with --judge"
            ) from error


def checked_folder(folder: Path) -> Path:
    """The folder, where judgements may go: it is new, empty, or one of ours.

    Raises:
        RecordError: it holds a data set of somebody else's, which is not written to.
    """
    if (folder / "corpus.jsonl").exists() or (folder / "corpus.jsonl.gz").exists():
        raise RecordError(
            "holds a data set, which is not written to",
            where=f"--judge {folder}",
            remedy="Name a folder of its own; give this one as --queries and --qrels",
        )
    return folder


def _queries_in(folder: Path) -> Path:
    return folder / "queries.jsonl"


def _qrels_in(folder: Path) -> Path:
    return folder / "qrels" / "test.tsv"


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    with open_new(new) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _same(text: str) -> str:
    """Queries that differ in white space or composition alone are one."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _new_id(text: str) -> str:
    """The same text has the same id, in every folder."""
    return f"q-{hashlib.sha256(_same(text).encode()).hexdigest()[:12]}"
