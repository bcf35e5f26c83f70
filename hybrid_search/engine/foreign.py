"""What an index is that its owner made: its fields by what they are good for, and what it keeps of its documents.

Mappings of both engines are read, and nothing is written. Names are the engine's own: dotted paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.patterns import refuse_patterns
from hybrid_search.engine.protocols import Dialect, Request
from hybrid_search.engine.templates import META
from hybrid_search.errors import IndexMismatchError, IndexMissingError

HIDES_VECTORS = (9, 2, 0)
"""Elasticsearch leaves vectors out of ``_source`` from this version on, unless it is asked for them."""


class FieldKind(StrEnum):
    """What a field is good for."""

    TEXT = "text"
    KEYWORD = "keyword"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    GEO = "geo"
    DENSE = "dense"
    SPARSE = "sparse"
    NESTED = "nested"
    OBJECT = "object"
    OTHER = "other"


class SourceKept(StrEnum):
    """What an index keeps of the documents that it was given.

    ``PARTLY`` leaves out fields that the mapping names; ``SYNTHETIC`` builds a document anew from its fields, in their
    order and without what is mapped by none (OpenSearch calls that derived).
    """

    WHOLE = "whole"
    PARTLY = "partly"
    SYNTHETIC = "synthetic"
    NOTHING = "nothing"


_KINDS: dict[FieldKind, tuple[str, ...]] = {
    FieldKind.TEXT: ("text", "match_only_text", "semantic_text", "pattern_text", "search_as_you_type"),
    FieldKind.KEYWORD: ("keyword", "constant_keyword", "wildcard", "ip", "version", "icu_collation_keyword"),
    FieldKind.NUMBER: (
        *("long", "integer", "short", "byte", "unsigned_long"),
        *("double", "float", "half_float", "scaled_float"),
    ),
    FieldKind.DATE: ("date", "date_nanos"),
    FieldKind.BOOLEAN: ("boolean",),
    FieldKind.GEO: ("geo_point",),
    FieldKind.DENSE: ("dense_vector", "knn_vector"),
    FieldKind.SPARSE: ("rank_features", "sparse_vector"),
    FieldKind.NESTED: ("nested",),
    FieldKind.OBJECT: ("object", "flattened", "flat_object"),
}
KIND_OF: Mapping[str, FieldKind] = {name: kind for kind, names in _KINDS.items() for name in names}
"""What the engines' types of fields are good for; a type that is not here is :attr:`FieldKind.OTHER`."""


@dataclass(frozen=True, slots=True)
class ForeignField:
    """One field of a mapping.

    Attributes:
        path: its name, with the objects around it: ``author.name``, ``title.keyword``.
        type: what the engine calls it.
        kind: what it is good for.
        is_indexed: whether it can be searched.
        form_of: the field whose value it holds in another form: ``title`` for ``title.keyword``; None for one whose
            value documents give.
        nested_in: the nested object that it lies in; the documents of a search have no such fields themselves.
        analyzer: what makes words of a text, None for the engine's usual one.
        dimension: components of a dense vector, None where it has none yet.
        parameters: all that the mapping says of it, without the fields inside.
    """

    path: str
    type: str
    kind: FieldKind
    is_indexed: bool = True
    form_of: str | None = None
    nested_in: str | None = None
    analyzer: str | None = None
    dimension: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ForeignIndex:
    """One index as its mapping and settings say.

    Attributes:
        name: of the index, not of an alias.
        where: for messages.
        uuid: which an index made anew under the name does not share.
        shards: its number of primary shards.
        kept: what it keeps of its documents.
        fields: by path, objects before what is inside of them.
        mappings: as the engine gives them.
        settings: those that were set, by their flat names.
    """

    name: str
    where: str
    uuid: str
    shards: int
    kept: SourceKept
    fields: Mapping[str, ForeignField]
    mappings: Mapping[str, Any] = field(repr=False)
    settings: Mapping[str, str] = field(repr=False)

    @property
    def meta(self) -> Mapping[str, Any]:
        """What its owner, or this package, has written into ``_meta``."""
        found: Mapping[str, Any] = self.mappings.get("_meta") or {}
        return found

    @property
    def is_ours(self) -> bool:
        """Whether this package made it, or has added to it."""
        return META in self.meta

    @property
    def is_closed_to_fields(self) -> bool:
        """Whether its owner has forbidden new fields (``dynamic: strict``); a mapping update adds them all the same."""
        return str(self.mappings.get("dynamic", "true")).lower() == "strict"

    def of_kind(self, *kinds: FieldKind) -> list[ForeignField]:
        """Fields of some kinds whose values documents give, in the order of the mapping; none in nested objects."""
        return [one for one in self.fields.values() if one.kind in kinds and one.form_of is None and not one.nested_in]

    def forms(self, path: str) -> list[ForeignField]:
        """A field and the other forms of its value that are indexed."""
        return [one for one in self.fields.values() if path in {one.path, one.form_of} and one.is_indexed]

    def form(self, path: str, kind: FieldKind) -> ForeignField | None:
        """The form of a field that is of a kind: ``title.keyword`` for the keyword of ``title``; None without one."""
        return next((one for one in self.forms(path) if one.kind == kind), None)

    def leaves_out(self, path: str) -> bool:
        """Whether ``_source`` is kept without this field, as its owner has set it."""
        said = self.mappings.get("_source") or {}
        includes, excludes = said.get("includes") or (), said.get("excludes") or ()
        return _is_named(path, excludes) or bool(includes and not _is_named(path, includes))


