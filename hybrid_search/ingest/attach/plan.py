"""What attaching vectors to an index would do, looked at before anything is changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from hybrid_search.attachment import Attachment
from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import layout
from hybrid_search.engine.attached import ATTACHED_VERSION, attached_properties, models_mark
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.foreign import FieldKind, ForeignField, ForeignIndex, SourceKept
from hybrid_search.engine.protocols import Dialect
from hybrid_search.engine.templates import META
from hybrid_search.errors import IndexMismatchError, SettingsError
from hybrid_search.records import FieldReading, IndexSchema, TextField
from hybrid_search.settings import Settings
from hybrid_search.settings.documents import WITH_TITLE, DocumentSettings
from hybrid_search.settings.text import TITLE_WEIGHT

MOST_PASSAGES = 16
"""Passages of a document that have vectors where nobody says how many: some 4,000 words of a model that reads 256."""

_ROLES = {
    FieldKind.KEYWORD: "keyword",
    FieldKind.BOOLEAN: "keyword",
    FieldKind.NUMBER: "number",
    FieldKind.DATE: "date",
    FieldKind.GEO: "geo",
}

_BLOCKS = ("index.blocks.write", "index.blocks.read_only", "index.blocks.metadata")


@dataclass(frozen=True, slots=True)
class AttachPlan:
    """What would be done to an index.

    Attributes:
        index: the index, not an alias.
        schema: as which it would be searched.
        added: the mapping that would be added; empty where it is there.
        documents: those that the index has.
        lacking: those of them without vectors of these models; those whose text has changed are found while reading.
        notes: what whoever decides should know.
        seconds: about how long encoding takes here; None where nothing was measured.
        bytes: about how much the vectors take on disk, in each copy; None the same.
    """

    index: str
    schema: IndexSchema
    added: Mapping[str, Any]
    documents: int
    lacking: int
    notes: Sequence[str] = ()
    seconds: float | None = None
    bytes: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        attached = self.schema.attached
        return {
            "index": self.index,
            "texts": list(attached.texts) if attached else [],
            "models": {leg: one.name for leg, one in _models(self.schema).items()},
            "added": self.added,
            "documents": self.documents,
            "lacking": self.lacking,
            "seconds": self.seconds,
            "bytes": self.bytes,
            "notes": list(self.notes),
        }


def _models(schema: IndexSchema) -> dict[str, Any]:
    both = {"dense": schema.dense, "sparse": schema.sparse}
    return {leg: one for leg, one in both.items() if one is not None}


def check_attachable(found: ForeignIndex) -> None:
    """Refuse an index whose documents a partial update would not leave as they are.

    Raises:
        IndexMismatchError: it is one of ours, it does not keep whole documents, or it takes no writes.
    """
    meta = found.meta.get(META) or {}
    if found.is_ours and meta.get("schema_version") != ATTACHED_VERSION:
        raise IndexMismatchError(
            "this index was made by hybrid-search and has its vectors, or gets them by: hybrid-search enrich",
            where=found.where,
            remedy="Run: hybrid-search enrich",
        )
    if found.kept is not SourceKept.WHOLE:
        raise IndexMismatchError(
            f"the index keeps its documents {_KEPT[found.kept]}: an engine writes a document anew to add to it,"
            " and would lose what it has not kept",
            where=found.where,
            remedy="Load it from its source into an index of ours: hybrid-search index",
        )
    blocked = [name for name in _BLOCKS if found.settings.get(name) == "true"]
    if blocked:
        raise IndexMismatchError(
            f"the index takes no changes ({blocked[0]} is true)", where=found.where, remedy="Lift the block first"
        )
    _check_prefix(found)


_KEPT = {
    SourceKept.PARTLY: "without some fields (_source.includes or excludes)",
    SourceKept.SYNTHETIC: "as the values of their fields alone (synthetic source)",
    SourceKept.NOTHING: "not at all (_source is disabled)",
}


def _check_prefix(found: ForeignIndex) -> None:
    theirs = found.fields.get(layout.ATTACHED)
    ours = found.fields.get(layout.ATTACHED_PASSAGES)
    if theirs is not None and (ours is None or ours.kind is not FieldKind.NESTED):
        raise IndexMismatchError(
            f"the index has a field {layout.ATTACHED!r} of its own, which is the name of ours",
            where=found.where,
            remedy="Copy the index into one of ours: hybrid-search index",
        )


def attached_schema(
    found: ForeignIndex,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    *,
    texts: Sequence[str] = (),
    most: int | None = None,
) -> IndexSchema:
    """As what the index would be searched: its own text fields and fields to filter on, our vectors beside them.

    Raises:
        SettingsError: a text field that the index has not, or no text field at all.
    """
    named = tuple(texts) or _named_texts(found, settings.documents)
    searched = [found.fields[name] for name in named if found.fields[name].is_indexed]
    paths, kinds, readings = _filters(found)
    title = _title(settings, named)
    base = IndexSchema(
        dense=encoder.dense,
        sparse=encoder.sparse,
        keyword_fields=_of(kinds, "keyword"),
        number_fields=_of(kinds, "number"),
        date_fields=_of(kinds, "date"),
        geo_fields=_of(kinds, "geo"),
        readings=readings,
        title=title,
        passage_title=title,
        text_fields=tuple(TextField(one.path, _analyzer(one), _weight(one, settings, title)) for one in searched),
        dense_index=settings.engine.dense_index,
        sparse_index=settings.engine.sparse_index,
        hnsw_m=settings.engine.hnsw_m,
        hnsw_ef_construction=settings.engine.hnsw_ef_construction,
        layout=ATTACHED_VERSION,
    )
    attachment = Attachment(
        texts=named,
        paths=paths,
        models=models_mark(encoder.dense, encoder.sparse),
        most=MOST_PASSAGES if most is None else most,
        has_graph=connection.dialect.engine != "opensearch" or found.settings.get("index.knn") == "true",
    )
    return _with_vector_fields(replace(base, attached=attachment), connection.dialect)


def _with_vector_fields(schema: IndexSchema, dialect: Dialect) -> IndexSchema:
    """With fields for vectors that are named by what they hold: a mapped field can neither change nor go."""
    attached = schema.attached or Attachment(())
    both = replace(attached, dense="dense" if schema.dense else None, sparse="sparse" if schema.sparse else None)
    mapped = attached_properties(replace(schema, attached=both), dialect)
    inside = mapped[layout.ATTACHED]["properties"]["passages"]["properties"]
    names = {leg: _field_name(leg, inside[leg]) for leg in ("dense", "sparse") if leg in inside}
    return replace(schema, attached=replace(attached, dense=names.get("dense"), sparse=names.get("sparse")))


def _of(kinds: Mapping[str, str], role: str) -> tuple[str, ...]:
    return tuple(name for name, kind in kinds.items() if kind == role)


def _field_name(leg: str, mapped: Mapping[str, Any]) -> str:
    said = hashlib.blake2b(orjson.dumps(mapped, option=orjson.OPT_SORT_KEYS), digest_size=3).hexdigest()
    size = mapped.get("dims", mapped.get("dimension"))
    return "_".join([leg, *([] if size is None else [str(size)]), said])


def _named_texts(found: ForeignIndex, documents: DocumentSettings) -> tuple[str, ...]:
    """The text fields of the settings, where somebody has set them; else all that the index has."""
    own = [one for one in found.of_kind(FieldKind.TEXT) if not one.path.startswith(f"{layout.ATTACHED}.")]
    ordered = sorted(own, key=lambda one: one.path not in {documents.title, "title"})  # mappings have no order
    named = documents.text if documents.text != DocumentSettings().text else tuple(one.path for one in ordered)
    if absent := [name for name in named if name not in found.fields]:
        raise SettingsError(
            f"the index has no field {absent[0]!r}",
            where="documents.text",
            remedy=f"It has the text fields: {', '.join(one.path for one in own) or 'none'}",
        )
    if not named:
        raise SettingsError(
            "the index has no text field to encode", where=found.where, remedy="Name the fields that hold text: --text"
        )
    return named


def _filters(found: ForeignIndex) -> tuple[dict[str, str], dict[str, str], dict[str, FieldReading]]:
    """The owner's fields to filter on: where each is, its role, and how it is read."""
    paths: dict[str, str] = {}
    kinds: dict[str, str] = {}
    readings: dict[str, FieldReading] = {}
    for one in found.of_kind(FieldKind.TEXT, *_ROLES):
        form = found.form(one.path, FieldKind.KEYWORD) if one.kind is FieldKind.TEXT else one
        if form is None or not form.is_indexed or one.path.startswith(f"{layout.ATTACHED}."):
            continue
        paths[one.path], kinds[one.path] = form.path, _ROLES[form.kind]
        if one.kind is FieldKind.BOOLEAN:
            readings[one.path] = FieldReading(boolean=True)
    return paths, kinds, readings


def _title(settings: Settings, texts: Sequence[str]) -> str | None:
    """The field that models read before every passage."""
    wanted = settings.chunking.with_title
    title = settings.documents.title or ("title" if "title" in texts and len(texts) > 1 else None)
    return title if (WITH_TITLE if wanted is None else wanted) else None


def _weight(one: ForeignField, settings: Settings, title: str | None) -> float:
    given = settings.text.get(one.path)
    return given.weight if given is not None else (TITLE_WEIGHT if one.path == title else 1.0)


def _analyzer(one: ForeignField) -> str:
    """What makes words of a field and of queries to it: fields that differ in either are searched apart."""
    analyzer = one.analyzer or "default"
    asked = one.parameters.get("search_analyzer", analyzer)
    return analyzer if asked == analyzer else f"{analyzer}, searched by {asked}"
