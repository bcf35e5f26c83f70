"""The first half of a search: queries in, one ranked run of documents per leg and query out.

All legs of all queries of a batch go to the engine in one ``_msearch``. A leg that fails or is late leaves the
others standing; why is in its report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from hybrid_search.engine import layout
from hybrid_search.errors import EngineError, HybridSearchError, ModelError
from hybrid_search.filters import clause
from hybrid_search.records import ALL_LEGS, Leg, LegReport, Query, Vector
from hybrid_search.search import legs
from hybrid_search.search.asking import Budget, Found, Target, ask
from hybrid_search.search.collapse import Best, best_passages
from hybrid_search.search.fusion import Fused, Fusion, fuse
from hybrid_search.search.plan import Plan
from hybrid_search.search.steps import Encode, Encoded, ModelBusyError, Step
from hybrid_search.search.words import first_words

WIDER = 4
"""How many times more passages are asked for when the first ones were of too few documents."""


HOPELESS = 4
"""Failures in a row after which an encoder is not asked for the other texts of a batch."""

_TOO_MANY_CLAUSES = re.compile(r"maxClauseCount|too.?many.(?:nested.)?clauses", re.IGNORECASE)


@dataclass(slots=True)
class Retrieved:
    """What the legs found for one query: documents by id in rank order, reports and warnings.

    A leg that failed has a report and no run; ``errors`` keeps why. ``error`` is why nothing could be searched at all.
    ``cuts`` say for which legs the query was too long. The runs of ``complete`` legs hold everything that they
    matched. Where the server fused, there are no runs but ``fused_by_server``, in its order.
    """

    query: Query
    runs: dict[Leg, dict[str, Best]] = field(default_factory=dict)
    reports: dict[Leg, LegReport] = field(default_factory=dict)
    complete: set[Leg] = field(default_factory=set)
    errors: dict[Leg, HybridSearchError] = field(default_factory=dict)
    cuts: dict[Leg, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    fused_by_server: dict[str, Best] | None = None
    error: HybridSearchError | None = None

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
    """Give every query the vectors that its legs need, in one step; where encoding fails, those legs have failed.

    Where the encoder fails on many texts it is asked for them one by one, so that a text that it cannot take is the
    failure of its own query; but not for ever, if it takes none.
    """
    retrieved = [Retrieved(query) for query in queries]
    lacking = [one for one in retrieved if _missing_vectors(one.query, plan)]
    failures, batches = 0, [lacking] if lacking else []
    while batches:
        batch, *batches = batches
        try:
            encoded: Encoded = yield Encode([one.query.text for one in batch], plan.timeout)
        except HybridSearchError as error:
            failures += 1
            if isinstance(error, ModelBusyError) or failures == HOPELESS:
                _fail([one for rest in (batch, *batches) for one in rest], plan, error)
                break
            if len(batch) > 1:
                batches = [[one] for one in batch]
            else:
                _fail(batch, plan, error)
        else:
            failures = 0
            for row, one in enumerate(batch):
                for leg in _missing_vectors(one.query, plan):
                    _keep_vector(one, leg, encoded, row, len(batch))
    return retrieved


def _fail(queries: Sequence[Retrieved], plan: Plan, error: HybridSearchError) -> None:
    for one in queries:
        for leg in _missing_vectors(one.query, plan):
            one.failed(leg, error)


def _missing_vectors(query: Query, plan: Plan) -> list[Leg]:
    given = {Leg.BM25: query.text, Leg.DENSE: query.dense, Leg.SPARSE: query.sparse}
    return [leg for leg in plan.legs if given[leg] is None]


def _keep_vector(one: Retrieved, leg: Leg, encoded: Encoded, row: int, count: int) -> None:
    """One of ``count`` vectors, if it is one: a leg whose vector is ill-formed has failed."""
    vectors: Any = encoded.vectors.dense if leg is Leg.DENSE else encoded.vectors.sparse
    if fault := ill_formed(vectors, row, count):
        one.failed(leg, ModelError(f"the encoder gave {fault}", remedy="Look at the model, or leave the leg out"))
        return
    one.query = replace(one.query, dense=vectors[row]) if leg is Leg.DENSE else replace(one.query, sparse=vectors[row])
    if row in encoded.cut.get(leg, {}):
        read, there = encoded.cut[leg][row]
        said = f"the {leg} leg read the first {read:,} of the query's {there:,} tokens"
        if leg is Leg.DENSE:
            one.cuts[leg] = said
        else:  # what else is cut of a sparse query is said in ``cuts``
            one.warnings.append(said)


def ill_formed(vectors: Any, row: int, count: int) -> str | None:
    """What is wrong with the vector of this row among ``count`` dense or sparse ones; None where nothing is."""
    try:
        if vectors is None or len(vectors) != count:
            return f"{0 if vectors is None else len(vectors)} vectors for {count} texts"
        vector = vectors[row]
        if isinstance(vector, Mapping):
            weights = np.array(list(vector.values()), dtype=np.float64)
            positive = np.isfinite(weights).all() and (weights > 0).all()
            return None if positive else "a weight that is not positive and finite"
        if np.ndim(vector) != 1:
            return f"a vector of shape {np.shape(vector)}"
        return None if np.isfinite(vector).all() and np.any(vector) else "a vector that is zero or not finite"
    except (TypeError, ValueError) as error:
        return f"what is no vector: {error}"


@dataclass(slots=True)
class LegSearch:
    """One leg of one query, still to be sent: ``query(size)`` is its query for ``size`` passages.

    ``shorter()`` asks for less where the engine refuses so many clauses.
    """

    one: Retrieved
    leg: Leg
    query: Callable[[int], legs.Body]
    size: int
    shorter: Callable[[], LegSearch] | None = None

    def body(self, within: float) -> legs.Body:
        """The whole search body, for an engine that may take ``within`` seconds."""
        return legs.passage_search(self.query(self.size), size=self.size, timeout=within)


def retrieve(retrieved: Sequence[Retrieved], plan: Plan, target: Target, budget: Budget) -> Generator[Step, Any, None]:
    """Fill in the run and the report of every leg of every query, or the error of a query whose legs all failed.

    A leg whose passages were of too few documents to fill its window is asked again for more of them; BM25 for fewer
    words where the engine refuses so many clauses (an analyzer of n-grams, a filter of many values).
    """
    asks = [one_ask for one in retrieved for one_ask in leg_searches(one, plan, target)]
    while asks:
        try:
            dfs = {n for n, one_ask in enumerate(asks) if plan.dfs and one_ask.leg is Leg.BM25}
            answers = yield from ask([one_ask.body for one_ask in asks], target, budget, dfs=dfs)
        except EngineError as error:
            _give_up(asks, error)
            break
        read = [_read(one_ask, found, plan) for one_ask, found in zip(asks, answers, strict=True)]
        asks = [again for again in read if again is not None]
    for one in retrieved:
        if len(one.errors) == len(plan.legs):
            one.error = one.errors[plan.legs[0]]


def leg_searches(one: Retrieved, plan: Plan, target: Target) -> Iterator[LegSearch]:
    """What each leg asks for one query, its long texts and vectors cut to what an engine takes."""
    query = one.query
    matching = None if query.filter is None else clause(query.filter, target.schema)
    if Leg.BM25 in plan.legs:
        yield _bm25(one, matching, plan.candidates, legs.MAX_CLAUSES)
    if Leg.DENSE in plan.legs and (vector := query.dense) is not None:
        within = both(matching, target.within)
        yield LegSearch(one, Leg.DENSE, partial(_dense, vector, plan, target, within), plan.candidates)
    if Leg.SPARSE in plan.legs and query.sparse is not None:
        if query.sparse:
            yield _sparse(one, target, matching, plan.candidates, legs.MAX_CLAUSES)
        else:  # no clause at all would match every passage
            one.found(Leg.SPARSE, [], LegReport(hits=0, took_ms=0.0))
            one.warnings.append("the sparse leg knows no term of the query")


def _bm25(one: Retrieved, matching: legs.Filter, size: int, limit: int) -> LegSearch:
    """The BM25 leg for the first ``limit`` words; it can be asked again for half as many."""
    words = first_words(one.query.text, limit)
    if len(words) < len(one.query.text.rstrip()):
        one.cuts[Leg.BM25] = f"the bm25 leg searched for the first {limit:,} words of the query"
    bm25 = legs.bm25(words, filter=matching)
    shorter = partial(_bm25, one, matching, size, limit // 2) if limit > 1 else None
    return LegSearch(one, Leg.BM25, lambda _: bm25, size, shorter)


def _sparse(one: Retrieved, target: Target, matching: legs.Filter, size: int, limit: int) -> LegSearch:
    """The sparse leg for the ``limit`` heaviest terms; it too can be asked again for half as many."""
    vector = one.query.sparse or {}
    terms = legs.heaviest(vector, limit)
    if len(terms) < len(vector):
        one.cuts[Leg.SPARSE] = f"the sparse leg searched for the {len(terms):,} heaviest of {len(vector):,} terms"
    sparse = legs.sparse(terms, filter=matching, field_type=target.schema.sparse_index)
    shorter = partial(_sparse, one, target, matching, size, limit // 2) if limit > 1 else None
    return LegSearch(one, Leg.SPARSE, lambda _: sparse, size, shorter)


def both(first: legs.Filter, second: legs.Filter) -> legs.Filter:
    """A filter that passes what both pass; None passes everything."""
    given = [one for one in (first, second) if one is not None]
    return {"bool": {"filter": given}} if len(given) > 1 else next(iter(given), None)


def _dense(vector: Vector, plan: Plan, target: Target, matching: legs.Filter, size: int) -> legs.Body:
    if plan.exact:
        return target.dialect.exact_dense_search(vector, filter=matching)
    return legs.dense(vector, target.dialect, size=size, candidates=plan.candidates, filter=matching)


def asks_too_much(error: EngineError) -> bool:
    """Whether an engine refuses a query for the number of its clauses: one of fewer words may be taken."""
    return _TOO_MANY_CLAUSES.search(error.what) is not None


def _give_up(asks: Sequence[LegSearch], error: EngineError) -> None:
    """No answer: the legs that have found nothing yet have failed, the others keep what they have."""
    for failed in asks:
        if failed.leg in failed.one.runs:
            failed.one.warnings.append(f"the window of the {failed.leg} leg was not filled: {error}")
        else:
            failed.one.failed(failed.leg, error)


def _read(one_ask: LegSearch, found: Found | EngineError, plan: Plan) -> LegSearch | None:
    """Keep what a leg found; what to ask again when more passages are needed to fill its window."""
    one, leg = one_ask.one, one_ask.leg
    if isinstance(found, EngineError):
        if one_ask.shorter is not None and asks_too_much(found):
            return one_ask.shorter()
        _give_up([one_ask], found)
        return None
    scored = ((hit["_id"], float(hit["_score"])) for hit in found.hits)
    run = best_passages(scored, collapse=plan.collapse)[: plan.window]
    if found.timed_out:
        one.warnings.append(f"the {leg} leg was stopped after {plan.timeout:g} s with what it had")
    if found.failed_shards:
        one.warnings.append(f"the {leg} leg searched without {found.failed_shards} of {found.shards} shards")
    one.found(leg, run, LegReport(len(run), found.took, timed_out=found.timed_out))
    exhausted = len(found.hits) < one_ask.size
    if exhausted and len(run) < plan.window and not found.timed_out and not found.failed_shards:
        one.complete.add(leg)
    if len(run) == plan.window or exhausted or one_ask.size == layout.RESULT_WINDOW or found.timed_out:
        return None
    return replace(one_ask, size=min(one_ask.size * WIDER, layout.RESULT_WINDOW))
