"""Where each leg has a document, however far below the window: its score, and how many others score higher.

The score comes from the leg's own query with only that document passing. How many documents that pass the filter have
a better passage is counted by the engine: two searches without hits, one for the ids before this one (which stand above
it where they score the same), one for those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hybrid_search.engine import layout
from hybrid_search.errors import EngineError, HybridSearchError
from hybrid_search.records import Leg, Query
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered, Budget, Target, ask
from hybrid_search.search.leg import Asking, LegQuery, SearchLeg
from hybrid_search.search.retrieve import passing
from hybrid_search.search.scored_text import ScoredText
from hybrid_search.search.similar_held import MOST
from hybrid_search.search.steps import Step, boundary

EXACT_UP_TO = 40_000
"""Documents that the engine counts exactly (the most that ``precision_threshold`` may be)."""

_COUNT = "documents"


@dataclass(frozen=True, slots=True)
class About:
    """What is asked: a query with its vectors, where, and in what time; ``dfs`` and ``text`` as in the plan.

    ``searched`` is what passages must pass to be searched at all, whatever the filter says.
    """

    query: Query
    target: Target
    budget: Budget
    dfs: bool = False
    text: ScoredText | None = None
    searched: legs.Filter = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The best passage of a document in one leg, its score, and its rank among all documents that pass."""

    passage_id: str
    score: float
    rank: int | None = None


def scored_in(asked: Sequence[SearchLeg], id_: str, about: About) -> Generator[Step, Any, dict[str, Scored | None]]:
    """The best passage of the document in each leg, None where the leg does not match it; with its rank.

    Legs that cannot be asked, or whose answer is an error, are left out.
    """
    only = legs.both(about.searched, layout.document_clause(id_, about.target.schema))
    bodies = {leg: body for leg in asked if (body := _body(leg, about, only)) is not None}
    attached = about.target.schema.attached is not None
    answers = yield from _asked(bodies, partial(_document_search, attached=attached), about)
    best = {leg: _best(leg, answer) for leg, answer in answers.items() if isinstance(answer, Answered)}
    ranks = yield from _ranks({leg: one for leg, one in best.items() if one is not None}, id_, about)
    return {leg.name: None if one is None else _read(leg, one, ranks.get(leg)) for leg, one in best.items()}


def _read(leg: SearchLeg, one: Scored, rank: int | None) -> Scored:
    """With the score as the leg reads it."""
    return Scored(one.passage_id, leg.read({"_id": one.passage_id, "_score": one.score})[1], rank)


def _body(leg: SearchLeg, about: About, matching: legs.Filter) -> legs.Body | None:
    """What the leg asks when only ``matching`` passages pass, compared with every vector; None where it cannot ask."""
    try:
        with boundary():
            every = layout.RESULT_WINDOW
            asking = Asking(about.target, matching, every, exact=True, text=about.text, says_place=True)
            asked = leg.ask(about.query, asking)
            return asked.body(layout.RESULT_WINDOW) if isinstance(asked, LegQuery) else None
    except HybridSearchError:
        return None


def _document_search(body: legs.Body, within: float, *, attached: bool) -> legs.Body:
    return legs.passage_search(body, size=MOST, timeout=within, attached=attached)


def _best(leg: SearchLeg, answer: Answered) -> Scored | None:
    """The best passage, by what the leg reads, with the engine's own score."""
    best = max(answer.hits, key=lambda hit: leg.read(hit)[1], default=None)
    return None if best is None else Scored(str(best["_id"]), float(best["_score"]))


def _asked(
    bodies: Mapping[SearchLeg, legs.Body], whole: Callable[[legs.Body, float], legs.Body], about: About
) -> Generator[Step, Any, dict[SearchLeg, Answered | EngineError]]:
    if not bodies:
        return {}
    dfs = {n for n, leg in enumerate(bodies) if about.dfs and leg.counts_terms}
    answers = yield from ask([partial(whole, body) for body in bodies.values()], about.target, about.budget, dfs=dfs)
    return dict(zip(bodies, answers, strict=True))


def _ranks(best: Mapping[SearchLeg, Scored], id_: str, about: About) -> Generator[Step, Any, dict[SearchLeg, int]]:
    """1 and the documents above, in each leg that scores by the engine's own score."""
    ranks = {leg: 1 for leg in best if type(leg).read is SearchLeg.read}
    schema = about.target.schema
    for side in ("lt", "gt") if schema.attached is None else ("gt",):  # the ids of an owner have no order
        passes = legs.both(passing(about.query, schema), about.searched)
        on_side = passes if schema.attached is not None else legs.both(passes, {"range": {layout.DOC_ID: {side: id_}}})
        bodies = {leg: body for leg in ranks if (body := _body(leg, about, on_side)) is not None}
        counts = {leg: _count(body, _least(best[leg].score, above=side == "gt")) for leg, body in bodies.items()}
        answers = yield from _asked(counts, partial(_count_search, attached=schema.attached is not None), about)
        for leg in list(ranks):
            answer = answers.get(leg)
            if isinstance(answer, Answered):
                ranks[leg] += int(answer.aggregations[_COUNT]["value"])
            else:
                del ranks[leg]
    return ranks


def _least(score: float, *, above: bool) -> float:
    """The least score that counts: this one, or the next float32 above it."""
    single = np.float32(score)
    return float(np.nextafter(single, np.float32(np.inf))) if above else float(single)


def _count(body: legs.Body, least: float) -> legs.Body:
    """A search for what scores at least so much: in the query, for OpenSearch aggregates beyond ``min_score``."""
    if "query" not in body:
        return {**body, "min_score": least}
    return {**body, "query": {"function_score": {"query": body["query"], "min_score": least}}}


def _count_search(body: legs.Body, within: float, *, attached: bool) -> legs.Body:
    counted: legs.Body = {"cardinality": {"field": layout.DOC_ID, "precision_threshold": EXACT_UP_TO}}
    if attached:
        counted = {"value_count": {"field": "_index"}}
    return {**legs.fused_search(body, size=0, timeout=within), "aggs": {_COUNT: counted}}


def cosine_of(leg: str, score: float) -> float | None:
    """The cosine behind a score of the dense leg, ``(1 + cosine) / 2``; None for other legs."""
    return 2 * score - 1 if leg == Leg.DENSE else None
