"""The first half of a search: queries in, one ranked run of documents per leg and query out.

All legs of all queries of a batch go to the engine in one ``_msearch``. A leg that fails or is late leaves the
others standing; why is in its report.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import layout
from hybrid_search.engine.answers import error_for, failure
from hybrid_search.engine.protocols import Dialect
from hybrid_search.errors import EngineError, HybridSearchError
from hybrid_search.filters import clause
from hybrid_search.records import ALL_LEGS, IndexSchema, Leg, LegReport, Query, Vector
from hybrid_search.search import legs
from hybrid_search.search.collapse import Best, best_passages
from hybrid_search.search.fusion import Fused, Fusion, fuse
from hybrid_search.search.plan import Plan
from hybrid_search.search.steps import Encode, Encoded, Send, Step

WIDER = 4
"""How many times more passages are asked for when the first ones were of too few documents."""

GRACE = 2.0
"""Seconds beyond the engine's own time limits before the client gives up on a request."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a search goes: an index, how its engine is spoken to, what it holds, and its place for messages."""

    index: str
    dialect: Dialect
    schema: IndexSchema

    @property
    def where(self) -> str:
        return f"index {self.index}"


def patience(timeout: float, queries: int) -> float:
    """Seconds to wait for an ``_msearch``: an engine that is busy works through a batch one query after another."""
    return timeout * queries + GRACE


@dataclass(slots=True)
class Retrieved:
    """What the legs found for one query: documents by id in rank order, reports and warnings.

    A leg that failed has a report and no run; ``errors`` keeps why. The runs of ``complete`` legs hold everything
    that they matched. Where the server fused, there are no runs but ``fused_by_server``, in its order.
    """

    query: Query
    runs: dict[Leg, dict[str, Best]] = field(default_factory=dict)
    reports: dict[Leg, LegReport] = field(default_factory=dict)
    complete: set[Leg] = field(default_factory=set)
    errors: dict[Leg, HybridSearchError] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    fused_by_server: dict[str, Best] | None = None

    def failed(self, leg: Leg, error: HybridSearchError) -> None:
        """Keep the error of a leg, and go on without it."""
        self.errors[leg] = error
        self.reports[leg] = LegReport(hits=0, took_ms=0.0, failure=str(error))
        self.warnings.append(f"the {leg} leg failed: {error}")

    def found(self, leg: Leg, run: Sequence[Best], report: LegReport) -> None:
        """Keep the run of a leg, in place of a shorter one."""
        self.runs[leg] = {best.id: best for best in run}
        self.reports[leg] = report

    def scores(self) -> dict[Leg, list[tuple[str, float]]]:
        """The runs as fusion takes them."""
        return {leg: [(best.id, best.score) for best in run.values()] for leg, run in self.runs.items()}

    def fused(self, fusion: Fusion, legs: Collection[Leg] = ALL_LEGS) -> list[Fused]:
        """One ranking of what ``legs`` found; that of the server where it fused."""
        if self.fused_by_server is not None:
            return [Fused(best.id, best.score, {}) for best in self.fused_by_server.values()]
        runs = {leg: run for leg, run in self.scores().items() if leg in legs}
        return fuse(runs, fusion, complete=self.complete)

    def best(self, hit: Fused) -> Best:
        """The passage that stands for a fused hit: that of the leg which contributed most, ties in order of legs."""
        if self.fused_by_server is not None:
            return self.fused_by_server[hit.id]
        leg = max((leg for leg in ALL_LEGS if leg in hit.legs), key=lambda leg: hit.legs[leg].contribution)
        return self.runs[leg][hit.id]


def encode(queries: Sequence[Query], plan: Plan) -> Generator[Step, Any, list[Retrieved]]:
    """Give every query the vectors that its legs need, in one step; where encoding fails, those legs have failed."""
    retrieved = [Retrieved(query) for query in queries]
    missing = {n: _missing_vectors(query, plan) for n, query in enumerate(queries)}
    texts = {n: queries[n].text for n, wanted in missing.items() if wanted}
    if not texts:
        return retrieved
    try:
        encoded: Encoded = yield Encode(list(texts.values()))
    except HybridSearchError as error:
        for n in texts:
            for leg in missing[n]:
                retrieved[n].failed(leg, error)
        return retrieved
    for row, n in enumerate(texts):
        retrieved[n].query = _with_vectors(queries[n], encoded.vectors, row, missing[n])
        if row in encoded.too_long and Leg.DENSE in missing[n]:
            retrieved[n].warnings.append(
                f"the dense leg read the first {encoded.limit:,} of the query's {encoded.too_long[row]:,} tokens"
            )
    return retrieved


def _missing_vectors(query: Query, plan: Plan) -> list[Leg]:
    given = {Leg.BM25: query.text, Leg.DENSE: query.dense, Leg.SPARSE: query.sparse}
    return [leg for leg in plan.legs if given[leg] is None]


