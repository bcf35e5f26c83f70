"""Which documents of an index are read: a filter of ours on the owner's fields, or a query of the engine as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from hybrid_search.engine.foreign import FieldKind, ForeignField, ForeignIndex
from hybrid_search.errors import QueryError
from hybrid_search.fields import PLAIN
from hybrid_search.filter_values import Against
from hybrid_search.filters import clause_against, parse
from hybrid_search.records import FieldReading, IndexSchema

_COMPARED = (FieldKind.KEYWORD, FieldKind.NUMBER, FieldKind.DATE, FieldKind.GEO, FieldKind.BOOLEAN)
_NO_SCHEMA = IndexSchema(dense=None, sparse=None, layout=1)
"""Layout 1 has plain fields, as other people's indices do: nothing is written twice, or composed."""


def source_clause(text: str, indices: Sequence[ForeignIndex]) -> dict[str, Any]:
    """The query clause of a text: what begins with ``{`` is JSON, ``{"range": ...}`` or ``{"query": {...}}``.

    Raises:
        QueryError: it is neither, or compares a field that the index has not.
    """
    if not text.strip():
        raise QueryError("is empty", where="--source-query", remedy='Write field=value, or {"term": {...}}')
    if text.lstrip().startswith("{"):
        return _json_clause(text)
    fields = {path: one for index in reversed(indices) for path, one in index.fields.items()}
    return clause_against(parse(text), ForeignAgainst(_NO_SCHEMA, None, fields))


def _json_clause(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise QueryError(f"no valid JSON: {error}", where="--source-query") from None
    clause: Any = found["query"] if list(found) == ["query"] else found
    if not isinstance(clause, dict) or len(clause) != 1:
        remedy = 'Give one query: {"range": {"year": {"gte": 2020}}}'
        raise QueryError("is no query of the engine", where="--source-query", remedy=remedy)
    return clause


@dataclass(frozen=True, slots=True)
class ForeignAgainst(Against):
    """What a filter is made for: the fields that the owner of an index has mapped."""

    fields: dict[str, ForeignField] = field(default_factory=dict)

    def kind(self, field: str) -> str:
        """``keyword``, ``number``, ``date`` or ``geo``; yes and no are keywords."""
        kind = self._form(field).kind
        return "keyword" if kind is FieldKind.BOOLEAN else kind.value

    def path(self, field: str) -> str:
        """Where the index has it: of a text the form that keeps it whole."""
        return self._form(field).path

    def reading(self, field: str) -> FieldReading:
        """As they are; words for yes and no where the field holds such."""
        return FieldReading(boolean=True) if self._form(field).kind is FieldKind.BOOLEAN else PLAIN

    def _form(self, name: str) -> ForeignField:
        known = self.fields.get(name)
        if known is None:
            near = get_close_matches(str(name), self.fields, n=1)
            listed = ", ".join(path for path, one in self.fields.items() if one.kind in _COMPARED) or "nothing"
            remedy = f"Did you mean {near[0]!r}?" if near else f"It can be asked for: {listed}"
            raise QueryError(f"the index has no field {name!r}", where="--source-query", remedy=remedy)
        forms = [one for one in self.fields.values() if name in {one.path, one.form_of} and one.is_indexed]
        fitting = next((one for one in forms if one.kind in _COMPARED and not one.nested_in), None)
        if fitting is None:
            what = f"lies in the nested object {known.nested_in!r}" if known.nested_in else f"is a {known.type} field"
            remedy = "Ask in the engine's own words: a query as JSON"
            raise QueryError(f"{name!r} {what}, which a filter cannot compare", where="--source-query", remedy=remedy)
        return fitting
