"""Fusion by the server: it counts reciprocal ranks of passages, the client collapses what comes back to documents.

The other way into a search's second half, instead of :func:`~hybrid_search.search.retrieve.retrieve`: one search per
query instead of one per leg, and no word about which leg found what. The scores are those of the client's ``rrf`` over
passages, but for what the server does on its own:

- Equal scores within a leg are ranked in the order of writing, shard by shard, for what the server fuses cannot be
  sorted: each passage has one of the ranks that its ties allow.
- The window is that of each shard: with five of them a leg may rank five windows.
- BM25 counts terms shard by shard, whatever ``search.dfs`` says: OpenSearch fuses nothing after a search that counts
  them over all shards first (3.6).

A document with several passages stands where the best of them does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

from hybrid_search.errors import EngineError, HybridSearchError
from hybrid_search.records import Leg
from hybrid_search.search import legs
from hybrid_search.search.asking import Budget, Found, Target, ask
from hybrid_search.search.collapse import best_passages
from hybrid_search.search.plan import Plan
from hybrid_search.search.retrieve import LegSearch, Retrieved, asks_too_much, leg_searches
from hybrid_search.search.steps import Step


def retrieve_fused(
    retrieved: Sequence[Retrieved], plan: Plan, target: Target, budget: Budget
) -> Generator[Step, Any, None]:
    """Fill in what the server ranked for every query, or its error; ``plan.window`` counts the passages of each leg.

    There are no legs to go on without: a query that the engine refuses (UnsupportedError where this version, licence
    or set of plugins cannot fuse) is not answered. One that it finds too long is asked again with half the words of
    each leg, for the clauses of all legs count together.
    """
    pending = [(one, list(leg_searches(one, plan, target))) for one in retrieved]
    while pending:
        asked: list[tuple[Retrieved, list[LegSearch], Callable[[float], legs.Body]]] = []
        for one, searches in pending:
            try:
                if body := _body(one, searches, plan, target):
                    asked.append((one, searches, partial(_search, body, plan.window)))
            except HybridSearchError as error:
                one.error = error
        if not asked:
            return
        try:
            answers = yield from ask([body for _, _, body in asked], target, budget)
        except EngineError as error:
            answers = [error] * len(asked)
        pending = []
        for (one, searches, _), found in zip(asked, answers, strict=True):
            if isinstance(found, EngineError) and asks_too_much(found) and any(s.shorter for s in searches):
                pending.append((one, [s.shorter() if s.shorter else s for s in searches]))
            else:
                _read(one, found, plan)


def _search(body: legs.Body, size: int, within: float) -> legs.Body:
    return legs.fused_search(body, size=size, timeout=within)


def _body(one: Retrieved, asks: Sequence[LegSearch], plan: Plan, target: Target) -> legs.Body | None:
    """The legs as one search; None where the query leaves nothing to search for."""
    searches = {one_ask.leg: one_ask.query(plan.window) for one_ask in asks}
    if len(searches) > 1:
        shares = plan.fusion.shares(plan.legs)
        weights: dict[Leg, float] | None = shares if plan.fusion.weights else None
        return target.dialect.server_fusion(
            searches, window=plan.window, rank_constant=plan.fusion.rank_constant, weights=weights
        )
    if one.errors and not searches:
        raise next(iter(one.errors.values()))
    # One leg alone is its own ranking; Elasticsearch refuses to fuse fewer than two.
    one.fused_by_server = {}
    return next(iter(searches.values()), None)


def _read(one: Retrieved, found: Found | EngineError, plan: Plan) -> None:
    if isinstance(found, EngineError):
        one.error = found
        return
    if found.timed_out:
        one.warnings.append(f"the search was stopped after {plan.timeout:g} s with what it had")
    if found.failed_shards:
        one.warnings.append(f"searched without {found.failed_shards} of {found.shards} shards")
    scored = ((hit["_id"], float(hit["_score"])) for hit in found.hits)
    ranked = best_passages(scored, collapse=plan.collapse)
    one.fused_by_server = {best.id: best for best in ranked[: plan.window]}
    if len(ranked) < plan.reach and len(found.hits) >= plan.window:
        one.warnings.append(
            f"the server's {len(found.hits)} passages are of {len(ranked)} documents only: ask for a wider window"
        )
