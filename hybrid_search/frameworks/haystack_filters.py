"""Haystack's filters as ours: every operator, on metadata that nobody declared, and on the fields of any index.

    {"operator": "AND", "conditions": [{"field": "meta.year", "operator": ">=", "value": 2020}, ...]}

In an index that the document store has made, metadata are terms of one field
(:mod:`hybrid_search.frameworks.metadata_terms`); in any other, fields are those that its settings declared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from haystack.errors import FilterError

from hybrid_search.filters import And, Eq, Exists, Filter, In, Not, Or, Range
from hybrid_search.frameworks import metadata_terms

TERMS = "haystack_terms"
"""The keyword field of an index that holds what is filtered on."""

LOGIC = ("AND", "OR", "NOT")
BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
COMPARISONS = ("==", "!=", *BOUNDS, "in", "not in")

OF_DOCUMENTS = ("id", "content", "score", "blob", "embedding", "sparse_embedding")
"""What of a document is no metadata and can be filtered on."""
WITHOUT_VALUE = ("blob", "embedding", "sparse_embedding")
"""Of that, what is only there or not."""

Comparison = Callable[[str, str, Any], Filter]
"""Makes a filter of a path (``meta.year``), an operator (``==``, ``in`` or one of the bounds) and a value."""


def translated(filters: Mapping[str, Any] | None, *, declared: bool = False) -> Filter | None:
    """A filter of Haystack as one of ours; None for none.

    Args:
        filters: as ``filter_documents`` takes it; None and ``{}`` let everything pass.
        declared: compare the fields that the index declares, instead of the terms of :data:`TERMS`.

    Raises:
        FilterError: it is no filter of Haystack's, an operator is unknown, or compares what has no order.
    """
    if not filters:
        return None
    return _read(filters, _by_field if declared else _by_terms)


def _read(condition: Any, compare: Comparison) -> Filter:
    if not isinstance(condition, Mapping):
        raise FilterError(f"{condition!r:.80} is no filter: give a dictionary with 'operator'")
    return _comparison(condition, compare) if "field" in condition else _logic(condition, compare)


def _logic(condition: Mapping[str, Any], compare: Comparison) -> Filter:
    for key in ("operator", "conditions"):
        if key not in condition:
            raise FilterError(f"'{key}' key missing in {condition!r:.200}")
    operator, conditions = condition["operator"], condition["conditions"]
    if operator not in LOGIC:
        raise FilterError(f"Unknown logical operator {operator!r:.40}. Valid operators are: {', '.join(LOGIC)}")
    if not isinstance(conditions, list | tuple):
        raise FilterError(f"'conditions' is {conditions!r:.80}: give a list of filters")
    parts = tuple(_read(one, compare) for one in conditions)
    return Or(parts) if operator == "OR" else And(parts) if operator == "AND" else Not(And(parts))


def _comparison(condition: Mapping[str, Any], compare: Comparison) -> Filter:
    for key in ("operator", "value"):
        if key not in condition:
            raise FilterError(f"'{key}' key missing in {condition!r:.200}")
    path, operator, value = _path(condition["field"]), condition["operator"], condition["value"]
    if operator not in COMPARISONS:
        known = ", ".join(COMPARISONS)
        raise FilterError(f"Unknown comparison operator {operator!r:.40}. Valid operators are: {known}")
    if operator in {"in", "not in"} and not isinstance(value, list):
        raise FilterError(f"'{operator}' compares {path} with a list, not with {value!r:.80}")
    if operator in BOUNDS:
        return Or(()) if value is None else compare(path, operator, _sortable(path, operator, value))
    if path in WITHOUT_VALUE and any(one is not None for one in (value if isinstance(value, list) else [value])):
        raise FilterError(f"{path} can be compared with None alone")
    found = compare(path, "in" if "in" in operator else "==", value)
    return Not(found) if operator in {"!=", "not in"} else found


def _path(field: Any) -> str:
    """``meta.year`` of ``meta.year`` and of ``year``; of what is no metadata, its name."""
    if not isinstance(field, str) or not field:
        raise FilterError(f"{field!r:.80} is no name of a field")
    return field if field in OF_DOCUMENTS or field.startswith("meta.") else f"meta.{field}"


def _sortable(path: str, operator: str, value: Any) -> float | datetime:
    """A number or a date.

    Raises:
        FilterError: the value has no order that documents are compared by.
    """
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime | date | str):
        found = metadata_terms.moment_in(value)
        if found is not None:
            return found
    remedy = "Give a number, or a date in ISO format: '2024-05-31', '2024-05-31T12:00:00+02:00'"
    raise FilterError(f"'{operator}' cannot compare {path} with {value!r:.80}. {remedy}")


def _by_terms(path: str, operator: str, value: Any) -> Filter:
    if operator in BOUNDS:
        return In(TERMS, tuple(metadata_terms.ordered(path, operator, value)))
    values = value if operator == "in" else [value]
    is_there = In(TERMS, tuple(metadata_terms.present(path)))
    same = In(TERMS, tuple(term for one in values if one is not None for term in _equal(path, one)))
    if not any(one is None for one in values):
        return same
    return Or((Not(is_there), same)) if len(values) > 1 else Not(is_there)


def _equal(path: str, value: Any) -> list[str]:
    if path != "content":
        return metadata_terms.equal(path, value)
    return [metadata_terms.hashed(path, value)] if isinstance(value, str) else []


def _by_field(path: str, operator: str, value: Any) -> Filter:
    """A comparison of a field that the index declares, by the name that it has there."""
    if path in OF_DOCUMENTS:
        raise FilterError(
            f"{path} cannot be filtered on here: HybridDocumentStore did not write this index's documents"
        )
    name = path.removeprefix("meta.")
    if operator in BOUNDS:
        return Range(name, **{BOUNDS[operator]: value})
    values = value if operator == "in" else [value]
    given = tuple(one for one in values if one is not None)
    same = In(name, given) if len(given) != 1 else Eq(name, given[0])
    if not any(one is None for one in values):
        return same
    return Or((Not(Exists(name)), same)) if given else Not(Exists(name))
