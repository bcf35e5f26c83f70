"""Values that the hits of the legs bring along: what counts, boosts or spreads the candidates needs no further request.

Doc values are asked for, not ``_source``: columns of the fields that are filtered on, without the stored passage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.fields import filter_kinds
from hybrid_search.records import IndexSchema
from hybrid_search.search.boosts import boosted_fields
from hybrid_search.search.collapse import Best
from hybrid_search.search.facets import candidate_fields, checked_facets
from hybrid_search.search.limits import limited_fields
from hybrid_search.search.request import SearchRequest
from hybrid_search.settings import SearchSettings

Values = Mapping[str, tuple[Any, ...]]
"""By the user's name of a field: strings (keyword), numbers, or epoch milliseconds (date), ascending; () for none."""


def carried_fields(request: SearchRequest, schema: IndexSchema, settings: SearchSettings) -> tuple[str, ...]:
    """The fields whose values the search needs of all its candidates, by the user's names."""
    counted = candidate_fields(checked_facets(request.facets, schema, request.facet_counts))
    return tuple(dict.fromkeys((*boosted_fields(request, settings), *limited_fields(request), *counted)))


def docvalue_fields(names: Iterable[str], schema: IndexSchema) -> list[dict[str, str]]:
    """What a search body asks for under ``docvalue_fields``."""
    kinds = filter_kinds(schema)
    return [_asked(layout.field_path(name, schema), kinds[name]) for name in names]


def _asked(path: str, kind: str) -> dict[str, str]:
    return {"field": path, "format": "epoch_millis"} if kind == "date" else {"field": path}


def brought_along(hits: Iterable[Mapping[str, Any]], names: Sequence[str], schema: IndexSchema) -> dict[str, Values]:
    """The values of all hits of an answer, by passage; ValueError or TypeError where they cannot be read."""
    if not names:
        return {}
    kinds = filter_kinds(schema)
    readers = [(name, layout.field_path(name, schema), _READERS[kinds[name]]) for name in names]
    return {str(hit["_id"]): _values(hit.get("fields") or {}, readers) for hit in hits}


def _values(found: Mapping[str, Any], readers: Iterable[tuple[str, str, Callable[[Any], Any]]]) -> Values:
    return {name: tuple(map(read, found.get(path, ()))) for name, path, read in readers}


def values_by_id(hits: Mapping[str, Best], brought: Mapping[str, Values]) -> dict[str, Values]:
    """The same by the ids of a run."""
    return {id_: brought[best.passage_id] for id_, best in hits.items()} if brought else {}


def _number(value: Any) -> int | float:
    number = float(value)
    return int(number) if number.is_integer() else number


_READERS: Mapping[str, Callable[[Any], Any]] = {"keyword": str, "number": _number, "date": int}
