"""What the mapping of an index says of a field, beside what its values show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hybrid_search.engine.foreign import FieldKind, ForeignField, ForeignIndex
from hybrid_search.fields import moment
from hybrid_search.read.judge import Column, Finding, Role

_ROLES = {FieldKind.NUMBER: Role.NUMBER, FieldKind.KEYWORD: Role.KEYWORD, FieldKind.GEO: Role.GEO}


def mapped_fields(indices: Iterable[ForeignIndex]) -> dict[str, ForeignField]:
    """The fields whose values documents give, by name; those of nested objects are in lists, and said to be so."""
    return {path: one for index in indices for path, one in index.fields.items() if one.form_of is None}


def as_mapped(column: Column, found: Finding, fields: Mapping[str, ForeignField], forms: frozenset[str]) -> Finding:
    """What was found of a column, corrected by its mapping.

    A text with a keyword beside it is what engines make of every string by themselves, so its values decide; so they do
    where the mapping says what this package cannot read them as.

    Args:
        column: the values.
        found: what they show.
        fields: the mapping, by name.
        forms: the fields that have other forms.
    """
    field = fields.get(column.name)
    if field is None or column.in_list or column.is_shared:
        return found
    if field.kind is FieldKind.DENSE:
        dimension = field.dimension or len(column.values[0])
        return Finding("dense vector", Role.DENSE, f"{dimension} numbers in each")
    if field.kind is FieldKind.SPARSE and found.role is not Role.SPARSE:
        return Finding("sparse vector", Role.SPARSE, f"mapped as {field.type}")
    if field.kind is FieldKind.TEXT and column.name not in forms and found.role in {Role.KEYWORD, Role.STORED}:
        is_text = column.all(lambda value: isinstance(value, str))
        return replace(found, role=Role.TEXT, reason="mapped as text", separator=None) if is_text else found
    return _filtered(column, found, field)


def _filtered(column: Column, found: Finding, field: ForeignField) -> Finding:
    if field.kind is FieldKind.DATE and found.role is not Role.DATE and column.all_read(moment):
        return Finding("date", Role.DATE, "mapped as date")
    wanted = _ROLES.get(field.kind)
    if wanted is None or found.role is wanted or not field.is_indexed:
        return found
    if wanted is Role.KEYWORD and column.all(lambda value: isinstance(value, str | int)):
        return Finding("text", Role.KEYWORD, f"mapped as {field.type}")
    if wanted is Role.NUMBER and column.all(lambda value: isinstance(value, int | float)):
        return Finding("number", Role.NUMBER, f"mapped as {field.type}")
    return found
