"""Fusion by the server: it counts reciprocal ranks of passages, the client collapses what comes back to documents.

The other way into a search's second half, instead of :func:`~hybrid_search.search.retrieve.retrieve`: one search per
query instead of one per leg, and no word about which leg found what. The scores are those of the client's ``rrf`` over
passages, but for what the server does on its own:

- Equal scores within a leg are ranked in the order of writing, shard by shard, for what the server fuses cannot be
  sorted (OpenSearch takes no other sort beside the score of a hybrid query). On one shard that is exactly the order in
  which the passages were written; legs without equal scores have exactly the client's ranks.
- Equal fused scores are put in the order of document and passage here, as the client does.
- What scores 0 in a leg is no hit of it.
- The window is that of each shard: with five of them a leg may rank five windows.
- BM25 counts terms shard by shard, whatever ``search.dfs`` says: OpenSearch fuses nothing after a search that counts
  them over all shards first (3.6).

A document with several passages stands where the best of them does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any

from hybrid_search.errors import EngineError, HybridSearchError
from hybrid_search.records import Query
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered, Budget, Target, ask
from hybrid_search.search.carried import brought_along, docvalue_fields, values_by_id
from hybrid_search.search.collapse import collapsed
from hybrid_search.search.degradation import SERVER, stopped, without_shards
from hybrid_search.search.encoding import Encodings, with_vectors
from hybrid_search.search.outcomes import Failed, Found, Late, Outcome, missed
from hybrid_search.search.plan import Plan
from hybrid_search.search.retrieve import (
    LegSearch,
    Settled,
    asks_too_much,
    encoding_cuts,
    prepared,
    without_vectors,
)
from hybrid_search.search.retrieved import LegRun, Retrieved
from hybrid_search.search.steps import Step
from hybrid_search.search_warnings import SearchWarning, WarningCode

Fusions = dict[int, list[LegSearch]]
"""The legs of each query, by its place in the batch, that still go to the server."""


def retrieve_fused(
    queries: Sequence[Query], plan: Plan, target: Target, budget: Budget, encodings: Sequence[Encodings]
) -> Generator[Step, Any, list[Retrieved]]:
    """What the server ranked for every query, or why it did not; ``plan.window`` counts the passages of each leg.

    There are no legs to go on without: a query that the engine refuses (UnsupportedError where this version, licence
    or set of plugins cannot fuse) is not answered. One that it finds too long is asked again with half the words of
    each leg, for the clauses of all legs count together.
    """
    queries = [with_vectors(query, made) for query, made in zip(queries, encodings, strict=True)]
    lost = without_vectors(encodings, plan)
    asked = [[leg for leg in plan.legs if (n, leg.name) not in lost] for n in range(len(queries))]
    searches, skipped = prepared(queries, asked, plan, target)
    unasked = lost | skipped
    pending = {n: [one for one in searches if one.place == n] for n in range(len(queries))}
    settled: dict[int, Outcome[LegRun]] = {}
    while pending:
        found, pending = yield from _round(pending, unasked, plan, target, budget)
        settled |= found
    return [
        Retrieved(
            query,
            {name: unasked[n, name] for name in plan.names if (n, name) in unasked},
            settled[n],
            encoding_cuts(encodings[n], plan),
        )
        for n, query in enumerate(queries)
    ]


def _round(
    pending: Fusions, unasked: Settled, plan: Plan, target: Target, budget: Budget
) -> Generator[Step, Any, tuple[dict[int, Outcome[LegRun]], Fusions]]:
    """Ask all once: what came of each query, and which are to be asked again."""
    settled: dict[int, Outcome[LegRun]] = {}
    bodies: dict[int, Callable[[float], legs.Body]] = {}
    for n, searches in pending.items():
        try:
            body = _body(searches, plan, target)
        except HybridSearchError as error:
            settled[n] = missed(error)
        else:
            if body is None:
                settled[n] = _nothing_asked(n, unasked)
            else:
                bodies[n] = partial(_search, body, plan, target)
    if not bodies:
        return settled, {}
    try:
        answers = yield from ask(list(bodies.values()), target, budget)
    except EngineError as error:
        answers = [error] * len(bodies)
    again: Fusions = {}
    for n, answer in zip(bodies, answers, strict=True):
        shorter = [one.shortened() for one in pending[n]]
        if isinstance(answer, EngineError) and asks_too_much(answer) and any(shorter):
            again[n] = [less or one for less, one in zip(shorter, pending[n], strict=True)]
        else:
            settled[n] = _read(pending[n], answer, plan, target)
    return settled, again


def _nothing_asked(n: int, unasked: Mapping[tuple[int, str], Outcome[LegRun]]) -> Outcome[LegRun]:
    """A query none of whose legs is asked: the first that failed says why, else there was nothing to search for."""
    failed = [one for (place, _), one in unasked.items() if place == n and isinstance(one, Failed | Late)]
    return failed[0] if failed else Found(LegRun())


def _search(body: legs.Body, plan: Plan, target: Target, within: float) -> legs.Body:
    carried = docvalue_fields(plan.carried, target.schema)
    return legs.fused_search(body, size=plan.window, timeout=within, carried=carried)


def _body(asks: Sequence[LegSearch], plan: Plan, target: Target) -> legs.Body | None:
    """The legs as one search; None where the query leaves nothing to search for."""
    searches = {one.leg.name: one.query.body(plan.window) for one in asks}
    if len(searches) > 1:
        shares = plan.fusion.shares(plan.names)
        return target.dialect.server_fusion(
            searches,
            window=plan.window,
            rank_constant=plan.fusion.rank_constant,
            weights=shares if plan.fusion.weights else None,
        )
    # One leg alone is its own ranking; Elasticsearch refuses to fuse fewer than two.
    return next(iter(searches.values()), None)


def _read(searches: Sequence[LegSearch], answer: Answered | EngineError, plan: Plan, target: Target) -> Outcome[LegRun]:
    if isinstance(answer, EngineError):
        return missed(answer)
    scored = [(hit["_id"], float(hit["_score"])) for hit in answer.hits]
    ranked = collapsed(scored, plan.collapse, unfound=0.0)
    notes = [note for one in searches for note in one.cut]
    if answer.timed_out:
        notes.append(stopped(SERVER, plan.timeout))
    if answer.failed_shards:
        notes.append(without_shards(SERVER, answer.failed_shards, answer.shards))
    if len(ranked) < plan.reach and len(answer.hits) >= plan.window:
        few = f"the server's {len(answer.hits)} passages are of {len(ranked)} documents only: ask for a wider window"
        notes.append(SearchWarning(few, WarningCode.FEW_DOCUMENTS, SERVER))
    hits = {best.id: best for best in ranked[: plan.window]}
    passages = dict(scored) if plan.passages else {}
    values = values_by_id(hits, brought_along(answer.hits, plan.carried, target.schema))
    return Found(LegRun(hits, answer.took, values=values, passages=passages), tuple(notes))
