"""A look at a sample of a source: what each field holds, and what it is good for in a search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.fields import value_at, values_at
from hybrid_search.read.beir import packed_variant
from hybrid_search.read.coordinates import is_place_object
from hybrid_search.read.identity import document_id
from hybrid_search.read.indexed import Origin
from hybrid_search.read.judge import (
    ADDRESSES,
    FEW_LETTERS,
    Column,
    Finding,
    Role,
    could_be_title,
    is_sparse,
    judged,
    texts_of,
)
from hybrid_search.read.languages import Reading, languages, languages_said, listed, reading_of
from hybrid_search.read.mapped import as_mapped, mapped_fields
from hybrid_search.read.names import id_rank, is_language, is_name, title_rank
from hybrid_search.read.raw import RawRecord
from hybrid_search.read.sources import records
from hybrid_search.read.storage import is_dir
from hybrid_search.read.streams import shown
from hybrid_search.settings.documents import CONTENT, FIELD, FIRST, NUMBER, REFUSE

__all__ = ["SAMPLE", "FieldView", "Role", "Survey", "survey"]

SAMPLE = 1000
_FEW = 0.05
"""Records without a text are left out, if they are no more than that; else their labels are searched."""
LANGUAGE = "language"
_LABELS = frozenset({"text", "list of text"})
_MOST = 0.9
"""A field by whose name an id is meant may repeat itself in a tenth of the records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView(Finding):
    """One field of a sample: what was found of it, in which share of the records it is, and an example.

    ``languages`` are shares of its texts by language code.
    """

    name: str
    share: float
    example: str
    languages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Survey:
    """What ``seen`` records of a source hold; ``bad`` are the errors of those that could not be read.

    ``id_from``, ``repeated_ids`` and ``title`` are what suits them of the settings of those names; ``records`` are the
    sample itself, ``notes`` what its reader detected.
    """

    source: str
    seen: int
    fields: Sequence[FieldView]
    bad: Sequence[RecordError] = ()
    beir: bool = False
    id_from: str = FIELD
    repeated_ids: str = REFUSE
    title: str | None = None
    records: Sequence[RawRecord] = field(default=(), repr=False)
    notes: Sequence[str] = ()

    def names(self, role: Role) -> list[str]:
        """Fields of a role, in the order in which they should be used."""
        return [view.name for view in self.fields if view.role == role]

    @property
    def texts(self) -> list[str]:
        """Fields to search in: those of text, and labels too where many records have no text."""
        texts = self.names(Role.TEXT)
        without = sum(not any(values_at(record.values, name) for name in texts) for record in self.records)
        if texts and without <= _FEW * len(self.records):
            return texts
        labels = [view for view in self.fields if view.kind in _LABELS and view.role in {Role.KEYWORD, Role.STORED}]
        fitting = [view.name for view in labels if view.reason not in {ADDRESSES, FEW_LETTERS}]
        return texts + [name for name in fitting if any(value_at(record.values, name) for record in self.records)]

    @property
    def languages(self) -> Mapping[str, float]:
        """Those of the first text that is no title, which the analyzer is for."""
        spoken = [view for view in self.fields if view.role == Role.TEXT and view.languages]
        bodies = [view for view in spoken if view.name != self.title]
        return next((view.languages for view in bodies or spoken), {})

    @property
    def reading(self) -> Reading:
        """How BM25 should read the texts: by one analyzer, or each by that of its language."""
        names = {view.name for view in self.fields}
        new = next(name for name in (LANGUAGE, f"detected_{LANGUAGE}", f"{LANGUAGE}_of_text") if name not in names)
        said = {name: shares for name in self._labels_of_languages if (shares := self._said(name))}
        named = max(said, key=lambda name: len(said[name]), default=None)
        return reading_of(self.languages if named is None else said[named], named, new)

    @property
    def _labels_of_languages(self) -> list[str]:
        """Fields that are called so, and are no other thing."""
        fitting = {Role.KEYWORD, Role.STORED}
        return [view.name for view in self.fields if view.role in fitting and is_language(view.name)]

    def _said(self, name: str) -> dict[str, float]:
        """Languages that a field names in most of the records, with their shares."""
        values = [value for record in self.records if (value := value_at(record.values, name))]
        return languages_said(values) if len(values) * 2 > len(self.records) else {}


@dataclass(frozen=True, slots=True)
class _Identity:
    """The field that names a document, None where an id is to be made; what becomes of ids that come again."""

    column: Column | None
    repeated_ids: str
    reason: str


