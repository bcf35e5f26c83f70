"""Fusion by the server: it counts reciprocal ranks of passages, the client collapses what comes back to documents.

The other way into a search's second half, instead of :func:`~hybrid_search.search.retrieve.retrieve`: one search per
query instead of one per leg, and no word about which leg found what. The ranking is that of the client's ``rrf``
over passages; a document with several passages stands where the best of them does.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from hybrid_search.engine.answers import error_for, failure
from hybrid_search.records import Leg
from hybrid_search.search import legs
from hybrid_search.search.collapse import best_passages
from hybrid_search.search.plan import Plan
from hybrid_search.search.retrieve import Retrieved, Target, leg_searches, patience
from hybrid_search.search.steps import Send, Step


def retrieve_fused(retrieved: Sequence[Retrieved], plan: Plan, target: Target) -> Generator[Step, Any, None]:
    """Fill in what the server ranked for every query; ``plan.window`` counts the passages that each leg ranks.

    Raises:
        UnsupportedError: this version, licence or set of plugins cannot fuse.
        EngineError: a query could not be searched; there are no legs to go on without.
    """
    asked = {n: body for n, one in enumerate(retrieved) if (body := _body(one, plan, target))}
    if asked:
        bodies = [legs.passage_search(body, size=plan.window, timeout=plan.timeout) for body in asked.values()]
        answer = yield Send(legs.multi_search(target.index, bodies, timeout=patience(plan.timeout, len(bodies))))
        for n, found in zip(asked, answer["responses"], strict=True):
            _read(retrieved[n], found, plan, target)


def _body(one: Retrieved, plan: Plan, target: Target) -> legs.Body | None:
    """The legs as one search; None where the query leaves nothing to search for."""
    searches = {ask.leg: ask.query(plan.window) for ask in leg_searches(one, plan, target)}
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


def _read(one: Retrieved, answer: Any, plan: Plan, target: Target) -> None:
    if "error" in answer:
        raise error_for(failure(answer["status"], answer), target.where)
    hits = answer["hits"]["hits"]
    if answer["timed_out"]:
        one.warnings.append(f"the search was stopped after {plan.timeout:g} s with what it had")
    if broken := answer["_shards"]["failed"]:
        one.warnings.append(f"searched without {broken} of {answer['_shards']['total']} shards")
    ranked = best_passages(((hit["_id"], hit["_score"]) for hit in hits), collapse=plan.collapse)
    one.fused_by_server = {best.id: best for best in ranked[: plan.window]}
    if len(ranked) < plan.reach and len(hits) >= plan.window:
        one.warnings.append(
            f"the server's {len(hits)} passages are of {len(ranked)} documents only: ask for a wider window"
        )
