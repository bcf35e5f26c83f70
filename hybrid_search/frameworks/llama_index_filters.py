"""Filters as LlamaIndex writes them, turned into ours.

``!=`` and ``nin`` hold for nodes without the key too, as they do in LlamaIndex's own store; so does ``is_empty``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from hybrid_search.errors import QueryError
from hybrid_search.filters import And, Contains, Eq, Exists, Filter, In, Not, Or, Range

REF_DOC_ID = "_ref_doc_id"
NODE_ID = "_node_id"

CALLED: Mapping[str, str] = {"ref_doc_id": REF_DOC_ID, "doc_id": REF_DOC_ID, "document_id": REF_DOC_ID}
"""What filters call the document that a node is from; LlamaIndex's stores have known it by all of these."""

Kinds = Mapping[str, str]


def translated(given: MetadataFilters | None, kinds: Kinds) -> Filter | None:
    """A filter as a search takes it; None for none, and for an empty one.

    Args:
        given: conditions, nested to any depth that the engines take.
        kinds: what the index filters on, by name: ``keyword``, ``number`` ...

    Raises:
        QueryError: an operator or a condition that there is not, by its name, or a value of the wrong type for one.
    """
    if given is None or not given.filters:
        return None
    inner = [_part(one, kinds) for one in given.filters]
    parts = tuple(part for part in inner if part is not None)
    condition = given.condition or FilterCondition.AND
    if condition == FilterCondition.NOT:
        return Not(Or(parts))
    if condition not in _JUNCTIONS:
        raise QueryError(f"unknown condition {condition!r}", remedy="There are: and, or, not")
    return parts[0] if len(parts) == 1 else _JUNCTIONS[condition](parts)


def _part(given: MetadataFilter | MetadataFilters, kinds: Kinds) -> Filter | None:
    if isinstance(given, MetadataFilters):
        return translated(given, kinds)
    key = given.key if given.key in kinds else CALLED.get(given.key, given.key)
    if given.operator == FilterOperator.IS_EMPTY:
        return _is_empty(key, kinds)
    if given.operator not in _OPERATORS:
        there = ", ".join(operator.value for operator in FilterOperator)
        raise QueryError(f"unknown operator {given.operator!r}", where=_where(key), remedy=f"There are: {there}")
    return _OPERATORS[given.operator](key, given.value)


def _where(key: str) -> str:
    return f"the filter on {key!r}"


def _is_empty(key: str, kinds: Kinds) -> Filter:
    """Not there, an empty list, or an empty text, which a keyword field holds as a value."""
    absent = Not(Exists(key))
    return Or((absent, Eq(key, ""))) if kinds.get(key) == "keyword" else absent


def _equal(key: str, value: Any) -> Filter:
    if isinstance(value, list):
        raise QueryError(f"compared with a list, {value!r:.60}", where=_where(key), remedy="Use in, any or all")
    return Not(Exists(key)) if value is None else Eq(key, value)


def _listed(key: str, value: Any, operator: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise QueryError(f"{operator} holds {value!r:.60}, which is no list", where=_where(key), remedy="Give a list")
    return tuple(value)


def _bound(name: str) -> Callable[[str, Any], Filter]:
    def within(key: str, value: Any) -> Filter:
        if value is None or isinstance(value, list):
            raise QueryError(f"{name} holds {value!r:.60}", where=_where(key), remedy="Give a number or a date")
        return Range(key, **{name: value})

    return within


def _holding(*, ignore_case: bool) -> Callable[[str, Any], Filter]:
    def holding(key: str, value: Any) -> Filter:
        if not isinstance(value, str):
            raise QueryError(f"text_match holds {value!r:.60}", where=_where(key), remedy="Give a text")
        return Contains(key, value, ignore_case)

    return holding


_JUNCTIONS: dict[FilterCondition, type[And | Or]] = {FilterCondition.AND: And, FilterCondition.OR: Or}

_OPERATORS: dict[FilterOperator, Callable[[str, Any], Filter]] = {
    FilterOperator.EQ: _equal,
    FilterOperator.NE: lambda key, value: Not(_equal(key, value)),
    FilterOperator.GT: _bound("gt"),
    FilterOperator.GTE: _bound("gte"),
    FilterOperator.LT: _bound("lt"),
    FilterOperator.LTE: _bound("lte"),
    FilterOperator.IN: lambda key, value: In(key, _listed(key, value, "in")),
    FilterOperator.NIN: lambda key, value: Not(In(key, _listed(key, value, "nin"))),
    FilterOperator.ANY: lambda key, value: In(key, _listed(key, value, "any")),
    FilterOperator.ALL: lambda key, value: And(tuple(Eq(key, one) for one in _listed(key, value, "all"))),
    FilterOperator.CONTAINS: _equal,
    FilterOperator.TEXT_MATCH: _holding(ignore_case=False),
    FilterOperator.TEXT_MATCH_INSENSITIVE: _holding(ignore_case=True),
}