def _with_vectors(query: Query, encoded: EncodedTexts, row: int, wanted: Sequence[Leg]) -> Query:
    dense = encoded.dense[row] if Leg.DENSE in wanted and encoded.dense is not None else query.dense
    sparse = encoded.sparse[row] if Leg.SPARSE in wanted and encoded.sparse is not None else query.sparse
    return replace(query, dense=dense, sparse=sparse)


@dataclass(slots=True)
class LegSearch:
    """One leg of one query, still to be sent: ``query(size)`` is its query for ``size`` passages."""

    one: Retrieved
    leg: Leg
    query: Callable[[int], legs.Body]
    size: int


def retrieve(retrieved: Sequence[Retrieved], plan: Plan, target: Target) -> Generator[Step, Any, None]:
    """Fill in the run and the report of every leg of every query.

    A leg whose passages were of too few documents to fill its window is asked again for more of them.

    Raises:
        HybridSearchError: all legs of a query failed; the error of its first leg.
    """
    asks = [ask for one in retrieved for ask in leg_searches(one, plan, target)]
    while asks:
        bodies = [legs.passage_search(a.query(a.size), size=a.size, timeout=plan.timeout) for a in asks]
        try:
            answer = yield Send(legs.multi_search(target.index, bodies, timeout=patience(plan.timeout, len(retrieved))))
        except EngineError as error:
            _give_up(asks, error)
            break
        unfilled = [a for a, found in zip(asks, answer["responses"], strict=True) if not _read(a, found, plan, target)]
        asks = [replace(a, size=min(a.size * WIDER, layout.RESULT_WINDOW)) for a in unfilled]
    for one in retrieved:
        if len(one.errors) == len(plan.legs):
            raise one.errors[plan.legs[0]]


def leg_searches(one: Retrieved, plan: Plan, target: Target) -> Iterator[LegSearch]:
    """What each leg asks for one query, its long texts and vectors cut to what an engine takes."""
    query = one.query
    matching = None if query.filter is None else clause(query.filter, target.schema)
    if Leg.BM25 in plan.legs:
        words = legs.first_words(query.text)
        if len(words) < len(query.text.rstrip()):
            one.warnings.append(f"the bm25 leg searched for the first {legs.MAX_CLAUSES:,} words of the query")
        bm25 = legs.bm25(words, filter=matching)
        yield LegSearch(one, Leg.BM25, lambda _: bm25, plan.candidates)
    if Leg.DENSE in plan.legs and (vector := query.dense) is not None:
        yield LegSearch(one, Leg.DENSE, partial(_dense, vector, plan, target, matching), plan.candidates)
    if Leg.SPARSE in plan.legs and query.sparse is not None:
        terms = legs.heaviest(query.sparse)
        if len(terms) < len(query.sparse):
            one.warnings.append(
                f"the sparse leg searched for the {len(terms):,} heaviest of {len(query.sparse):,} terms"
            )
        if terms:
            sparse = legs.sparse(terms, filter=matching, field_type=target.schema.sparse_index)
            yield LegSearch(one, Leg.SPARSE, lambda _: sparse, plan.candidates)
        else:  # no clause at all would match every passage
            one.found(Leg.SPARSE, [], LegReport(hits=0, took_ms=0.0))
            one.warnings.append("the sparse leg knows no term of the query")


def _dense(vector: Vector, plan: Plan, target: Target, matching: legs.Filter, size: int) -> legs.Body:
    if plan.exact:
        return target.dialect.exact_dense_search(vector, filter=matching)
    return legs.dense(vector, target.dialect, size=size, candidates=plan.candidates, filter=matching)


def _give_up(asks: Sequence[LegSearch], error: EngineError) -> None:
    """No answer: the legs that have found nothing yet have failed, the others keep what they have."""
    for ask in asks:
        if ask.leg in ask.one.runs:
            ask.one.warnings.append(f"the window of the {ask.leg} leg was not filled: {error}")
        else:
            ask.one.failed(ask.leg, error)


def _read(ask: LegSearch, answer: Mapping[str, Any], plan: Plan, target: Target) -> bool:
    """Keep what a leg found; False when more passages are needed to fill its window."""
    one, leg = ask.one, ask.leg
    if "error" in answer:
        _give_up([ask], error_for(failure(answer["status"], answer), target.where))
        return True
    hits = answer["hits"]["hits"]
    run = best_passages(((hit["_id"], hit["_score"]) for hit in hits), collapse=plan.collapse)[: plan.window]
    late, broken = bool(answer["timed_out"]), answer["_shards"]["failed"]
    if late:
        one.warnings.append(f"the {leg} leg was stopped after {plan.timeout:g} s with what it had")
    if broken:
        one.warnings.append(f"the {leg} leg searched without {broken} of {answer['_shards']['total']} shards")
    one.found(leg, run, LegReport(len(run), float(answer["took"]), timed_out=late))
    exhausted = len(hits) < ask.size
    if exhausted and len(run) < plan.window and not late and not broken:
        one.complete.add(leg)
    return len(run) == plan.window or exhausted or ask.size == layout.RESULT_WINDOW or late
