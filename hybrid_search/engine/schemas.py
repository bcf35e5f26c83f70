"""How the schema of an index differs from what is wanted of it, and the schema with more fields to filter on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hybrid_search.fields import ROLES, described_kinds, filter_kinds
from hybrid_search.records import IndexSchema

_COMPARED = ("analyzer", "bm25_k1", "bm25_b", "shards")
_DENSE_ONLY = ("dense_index", "hnsw_m", "hnsw_ef_construction")


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """Between an index and what is wanted of it.

    Attributes:
        additions: fields to filter on that can be added to the index, with their kinds.
        conflicts: what only a new index can have, ``what: index / wanted``.
    """

    additions: Mapping[str, str]
    conflicts: tuple[str, ...]


def schema_difference(ours: IndexSchema, wanted: IndexSchema) -> SchemaDifference:
    """What would have to change for an index of the schema ``ours`` to be one of ``wanted``.

    Models are compared by :func:`check_models`; the number of replicas may change at any time, and a field to filter
    on that the index has beside those that are wanted is none too many.
    """
    names = [*_COMPARED, *(_DENSE_ONLY if ours.dense and wanted.dense else ())]
    names += ["sparse_index"] if ours.sparse and wanted.sparse else []
    pairs = [(name, getattr(ours, name), getattr(wanted, name)) for name in names]
    conflicts = [f"{name}: {mine} / {theirs}" for name, mine, theirs in pairs if mine != theirs]
    additions = {name: kind for name, kind in filter_kinds(wanted).items() if name not in filter_kinds(ours)}
    present, asked = described_kinds(ours), described_kinds(wanted)
    changed = {name: kind for name, kind in asked.items() if present.get(name, kind) != kind}
    if ours.layout == 1:  # its hashes do not say what is filtered on, so no document would be loaded again
        changed, additions = changed | additions, {}
    conflicts += _language_conflicts(ours, wanted)
    conflicts += _text_conflicts(ours, wanted)
    conflicts += [f"stored tokens: {_stored(ours)} / {_stored(wanted)}"] if _stored(ours) != _stored(wanted) else []
    conflicts += [f"field {name}: {present.get(name, 'none')} / {kind}" for name, kind in changed.items()]
    return SchemaDifference(additions, tuple(conflicts))


def _stored(schema: IndexSchema) -> str:
    """How token states are stored, and of which model."""
    late = schema.late
    return "none" if late is None else f"{late.extra.get('format')} of {late.weights}, precision {late.precision}"


def _language_conflicts(ours: IndexSchema, wanted: IndexSchema) -> list[str]:
    """Where the text of a document stands in an index depends on its language."""
    names = ("language", "detects_language")
    pairs = [(name, getattr(ours, name), getattr(wanted, name)) for name in names]
    codes = sorted({*ours.analyzers, *wanted.analyzers})
    pairs += [(f"analyzer of {code}", ours.analyzers.get(code), wanted.analyzers.get(code)) for code in codes]
    return [f"{name}: {mine or 'none'} / {theirs or 'none'}" for name, mine, theirs in pairs if mine != theirs]


def _text_conflicts(ours: IndexSchema, wanted: IndexSchema) -> list[str]:
    """Text fields, and the title before passages, are in every passage of an index; what they weigh is the search's."""
    mine, theirs = text_analyzers(ours), text_analyzers(wanted)
    found = [
        f"text field {name}: {mine.get(name, 'none')} / {theirs.get(name, 'none')}"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    ]
    if ours.passage_title != wanted.passage_title:
        found.append(f"title before passages: {ours.passage_title or 'none'} / {wanted.passage_title or 'none'}")
    return found


def text_analyzers(schema: IndexSchema) -> dict[str, str]:
    """The analyzers of the fields that are searched on their own, by the user's names."""
    return {one.name: one.analyzer for one in schema.text_fields}


def with_fields(schema: IndexSchema, additions: Mapping[str, str], wanted: IndexSchema) -> IndexSchema:
    """The schema with some fields of ``wanted`` added, read as there."""
    kinds = {**filter_kinds(schema), **additions}
    fields = {f"{kind}_fields": tuple(n for n, k in kinds.items() if k == kind) for kind in ROLES}
    added = {name: wanted.readings[name] for name in additions if name in wanted.readings}
    return replace(schema, readings={**schema.readings, **added}, **fields)  # type: ignore[arg-type]  # the names of three fields, all tuples of strings