def survey(
    source: str | Path,
    *,
    format: str | None = None,
    sample: int = SAMPLE,
    records_path: str | None = None,
    query: str | None = None,
    origin: Origin | None = None,
) -> Survey:
    """Look at the first ``sample`` records of a source; for the other arguments see ``read.documents``.

    Of an index its mapping is looked at too.

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
        origin=origin,
    )
    sampled = list(islice(found, sample))
    if not sampled:
        what = f"no record can be read; the first: {bad[0]}" if bad else "holds no record"
        raise SourceError(what, where=shown(source), remedy="Check the source and its format")
    columns = _columns(record.values for record in sampled)
    identity = _identity(columns, sampled)
    title = _title(columns, identity)
    is_beir = origin is None and is_dir(Path(source)) and packed_variant(Path(source), "corpus.jsonl") is not None
    return Survey(
        shown(source),
        len(sampled),
        _views(columns, identity, len(sampled), title, _mapping(source, origin)),
        tuple(bad),
        is_beir,
        CONTENT if identity.column is None else FIELD,
        identity.repeated_ids,
        title,
        sampled,
        tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class _Names:
    """Names that a field may share: of objects, of what is inside of them, and of blanks whose name has a dot."""

    objects: set[str] = field(default_factory=set)
    inner: set[str] = field(default_factory=set)
    blank: set[str] = field(default_factory=set)

    @property
    def shared(self) -> set[str]:
        """Names that stand for something else as well, where a field has them."""
        return self.objects | (self.inner & self.blank)


def _columns(sampled: Iterable[Mapping[str, Any]]) -> list[Column]:
    """The fields in the order of their first appearance; those inside objects by dotted names."""
    columns: dict[str, Column] = {}
    names = _Names()
    for column in _flat(sampled, names):
        known = columns.setdefault(column.name, column)
        if known is not column:
            known.values += column.values
            known.is_shared = True
    for name in names.shared & set(columns):
        columns[name].is_shared = True
    return list(columns.values())


def _flat(
    sampled: Iterable[Mapping[str, Any]], names: _Names, prefix: str = "", *, in_list: bool = False
) -> list[Column]:
    """The same, where two may have one name; the names that they may share are put into ``names``."""
    columns: dict[str, Column] = {}
    for record in sampled:
        for name, value in record.items():
            if value not in (None, "", [], {}):
                columns.setdefault(name, Column(prefix + name, in_list=in_list)).values.append(value)
            elif "." in name:
                names.blank.add(prefix + name)
    flat: list[Column] = []
    for column in columns.values():
        is_list = column.all(_is_list_of_objects)
        is_whole = is_sparse(column) or column.all(is_place_object)
        if not is_whole and (is_list or column.all(lambda value: isinstance(value, dict))):
            names.objects.add(column.name)
            inner = map(_merged, column.values) if is_list else column.values
            flat += _flat(inner, names, f"{column.name}.", in_list=in_list or is_list)
        else:
            flat.append(column)
            if prefix:
                names.inner.add(column.name)
            if not is_whole:
                names.objects.update(name for value in column.values for name in _names_within(value, column.name))
    return flat


def _names_within(value: Any, name: str) -> Iterator[str]:
    """The dotted names inside of a value, where a field has objects among values of other kinds."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for key, inner in item.items():
                yield f"{name}.{key}"
                yield from _names_within(inner, f"{name}.{key}")


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _merged(objects: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The values of a list of objects by their names: that is how they are filtered on."""
    names = dict.fromkeys(name for item in objects for name in item)
    return {name: [item[name] for item in objects if item.get(name) not in (None, "", [], {})] for name in names}


Correct = Callable[[Column, Finding], Finding]
"""What is found of a column, corrected by what else is known."""


def _mapping(source: str | Path, origin: Origin | None) -> Correct:
    """Corrects by the mapping of an index; leaves all as it is where there is none."""
    if origin is None:
        return lambda _, found: found
    indices = origin.indices(str(source))
    fields = mapped_fields(indices)
    forms = frozenset(one.form_of for index in indices for one in index.fields.values() if one.form_of is not None)
    return lambda column, found: as_mapped(column, found, fields, forms)


def _views(
    columns: Sequence[Column], identity: _Identity, seen: int, title: str | None, correct: Correct
) -> list[FieldView]:
    findings = [(column, _found(column, identity, correct)) for column in columns]
    ordered = sorted(findings, key=lambda item: _order(*item))
    return [_view(column, found, seen, title) for column, found in ordered]


def _found(column: Column, identity: _Identity, correct: Correct) -> Finding:
    found = correct(column, judged(column))
    if column is identity.column:
        return Finding(found.kind, Role.ID, identity.reason)
    if column.in_list and found.role in {Role.TEXT, Role.DENSE, Role.SPARSE}:
        return Finding(found.kind, Role.STORED, "in a list of objects")
    return found


def _view(column: Column, found: Finding, seen: int, title: str | None) -> FieldView:
    spoken = languages(texts_of(column, found)) if found.role == Role.TEXT else {}
    said = [found.reason, *([listed(spoken)] if spoken else []), *(["heads results"] if column.name == title else [])]
    return FieldView(
        **{**asdict(found), "reason": "; ".join(said)},
        name=column.name,
        share=len(column.values) / seen,
        example=_example(column),
        languages=spoken,
    )


def _order(column: Column, found: Finding) -> tuple[int, float, float]:
    """By role; titles before bodies, then long texts before short ones."""
    if found.role != Role.TEXT:
        return list(Role).index(found.role), 0, 0
    rank = title_rank(column.name) if could_be_title(column) else 0
    return list(Role).index(found.role), -rank, -column.length


def _title(columns: Sequence[Column], identity: _Identity) -> str | None:
    """The field that heads a result: the one with the best name for it, and the first of several."""
    fitting = [column for column in columns if could_be_title(column) and column is not identity.column]
    best = max(fitting, key=lambda column: title_rank(column.name), default=None)
    return None if best is None else best.name


def _identity(columns: Sequence[Column], sampled: Sequence[RawRecord]) -> _Identity:
    """The field that names a document: one that is there and different in every record, best by its name.

    One with a good name is taken too where it is different in nearly every record.
    """
    seen = len(sampled)
    fitting = [column for column in columns if len(column.values) == seen and _holds_ids(column)]
    unique = [column for column in fitting if column.distinct == seen and _may_be_id(column, columns)]
    unique.sort(key=lambda column: _id_order(column.name))
    named = [column for column in fitting if id_rank(column.name) is not None and column.distinct >= _MOST * seen]
    named.sort(key=lambda column: _id_order(column.name))
    if unique and (not named or _id_order(unique[0].name) <= _id_order(named[0].name)):
        return _Identity(unique[0], REFUSE, "different in all")
    if named and _id_order(named[0].name) < (not unique, 0):
        return _repeating(named[0], sampled)
    return _Identity(unique[0], REFUSE, "different in all") if unique else _Identity(None, FIRST, "")


def _holds_ids(column: Column) -> bool:
    """Whether all values could be ids, as far as their form goes."""
    is_plain = not column.is_shared and not column.in_list
    return is_plain and column.all_read(lambda value: document_id(value, "")) and column.words < 2


def _id_order(name: str) -> tuple[bool, int]:
    rank = id_rank(name)
    return rank is None, rank or 0


def _may_be_id(column: Column, columns: Sequence[Column]) -> bool:
    """Numbers, dates and titles are different by chance; without an id's name, only what stands first is one."""
    if id_rank(column.name) is not None:
        return True
    found = judged(column)
    if is_name(column.name):
        return False
    if found.role in {Role.DATE, Role.BOOLEAN} or found.html or title_rank(column.name):
        return False
    return column is columns[0] or (found.role == Role.STORED and any(map(str.isdigit, str(column.values[0]))))


def _repeating(column: Column, sampled: Sequence[RawRecord]) -> _Identity:
    """A field that is an id by its name, but not different in all: numbered, unless the records are the same."""
    places: dict[str, list[int]] = {}
    for number, value in enumerate(column.values):
        places.setdefault(str(value), []).append(number)
    again = next(numbers for numbers in places.values() if len(numbers) > 1)
    lines = [sampled[number].where.rpartition(":")[2] for number in again[:2]]
    is_same = all(
        sampled[numbers[0]].values == sampled[number].values for numbers in places.values() for number in numbers[1:]
    )
    times = "twice" if len(again) == 2 else f"{len(again)} times"
    reason = f"different in {len(places):,} of {len(sampled):,}, {times} at line {lines[0]} and {lines[1]}"
    return _Identity(column, FIRST if is_same else NUMBER, reason)


def _example(column: Column) -> str:
    """The first value, as short as a table wants it."""
    value = column.values[0]
    if isinstance(value, dict):
        value = [f"{key} {item}" for key, item in value.items()]
    text = ", ".join(map(str, value[:8])) if isinstance(value, list) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 48 else f"{text[:47]}…"
