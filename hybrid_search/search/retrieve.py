"""The first half of a search: queries in, one ranked run of documents per leg and query out.

All legs of all queries of a batch that can be asked go to the engine in one ``_msearch``. A leg that fails or is late
leaves the others standing; what comes of each is an outcome.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from hybrid_search.engine import layout
from hybrid_search.errors import EngineError, HybridSearchError, RequestRefusedError, UnsupportedError
from hybrid_search.filters import clause
from hybrid_search.records import IndexSchema, Query
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered, Budget, Target, ask
from hybrid_search.search.carried import brought_along, docvalue_fields, values_by_id
from hybrid_search.search.collapse import collapsed
from hybrid_search.search.covered import asked_of_hits, unseen_among
from hybrid_search.search.degradation import stopped, unfilled, without_shards
from hybrid_search.search.encoding import Encodings, encode, lacking, with_vectors
from hybrid_search.search.leg import VECTORS, Asking, LegQuery, SearchLeg
from hybrid_search.search.outcomes import Failed, Found, Late, Outcome, Skipped, missed
from hybrid_search.search.plan import Plan
from hybrid_search.search.retrieved import LegRun, Retrieved
from hybrid_search.search.standard_legs import STANDARD
from hybrid_search.search.steps import Step, boundary, together
from hybrid_search.search_warnings import SearchWarning, WarningCode

WIDER = 4
"""How many times more passages are asked for when the first ones were of too few documents."""

REFUSALS = (RequestRefusedError, UnsupportedError)
"""What an engine answers to a request that it cannot read."""

_TOO_MANY_CLAUSES = re.compile(r"maxClauseCount|too.?many.(?:nested.)?clauses", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LegSearch:
    """One leg of the query at ``place`` in its batch, still to be sent.

    ``before`` is what it found of fewer passages; ``carried`` asks for what its hits are to bring along. ``attached``
    says that somebody else owns the index.
    """

    place: int
    leg: SearchLeg
    query: LegQuery
    size: int
    before: Found[LegRun] | None = None
    carried: tuple[dict[str, str], ...] = ()
    attached: bool = False

    def body(self, within: float) -> legs.Body:
        """The whole search body, for an engine that may take ``within`` seconds."""
        query = self.query.body(self.size)
        return legs.passage_search(query, size=self.size, timeout=within, carried=self.carried, attached=self.attached)

    @property
    def cut(self) -> tuple[SearchWarning, ...]:
        """What is said of a query that was too long."""
        return () if self.query.cut is None else (cut_note(self.leg.name, self.query.cut),)

    def wider(self, found: Found[LegRun]) -> LegSearch | Failed | Late:
        """The same for more passages than those of ``found``; why not, where the leg cannot ask for more."""
        size = min(self.size * WIDER, layout.RESULT_WINDOW)
        try:
            with boundary(what="what the leg asks"):
                if self.leg not in STANDARD.values():
                    _check_asked(self.query, size)
        except HybridSearchError as error:
            return missed(error)
        return replace(self, size=size, before=found)

    def shortened(self) -> LegSearch | None:
        """The same for less of the query; None where there is no less, or the leg cannot make it."""
        if self.query.shorter is None:
            return None
        try:
            with boundary():
                less = self.query.shorter()
                _check_asked(less, self.size)
                return replace(self, query=less)
        except HybridSearchError:
            return None


Place = tuple[int, str]
"""A query's place in its batch, and the name of a leg."""

Pending = list[LegSearch]
Settled = dict[Place, Outcome[LegRun]]


@dataclass(frozen=True, slots=True)
class Begun:
    """What there is once queries are encoded: what came of their vectors, and of legs that needed none of them."""

    encodings: list[Encodings]
    pending: Pending = field(default_factory=list)
    settled: Settled = field(default_factory=dict)

    def also_for(self, places: Iterable[int]) -> Begun:
        """The same with further queries behind those of the batch, of the same texts as the queries at these places."""
        return replace(self, encodings=[*self.encodings, *(self.encodings[place] for place in places)])


def cut_note(name: str, cut: str) -> SearchWarning:
    """What is said of a leg that did not search for the whole query."""
    return SearchWarning(f"the {name} leg {cut}", WarningCode.QUERY_CUT, name)


def encode_and_begin(
    queries: Sequence[Query], plan: Plan, target: Target, budget: Budget
) -> Generator[Step, Any, Begun]:
    """The vectors that are lacking; meanwhile, where the plan says so, the legs that need none of them are asked."""
    needed = [lacking(query, plan.legs) for query in queries]
    waiting = [{leg.name for leg in plan.legs if leg.part in parts} for parts in needed]
    early = plan.legs if plan.overlap and any(waiting) and not plan.fusion.by_server else ()
    pending, settled = prepared(
        queries, [[leg for leg in early if leg.name not in some] for some in waiting], plan, target
    )
    encodings, (found, pending) = yield from together(
        encode(queries, plan.legs, budget), one_round(pending, plan, target, budget)
    )
    return Begun(encodings, pending, settled | found)


