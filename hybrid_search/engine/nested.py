"""Queries for what lies in nested objects: a document is found by its best one, and can say which that was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybrid_search.engine.layout import VectorField

Body = dict[str, Any]

BEST_INNER: Body = {"size": 1, "_source": False}
"""Asks for the best nested object alone, of which nothing but its place is read."""


def best_inner(query: Body, field: VectorField) -> Body:
    """The query itself where ``field`` is not nested; else one that finds the documents that its matches lie in."""
    if field.within is None:
        return query
    nested: Body = {"path": field.within, "score_mode": "max", "query": query}
    return {"nested": {**nested, "inner_hits": BEST_INNER} if field.says_place else nested}


def filtered(query: Body, filter: Mapping[str, Any] | None) -> Body:
    """A query whose hits pass the filter too, which is of documents and not of what lies in them."""
    return query if filter is None else {"bool": {"must": [query], "filter": [filter]}}


def scored_by(script: Body, field: VectorField, filter: Mapping[str, Any] | None) -> Body:
    """All that have the field and pass the filter, scored by a script."""
    exists: Body = {"exists": {"field": field.path}}
    if field.within is None:
        candidates = {"bool": {"filter": [exists, *([filter] if filter else [])]}}
        return {"script_score": {"query": candidates, "script": script}}
    return filtered(best_inner({"script_score": {"query": exists, "script": script}}, field), filter)


def best_place(hit: Mapping[str, Any], within: str) -> int:
    """The place of the best nested object of a hit, counted from 0; 0 for a hit that does not say."""
    found = hit.get("inner_hits", {}).get(within, {}).get("hits", {}).get("hits") or [{}]
    return int(found[0].get("_nested", {}).get("offset", 0))
