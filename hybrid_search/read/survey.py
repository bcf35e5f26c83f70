"""A look at a sample of a source: what each field holds, and what it is good for in a search."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.fields import moment, number
from hybrid_search.read.beir import packed_variant
from hybrid_search.read.identity import document_id
from hybrid_search.read.sources import records
from hybrid_search.read.streams import shown
from hybrid_search.read.vectors import dense_vector, sparse_vector

SAMPLE = 1000
_LEAST_DIMENSION = 8
_LEAST_TERMS = 5
_LONGEST_LABEL = 60
_REPEATING = 0.9
"""A label to filter on is short, and at least a tenth of the records share theirs with another."""
_FEWEST_WORDS = 3


class Role(StrEnum):
    """What a field is used for; ``STORED`` fields come with the hits and are nothing more."""

    ID = "id"
    TEXT = "text"
    KEYWORD = "keyword"
    NUMBER = "number"
    DATE = "date"
    DENSE = "dense"
    SPARSE = "sparse"
    STORED = "stored"


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field of a sample: what it holds, in which share of the records, an example, its role and why."""

    name: str
    kind: str
    share: float
    example: str
    role: Role
    reason: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What ``seen`` records of a source hold; ``bad`` are the errors of those that could not be read."""

    source: str
    seen: int
    fields: Sequence[FieldView]
    bad: Sequence[RecordError] = ()
    beir: bool = False
    notes: Sequence[str] = ()

    def names(self, role: Role) -> list[str]:
        """Fields of a role, in the order in which they should be used."""
        return [view.name for view in self.fields if view.role == role]


@dataclass(slots=True)
class _Column:
    """The values of one field that are there and not empty."""

    name: str
    values: list[Any] = field(default_factory=list)

    def all(self, test: Callable[[Any], bool]) -> bool:
        return all(map(test, self.values))

    def all_read(self, read: Callable[[Any], Any]) -> bool:
        """Whether a reader takes all values."""
        try:
            return bool([read(value) for value in self.values])
        except (RecordError, ValueError):
            return False

    @property
    def distinct(self) -> int:
        return len(set(map(str, self.values)))

    @property
    def words(self) -> float:
        return sum(len(str(value).split()) for value in self.values) / len(self.values)

    @property
    def length(self) -> float:
        return sum(len(str(value)) for value in self.values) / len(self.values)


def survey(
    source: str | Path,
    *,
    format: str | None = None,
    sample: int = SAMPLE,
    records_path: str | None = None,
    query: str | None = None,
) -> Survey:
    """Look at the first ``sample`` records of a source; for ``records_path`` and ``query`` see ``read.documents``.

    Raises:
        SourceError: it cannot be read, or none of its records can.
    """
    bad: list[RecordError] = []
    notes: dict[str, None] = {}
    found = records(
        source,
        format=format,
        on_bad=lambda error, _data: bad.append(error),
        records_path=records_path,
        query=query,
        on_note=lambda note: notes.setdefault(note, None),
    )
    sampled = [record.values for record in islice(found, sample)]
    if not sampled:
        what = f"no record can be read; the first: {bad[0]}" if bad else "holds no record"
        raise SourceError(what, where=shown(source), remedy="Check the source and its format")
    columns = _columns(sampled)
    views = _views(columns, len(sampled))
    is_beir = Path(source).is_dir() and packed_variant(Path(source), "corpus.jsonl") is not None
    return Survey(shown(source), len(sampled), views, tuple(bad), is_beir, tuple(notes))


def _columns(sampled: Iterable[Mapping[str, Any]], prefix: str = "") -> list[_Column]:
    """The fields in the order of their first appearance; those inside objects by dotted names."""
    columns: dict[str, _Column] = {}
    for record in sampled:
        for name, value in record.items():
            if value not in (None, "", [], {}):
                columns.setdefault(name, _Column(prefix + name)).values.append(value)
    flat: list[_Column] = []
    for column in columns.values():
        if column.all(lambda value: isinstance(value, dict)) and not _is_sparse(column):
            flat += _columns(column.values, f"{column.name}.")
        else:
            flat.append(column)
    return flat


def _views(columns: Sequence[_Column], seen: int) -> list[FieldView]:
    identifier = _identifier(columns, seen)
    judged = [(column, *_judged(column, column is identifier)) for column in columns]
    ordered = sorted(judged, key=lambda item: _order(item[0], item[2]))
    return [
        FieldView(column.name, kind, len(column.values) / seen, _example(column), role, reason)
        for column, kind, role, reason in ordered
    ]


def _order(column: _Column, role: Role) -> tuple[int, float, float]:
    """By role; titles before bodies, then long texts before short ones."""
    is_text = role == Role.TEXT
    return list(Role).index(role), -_is_title(column.name) if is_text else 0, -column.length if is_text else 0


def _is_title(name: str) -> bool:
    return bool(re.fullmatch(r"(.*[._])?(title|headline|heading|subject|question)", name.lower()))


def _is_body(name: str) -> bool:
    return bool(re.fullmatch(r"(.*[._])?(text|body|content|abstract|summary|description|answer)", name.lower()))


def _identifier(columns: Sequence[_Column], seen: int) -> _Column | None:
    """The field that names a document: one that is there and different in every record, best by its name."""
    fitting = [
        column
        for column in columns
        if len(column.values) == seen == column.distinct
        and column.all_read(lambda value: document_id(value, ""))
        and column.words < 2
    ]
    names = ("_id", "id", "doc_id", "docid", "document_id", "uuid", "uid", "key", "url")
    return min(
        fitting,
        key=lambda column: names.index(column.name.lower()) if column.name.lower() in names else len(names),
        default=None,
    )


def _judged(column: _Column, is_identifier: bool) -> tuple[str, Role, str]:
    """What the field holds, its role, and why."""
    kind = _kind(column)
    if is_identifier:
        return kind, Role.ID, "different in all"
    if kind == "text":
        return kind, *_judged_text(column)
    if kind == "list of text":
        is_short = column.all(lambda value: all(len(item) <= 100 for item in value))
        return kind, *((Role.KEYWORD, "short labels") if is_short else (Role.TEXT, "paragraphs"))
    roles = {
        "boolean": (Role.KEYWORD, "yes or no"),
        "date": (Role.DATE, "dates"),
        "number": (Role.NUMBER, "numbers"),
        "numeric label": (Role.KEYWORD, "leading zeros or plus signs"),
        "dense vector": (Role.DENSE, f"{_dimension(column)} numbers in each"),
        "sparse vector": (Role.SPARSE, "positive weights of terms"),
    }
    return kind, *roles.get(kind, (Role.STORED, "of several types"))


def _judged_text(column: _Column) -> tuple[Role, str]:
    if column.all(lambda value: re.match(r"[a-z]+://\S+$", value) is not None):
        return Role.STORED, "addresses"
    if _is_title(column.name) or _is_body(column.name):
        return Role.TEXT, _length(column)
    if column.length <= _LONGEST_LABEL and column.distinct < _REPEATING * len(column.values):
        return Role.KEYWORD, f"{column.distinct:,} values"
    if column.words >= _FEWEST_WORDS:
        return Role.TEXT, _length(column)
    return Role.STORED, "seldom the same"


def _length(column: _Column) -> str:
    """As an average over the records that have the field."""
    words = max(1, round(column.words))
    return f"{words:,} word{'s' * (words > 1)} long"


def _kind(column: _Column) -> str:
    tests: dict[str, Callable[[], bool]] = {
        "boolean": lambda: column.all(lambda value: isinstance(value, bool)),
        "dense vector": lambda: _dimension(column) >= _LEAST_DIMENSION,
        "sparse vector": lambda: _is_sparse(column),
        "date": lambda: column.all(_is_date),
        "numeric label": lambda: column.all_read(number) and any(map(_is_label, column.values)),
        "number": lambda: column.all_read(number),
        "text": lambda: column.all(lambda value: isinstance(value, str)),
        "list of text": lambda: column.all(_is_list_of_text),
    }
    return next((kind for kind, holds in tests.items() if holds()), "mixed")


def _is_label(value: Any) -> bool:
    """Digits that would not come back from a number: ``01730`` and ``+49`` are a post code and a telephone number."""
    return isinstance(value, str) and re.match(r"\s*(\+|-?0\d)", value) is not None


def _is_date(value: Any) -> bool:
    """A whole date as text; a year, or a number, is a number as far as one can see."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d{2}(-\d{2})?", value):
        return False
    try:
        return isinstance(moment(value), str)
    except ValueError:
        return False


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _dimension(column: _Column) -> int:
    """The one size of all dense vectors of a field; 0 where they are none, or of several sizes."""
    first = column.values[0]
    if not isinstance(first, list) and not (isinstance(first, str) and len(first) > 40 and " " not in first):
        return 0
    try:
        sizes = {dense_vector(value, column.name).size for value in column.values}
    except RecordError:
        return 0
    return sizes.pop() if len(sizes) == 1 else 0


def _is_sparse(column: _Column) -> bool:
    """Objects of weights: several terms in each, and other terms in other records."""
    if not column.all(lambda value: isinstance(value, dict) and len(value) >= _LEAST_TERMS):
        return False
    return column.all_read(lambda value: sparse_vector(value, column.name)) and (
        len(column.values) == 1 or len({frozenset(value) for value in column.values}) > 1
    )


def _example(column: _Column) -> str:
    """The first value, as short as a table wants it."""
    value = column.values[0]
    if isinstance(value, dict):
        value = [f"{key} {item}" for key, item in value.items()]
    text = ", ".join(map(str, value[:8])) if isinstance(value, list) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 48 else f"{text[:47]}…"
