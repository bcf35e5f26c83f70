"""What a cursor belongs to: digests of the query, the filter, and all options that change what is ranked.

The size of a page, the time and what is only shown may differ from page to page. Dates relative to now count as they
are written: the list was made with another now than the next page has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson

from hybrid_search.filters import clause
from hybrid_search.records import IndexSchema, Query
from hybrid_search.search.cursor import Bound, FrozenList, Seal
from hybrid_search.search.images import key_of
from hybrid_search.search.leg import SearchLeg
from hybrid_search.search.request import SearchRequest

PAGE = frozenset({"k", "offset", "timeout", "opaque_id", "traceparent", "cursor"})
SHOWN = frozenset({"facets", "facet_counts", "highlight", "passages"})
FREE = PAGE | SHOWN | {"filter"}
"""Options that change no ranking; the filter has a digest of its own."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Paging:
    """What pages of a search need: its request, how cursors are signed, and the list that this page goes on with."""

    request: SearchRequest
    seal: Seal
    frozen: FrozenList | None = None


def bound_to(query: Query, request: SearchRequest, schema: IndexSchema) -> Bound:
    """The digests of one checked query and what is asked with it."""
    vectors = None if query.dense is None else query.dense.tobytes()
    asked: tuple[Any, ...] = (query.text, vectors, sorted((query.sparse or {}).items()), _plain(query.bm25))
    asked += () if query.image is None else key_of(query.image)
    options = {
        field.name: _named(value)
        for field in fields(request)
        if field.name not in FREE and (value := getattr(request, field.name)) != field.default
    }
    passing = None if query.filter is None else _plain(clause(query.filter, schema))
    return Bound(_digest(repr(asked)), _digest(passing or ""), _digest(_ADDRESS.sub("", repr(sorted(options.items())))))


def _named(value: Any) -> Any:
    """Legs by their names: objects have none that is the same in every process."""
    if isinstance(value, SearchLeg):
        return value.name
    return tuple(map(_named, value)) if isinstance(value, tuple) else value


def _plain(value: Any) -> str | None:
    """JSON in which the order of keys, and of the values of a list that is a set, does not count."""
    if value is None:
        return None
    return orjson.dumps(_sorted(value), option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(inner) for key, inner in value.items()}
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return sorted(value, key=lambda item: (str(type(item)), item))
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6]