def prepared(
    queries: Sequence[Query], asked: Sequence[Iterable[SearchLeg]], plan: Plan, target: Target
) -> tuple[Pending, Settled]:
    """What the legs ``asked`` of each query have to ask the engine; and those that have nothing to ask."""
    pending: Pending = []
    settled: Settled = {}
    carried = (*docvalue_fields(plan.carried, target.schema), *asked_of_hits(target))
    for place, (query, some) in enumerate(zip(queries, asked, strict=True)):
        matching = legs.both(passing(query, target.schema), plan.collapse.filter)
        how = plan.candidates, plan.exact, plan.text, plan.two_phase, plan.oversample
        asking = Asking(target, matching, *how, says_place=not plan.collapse.documents)
        for leg in some:
            wanted = _wanted(leg, query, asking)
            if isinstance(wanted, LegQuery):
                attached = target.schema.attached is not None
                size = plan.window if attached else plan.candidates  # of documents none is another's passage
                pending.append(LegSearch(place, leg, wanted, size, carried=carried, attached=attached))
            else:
                settled[place, leg.name] = wanted
    return pending, settled


def passing(query: Query, schema: IndexSchema) -> legs.Filter:
    """The clause of the query's own filter and of what its text leaves out; None passes everything."""
    matching: legs.Filter = None if query.filter is None else clause(query.filter, schema, now=query.now)
    return matching if query.read is None else legs.both(matching, query.read.filter)


def _wanted(leg: SearchLeg, query: Query, asking: Asking) -> LegQuery | Skipped | Failed | Late:
    """What a leg asks; one that raises, as a leg of somebody's own may, has failed."""
    try:
        with boundary(what="what the leg asks"):
            asked = leg.ask(query, asking)
            if leg not in STANDARD.values():
                _check_asked(asked, asking.candidates)
            return asked
    except HybridSearchError as error:
        return missed(error)


def _check_asked(asked: object, size: int) -> None:
    """Raise what is wrong with what a leg of somebody's own asks, before it is sent together with the others."""
    if not isinstance(asked, LegQuery | Skipped):
        raise TypeError(f"{type(asked).__name__} instead of a LegQuery or Skipped")
    if isinstance(asked, LegQuery):
        orjson.dumps({**asked.body(size)}, option=orjson.OPT_SERIALIZE_NUMPY)


def retrieve(
    queries: Sequence[Query], plan: Plan, target: Target, budget: Budget, begun: Begun
) -> Generator[Step, Any, list[Retrieved]]:
    """What comes of every leg of every query, after what :func:`encode_and_begin` has begun.

    A leg whose passages were of too few documents to fill its window is asked again for more of them; one that the
    engine refuses for the number of its clauses (an analyzer of n-grams, a filter of many values) for less.
    """
    encodings, pending = begun.encodings, begun.pending
    queries = [with_vectors(query, made) for query, made in zip(queries, encodings, strict=True)]
    settled = begun.settled | without_vectors(encodings, plan)
    open_ = {(one.place, one.leg.name) for one in pending} | settled.keys()
    rest = [[leg for leg in plan.legs if (n, leg.name) not in open_] for n in range(len(queries))]
    more, skipped = prepared(queries, rest, plan, target)
    settled |= skipped
    pending = sorted([*pending, *more], key=lambda one: (one.place, plan.names.index(one.leg.name)))
    while pending:
        has_found = any(isinstance(one, Found) for one in settled.values())
        within = budget.for_the_legs if has_found else budget
        found, pending = yield from one_round(pending, plan, target, within)
        settled |= found
    return [
        Retrieved(query, {name: settled[n, name] for name in plan.names}, cuts=encoding_cuts(encodings[n], plan))
        for n, query in enumerate(queries)
    ]


def without_vectors(encodings: Sequence[Encodings], plan: Plan) -> Settled:
    """The legs whose vector could not be made: what came of it is what comes of them."""
    return {
        (n, leg.name): one
        for n, made in enumerate(encodings)
        for leg in plan.legs
        if leg.part is not None and isinstance(one := made.get(leg.part), Failed | Late)
    }


def encoding_cuts(made: Encodings, plan: Plan) -> tuple[SearchWarning, ...]:
    """What is said of legs whose model read less than the whole query."""
    found = [(leg, made.get(leg.part)) for leg in plan.legs if leg.part is not None]
    return tuple(
        cut_note(leg.name, one.value.cut) for leg, one in found if isinstance(one, Found) and one.value.cut is not None
    )


