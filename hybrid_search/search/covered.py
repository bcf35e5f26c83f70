"""Searching while some documents have no vectors yet: what is said of it, and which legs cannot see a hit."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.engine.coverage import Coverage, counted, counting
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError
from hybrid_search.records import IndexSchema
from hybrid_search.search.asking import Target
from hybrid_search.search.leg import VECTORS
from hybrid_search.search.plan import Plan
from hybrid_search.search.steps import Send, Step
from hybrid_search.search_warnings import SearchWarning, WarningCode


def coverage_of(index: OpenedIndex, made: Callable[[Request], Request]) -> Generator[Step, Any, Coverage | None]:
    """How much of an index has vectors; None where all of it has, or the engine does not say."""
    if not index.may_lack_vectors:
        return None
    try:
        found = counted((yield Send(made(counting(index.name, index.schema)))))
    except (EngineError, KeyError, TypeError, ValueError):
        return None
    return None if found.is_whole else found


def asked_of_hits(target: Target) -> list[dict[str, str]]:
    """The doc value by which a hit says whose vectors it has, where some have none."""
    return [] if target.coverage is None else [{"field": layout.models_field(target.schema)}]


def unseen_among(hits: Iterable[Mapping[str, Any]], target: Target, plan: Plan) -> dict[str, frozenset[str]]:
    """The legs of the plan that cannot see some of these hits, by their passages."""
    if target.coverage is None:
        return {}
    blind = frozenset(leg.name for leg in plan.legs if leg.part in VECTORS)
    field, schema = layout.models_field(target.schema), target.schema
    said = {str(hit["_id"]): (hit.get("fields") or {}).get(field, [None])[0] for hit in hits}
    return {id_: blind for id_, models in said.items() if blind and not _has_vectors(models, schema)}


def _has_vectors(models: str | None, schema: IndexSchema) -> bool:
    if schema.attached is not None:
        return models == schema.attached.models
    return models != layout.LATER if schema.vectors is None else models == schema.vectors


def coverage_warnings(target: Target, plan: Plan) -> list[SearchWarning]:
    """What is said of each leg that does not see all of the index yet."""
    if target.coverage is None:
        return []
    what, how = ("passages", "enrich") if target.schema.attached is None else ("documents", "attach")
    return [
        SearchWarning(
            f"{leg.name}: {target.coverage} of {what} have vectors; words find the others. "
            f"Give them theirs: hybrid-search {how} {target.index}",
            WarningCode.VECTORS_INCOMPLETE,
            leg.name,
        )
        for leg in plan.legs
        if leg.part in VECTORS
    ]