def foreign_indices(connection: Connection, name: str) -> tuple[ForeignIndex, ...]:
    """The indices behind a name: one, or all of an alias or data stream, in the order of their names.

    Raises:
        IndexMissingError: there is none.
        RequestRefusedError: ``name`` is a pattern.
    """
    refuse_patterns(name)
    path = f"/{quote(name, safe='')}"
    mappings = connection.send(Request.json("GET", f"{path}/_mapping"))
    settings = connection.send(Request.json("GET", f"{path}/_settings", flat_settings="true"))
    return tuple(
        read_foreign(index, mappings[index]["mappings"], settings[index]["settings"], connection.where)
        for index in sorted(mappings)
        if index in settings  # else it was made, or has gone, between the two requests
    )


def foreign_index(connection: Connection, name: str) -> ForeignIndex:
    """The one index behind a name.

    Raises:
        IndexMissingError: there is none.
        IndexMismatchError: an alias or data stream of several.
        RequestRefusedError: ``name`` is a pattern.
    """
    found = foreign_indices(connection, name)
    place = f"{connection.where}/{name}"
    if not found:
        raise IndexMissingError("no such index", where=place, remedy="Check the name")
    if len(found) > 1:
        listed = ", ".join(one.name for one in found)
        raise IndexMismatchError(
            f"the name stands for several indices: {listed}", where=place, remedy="Name one of them"
        )
    return found[0]


def read_foreign(name: str, mappings: Mapping[str, Any], settings: Mapping[str, str], where: str) -> ForeignIndex:
    """What a mapping and flat settings say of an index."""
    return ForeignIndex(
        name=name,
        where=f"{where}/{name}",
        uuid=settings["index.uuid"],
        shards=int(settings.get("index.number_of_shards", 1)),
        kept=_kept(mappings, settings),
        fields={one.path: one for one in _fields(mappings.get("properties") or {})},
        mappings=mappings,
        settings=settings,
    )


def whole_source(dialect: Dialect, paths: Sequence[str] | None = None) -> Any:
    """What ``_source`` of a search must be to get documents with their vectors; only some fields where named."""
    if dialect.engine == "elasticsearch" and dialect.version >= HIDES_VECTORS:
        return {"exclude_vectors": False, **({} if paths is None else {"includes": list(paths)})}
    return True if paths is None else {"includes": list(paths)}


def _kept(mappings: Mapping[str, Any], settings: Mapping[str, str]) -> SourceKept:
    said = mappings.get("_source") or {}
    mode = said.get("mode") or settings.get("index.mapping.source.mode")
    if said.get("enabled") in {False, "false"} or mode == "disabled":
        return SourceKept.NOTHING
    if mode == "synthetic" or settings.get("index.derived_source.enabled") == "true":
        return SourceKept.SYNTHETIC
    return SourceKept.PARTLY if said.get("includes") or said.get("excludes") else SourceKept.WHOLE


def _fields(properties: Mapping[str, Any], prefix: str = "", nested_in: str | None = None) -> Iterator[ForeignField]:
    for name, said in properties.items():
        path = f"{prefix}{name}"
        kind = said.get("type", "object")
        yield _field(path, said, nested_in)
        within = path if kind == "nested" else nested_in
        yield from _fields(said.get("properties") or {}, f"{path}.", within)
        for form, more in (said.get("fields") or {}).items():
            yield _field(f"{path}.{form}", more, nested_in, form_of=path)


def _field(path: str, said: Mapping[str, Any], nested_in: str | None, form_of: str | None = None) -> ForeignField:
    type_ = said.get("type", "object")
    dimension = said.get("dims", said.get("dimension"))
    return ForeignField(
        path=path,
        type=type_,
        kind=KIND_OF.get(type_, FieldKind.OTHER),
        is_indexed=said.get("index") not in {False, "false"} and said.get("enabled") not in {False, "false"},
        form_of=form_of,
        nested_in=nested_in,
        analyzer=said.get("analyzer"),
        dimension=None if dimension is None else int(dimension),
        parameters={name: value for name, value in said.items() if name not in {"properties", "fields"}},
    )


def _is_named(path: str, patterns: Sequence[str] | str) -> bool:
    """Whether a path, or an object around it, is one of the names, in which ``*`` stands for anything."""
    names = [patterns] if isinstance(patterns, str) else patterns
    parts = path.split(".")
    around = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return any(fnmatchcase(one, name) for one in around for name in names)