def one_round(
    pending: Pending, plan: Plan, target: Target, budget: Budget
) -> Generator[Step, Any, tuple[Settled, Pending]]:
    """Ask all once: what came of each, and what is to be asked again."""
    answers = (yield from _answers(pending, plan, target, budget)) if pending else []
    settled: Settled = {}
    again: Pending = []
    for one, answer in answers:
        if isinstance(answer, EngineError):
            if asks_too_much(answer) and (less := one.shortened()) is not None:
                again.append(less)
                continue
            lost = missed(answer)
            settled[one.place, one.leg.name] = lost if one.before is None else unfilled(one.leg.name, one.before, lost)
        else:
            found = _read(one, answer, plan, target)
            settled[one.place, one.leg.name] = found
            if isinstance(found, Found) and _wants_more(one, answer, found.value, plan):
                wider = one.wider(found)
                if isinstance(wider, LegSearch):
                    again.append(wider)
                else:
                    settled[one.place, one.leg.name] = unfilled(one.leg.name, found, wider)
    return settled, again


def _answers(
    pending: Pending, plan: Plan, target: Target, budget: Budget
) -> Generator[Step, Any, list[tuple[LegSearch, Answered | EngineError]]]:
    """What is answered to each. One search that cannot be read has the engine refuse all that are sent with it.

    The package's own can be read: legs of somebody's own are asked apart then, so that such a fault is theirs alone.
    """
    try:
        dfs = {n for n, one in enumerate(pending) if plan.dfs and one.leg.counts_terms}
        answers = yield from ask([one.body for one in pending], target, budget, dfs=dfs)
    except EngineError as error:
        groups = _apart(pending) if isinstance(error, REFUSALS) else []
        if len(groups) <= 1:
            return [(one, error) for one in pending]
        found = []
        for group in groups:
            found += yield from _answers(group, plan, target, budget)
        return found
    return list(zip(pending, answers, strict=True))


def _apart(pending: Pending) -> list[Pending]:
    """The searches of the package's legs, those of each other leg, and each that somebody wrote for one query."""
    groups: dict[tuple[str, int] | None, Pending] = {}
    for one in pending:
        foreign = (one.leg.name, -1) if one.leg not in STANDARD.values() else None
        groups.setdefault((one.leg.name, one.place) if one.query.own else foreign, []).append(one)
    return list(groups.values())


def asks_too_much(error: EngineError) -> bool:
    """Whether an engine refuses a query for the number of its clauses: one of fewer words may be taken."""
    return _TOO_MANY_CLAUSES.search(error.what) is not None


def _read(one: LegSearch, answer: Answered, plan: Plan, target: Target) -> Outcome[LegRun]:
    """What a leg found."""
    name = one.leg.name
    try:
        with boundary(what="what the leg reads"):
            scored = _scores(one.leg, answer.hits)
            brought = brought_along(answer.hits, plan.carried, target.schema)
    except HybridSearchError as error:
        return missed(error)
    exhausted = len(answer.hits) < one.size and not (answer.timed_out or answer.failed_shards)
    unfound = one.leg.missing if exhausted else None
    run = collapsed(scored, plan.collapse, unfound=unfound, limit=plan.window)
    notes = one.cut
    notes += (stopped(name, plan.timeout),) if answer.timed_out else ()
    notes += (without_shards(name, answer.failed_shards, answer.shards),) if answer.failed_shards else ()
    hits = {best.id: best for best in run}
    missing = unfound if len(run) < plan.window else None
    values, passages = values_by_id(hits, brought), dict(scored) if plan.passages else {}
    blind = unseen_among(answer.hits, target, plan)
    unseen = {id_: blind[best.passage_id] for id_, best in hits.items() if best.passage_id in blind} if blind else {}
    wholes = target.schema.attached is not None and one.leg.part not in VECTORS
    return Found(LegRun(hits, answer.took, missing, answer.timed_out, values, passages, unseen, wholes), notes)


def _scores(leg: SearchLeg, hits: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """Id and score of every hit, as the leg reads them; those of most legs are read together."""
    if getattr(leg.read, "__func__", None) is SearchLeg.read:
        scores = [float(hit["_score"]) for hit in hits]
        if all(map(math.isfinite, scores)):
            return list(zip([hit["_id"] for hit in hits], scores, strict=True))
    return [_scored(leg.read(hit)) for hit in hits]


def _scored(found: tuple[str, float]) -> tuple[str, float]:
    """What a leg has read of a hit, if it is an id and a score that can be compared."""
    id_, score = found
    if not isinstance(id_, str) or not math.isfinite(score):
        raise ValueError(f"{found!r} is no id with a finite score")
    return id_, score


def _wants_more(one: LegSearch, answer: Answered, run: LegRun, plan: Plan) -> bool:
    """Whether more passages would be of more documents."""
    exhausted = len(answer.hits) < one.size or one.size == layout.RESULT_WINDOW
    return not (len(run.hits) == plan.window or exhausted or answer.timed_out)
