"""Why a document is not on the page: ``client.why_not(query, doc_id)``.

The search is made as it would be, and then the engine is asked about the one document: whether it is there, which
conditions of the filter it passes, which words of the query and which sparse terms it has, and where each leg has it
however far below its window. At last it is worked out, and looked at, what would bring it in.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from hybrid_search.engine.layout import RESULT_WINDOW
from hybrid_search.errors import HybridSearchError, QueryError
from hybrid_search.records import Leg, Query
from hybrid_search.search.asking import Budget, Target
from hybrid_search.search.cursor_seal import refuse_cursor
from hybrid_search.search.legs import Filter, both
from hybrid_search.search.outcomes import Failed, Found, Late
from hybrid_search.search.plan import CANDIDATES_PER_HIT, Plan
from hybrid_search.search.procedure import STAGES
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.rerank import Reranked, checked_scores, lines_below
from hybrid_search.search.retrieve import Begun, passing, retrieve
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.scored_text import usual_text
from hybrid_search.search.searcher import Searcher
from hybrid_search.search.similar_held import HeldPassage, check_document_id, held_passages, nearest_ids
from hybrid_search.search.stages import Course, Progress
from hybrid_search.search.steps import Score, Step, Steps
from hybrid_search.search.why_not_changes import Found as Runs
from hybrid_search.search.why_not_changes import rank_in, rerank_change, weight_changes, wider_windows
from hybrid_search.search.why_not_filters import conditions_of, judged
from hybrid_search.search.why_not_ranks import About, Scored, cosine_of, scored_in
from hybrid_search.search.why_not_records import (
    Change,
    Condition,
    LegPlace,
    QueryWord,
    Reason,
    SharedTerm,
    Standing,
    WhyNot,
)
from hybrid_search.search.why_not_verdict import verdict_of
from hybrid_search.search.why_not_words import analyzed, query_words, shared_terms, term_clauses, vocabulary_of

WIDER = 4
"""How many times the window, or the document's own rank, is looked through for a window that would do."""

LOOKS = 3
"""Wider windows that are searched with: the graph may rank otherwise than the runs that were cut."""


def why_not(searcher: Searcher, query: str | Query, id_: str, request: SearchRequest) -> Steps[WhyNot]:
    """The procedure that answers for one document; each of its parts is given the time of a search.

    Raises:
        QueryError: what a search refuses, an id that no document could have, passages instead of documents; nothing
            was sent.
        HybridSearchError: nothing could be searched, or the document could not be asked for.
    """
    check_document_id(id_)
    refuse_cursor(request, "Leave it out: offset says where the page begins")
    if not request.collapse:
        raise QueryError("passages are ranked, and a document is asked for", remedy="Leave out collapse=False.")
    asked, plan, target = searcher.prepared(query, request)
    one = yield from _searched(asked, plan, target)
    looked = yield from _looked_at(one.retrieved.query, id_, plan, target)
    if not looked.passages:
        nearest = yield from nearest_ids(id_, target, Budget(plan.timeout))
        return _absent(asked, id_, plan, nearest)
    return (yield from _Case(searcher, one, plan, target, id_, looked).answer())


def _searched(query: Query, plan: Plan, target: Target) -> Steps[Progress]:
    course, progress = Course(plan, target, Budget(plan.timeout)), [Progress(Retrieved(query))]
    for stage in STAGES:
        progress = yield from stage(progress, course)
    if progress[0].error is not None:
        raise progress[0].error
    return progress[0]


@dataclass(frozen=True, slots=True)
class _Looked:
    """What the engine says of the document."""

    passages: Sequence[HeldPassage]
    conditions: Sequence[Condition]
    words: tuple[QueryWord, ...]


def _looked_at(query: Query, id_: str, plan: Plan, target: Target) -> Steps[_Looked]:
    """Its passages, and what of the filter and of the query's words they match."""
    budget = Budget(plan.timeout)
    has_words = any(leg.part == "text" for leg in plan.legs)
    texts = (plan.text or usual_text(target.schema)).paths if has_words else ()
    words = yield from analyzed(query.plain, texts, target, budget)
    tested = conditions_of(query, target.schema)
    names = [f"condition {n}" for n in range(len(tested))]
    clauses = {name: dict(one.clause) for name, one in zip(names, tested, strict=True)}
    clauses |= {f"word {word}": wanted for word, wanted in term_clauses(words).items()}
    passages = yield from held_passages(id_, target, budget, clauses)
    holding = {word: sum(f"word {word}" in passage.named for passage in passages) for word in words}
    return _Looked(passages, judged(tested, names, passages), query_words(words, holding))


def _absent(query: Query, id_: str, plan: Plan, nearest: tuple[str, ...]) -> WhyNot:
    found = WhyNot(query.text, id_, Reason.NOT_IN_INDEX, "", first=plan.offset + 1, last=plan.offset + plan.k)
    return verdict_of(replace(found, nearest=nearest))


@dataclass(frozen=True, slots=True)
class _Case:
    """One document that is in the index, and the search that was made."""

    searcher: Searcher
    one: Progress
    plan: Plan
    target: Target
    id: str
    looked: _Looked

    @property
    def query(self) -> Query:
        """With its vectors."""
        return self.one.retrieved.query

    @property
    def passes(self) -> bool:
        return all(one.passes for one in self.looked.conditions)

    def answer(self) -> Steps[WhyNot]:
        """All that is said of it."""
        places = yield from self._places()
        reranker_score = yield from self._reranker_score(places)
        plan, ranked = self.plan, self.one.ranked
        page = ranked[plan.offset : plan.offset + plan.k]
        document = self._standing(next((hit for hit in ranked if hit.hit.id == self.id), None))
        found = WhyNot(
            query=self.query.text,
            id=self.id,
            reason=self._reason(document),
            verdict="",
            rank=document.rank,
            first=plan.offset + 1,
            last=plan.offset + plan.k,
            of=len(self.one.fused),
            passages=max(self.looked.passages[0].of, len(self.looked.passages)),
            fusion=self.one.retrieved.fusion(plan.fusion).label,
            legs=places,
            words=self.looked.words,
            terms=self._terms(places),
            conditions=self.looked.conditions,
            max_per=dict(self.plan.max_per),
            document=document,
            last_hit=self._standing(page[-1]) if page else None,
            reranker_score=reranker_score,
            notes=tuple(map(str, (*self.one.retrieved.warnings, *self.one.notes))),
        )
        changes = (yield from self._changes(found)) if found.reason in _MOVABLE else ()
        return verdict_of(replace(found, changes=changes))

    def _reason(self, document: Standing) -> Reason:
        if not self.passes:
            return Reason.FILTERED
        rank = document.rank if document.rank is not None else document.fused_rank
        if rank is None:
            return Reason.NOT_FOUND
        if document.rank is None and self.plan.max_per:
            return Reason.LEFT_OUT
        if rank <= self.plan.offset:
            return Reason.ABOVE_PAGE
        return Reason.ON_PAGE if rank <= self.plan.offset + self.plan.k and document.rank else Reason.BELOW_PAGE

    def _places(self) -> Steps[tuple[LegPlace, ...]]:
        """Where each leg has it; also a leg that failed in the search, if it can be asked now."""
        plan, legs = self.plan, self.one.retrieved.legs
        searched: Filter = plan.collapse.filter
        if self.passes:  # some of its passages may not: quotes and words to leave out hold passage by passage
            searched = both(passing(self.query, self.target.schema), searched)
        asked = [leg for leg in plan.legs if leg.part is None or getattr(self.query, leg.part) is not None]
        try:
            scored = yield from scored_in(
                asked,
                self.id,
                About(self.query, self.target, Budget(plan.timeout), plan.dfs, plan.text, searched),
            )
        except HybridSearchError:  # the legs have no rank then, and all else is still said
            scored = {}
        return tuple(self._place(leg.name, scored.get(leg.name), legs.get(leg.name)) for leg in plan.legs)

    def _place(self, leg: str, scored: Scored | None, outcome: Any) -> LegPlace:
        run = outcome.value.hits if isinstance(outcome, Found) else {}
        found_at = next((rank for rank, id_ in enumerate(run, start=1) if id_ == self.id), None)
        best = run.get(self.id)
        fused = next((hit for hit in self.one.fused if hit.id == self.id), None)
        share = fused.legs.get(leg) if fused is not None else None
        place = LegPlace(
            leg,
            self.plan.window,
            found_at=found_at,
            contribution=0.0 if share is None else share.contribution,
            failure=str(outcome.error) if isinstance(outcome, Failed | Late) else None,
            filtered=not self.passes,
            told=not self.plan.fusion.by_server,
        )
        sums = self.plan.collapse.kind == "sum"
        known = best if sums and best is not None else scored or best
        if known is None:
            return place
        rank = found_at if scored is None or scored.rank is None else scored.rank
        if found_at is not None and (sums or leg != Leg.DENSE):
            rank = found_at
        elif sums and rank is not None:  # counted by best passages, of which other documents have several
            rank = max(rank, self.plan.window + 1)
        cosine = None if sums and scored is None else cosine_of(leg, (scored or known).score)
        return replace(place, score=known.score, passage_id=known.passage_id, rank=rank, cosine=cosine)

    def _terms(self, places: Sequence[LegPlace]) -> tuple[SharedTerm, ...]:
        """Those of the passage that the sparse leg ranks; of the first one where it ranks none."""
        of_leg = next((place.passage_id for place in places if place.leg == Leg.SPARSE), None)
        passage = next((one for one in self.looked.passages if one.id == of_leg), self.looked.passages[0])
        if not any(place.leg == Leg.SPARSE for place in places) or not self.query.sparse or not passage.sparse:
            return ()
        return shared_terms(self.query.sparse, passage.sparse, vocabulary_of(self.searcher.encoder))

    def _standing(self, ranked: Reranked | None) -> Standing:
        """How a hit stands; the document where it is none."""
        id_ = self.id if ranked is None else ranked.hit.id
        fused_rank = rank_in(self.one.fused, id_)
        hit = None if fused_rank is None else self.one.fused[fused_rank - 1]
        fused = None if hit is None else hit.score
        more: dict[str, Any] = {} if hit is None else {"boosts": hit.boosts, "placed": hit.placed}
        if ranked is None:
            return Standing(id_, *self._below(), fused_rank=fused_rank, fused=fused, **more)
        rank = self.one.ranked.index(ranked) + 1
        return Standing(id_, rank, ranked.score, fused_rank, fused, ranked.rerank, **more)

    def _below(self) -> tuple[int | None, float | None]:
        """Rank and score of the document behind the hits that were fetched; None where it does not stand there."""
        one, weight = self.one, 0.0 if self.plan.reranking is None else self.plan.reranking.weight
        place = next((n for n, hit in enumerate(one.beyond) if hit.id == self.id), None)
        if place is None:
            return None, None
        [below] = lines_below(one.ranked, [one.beyond[place]], weight)
        return len(one.ranked) + place + 1, below.score

    def _reranker_score(self, places: Sequence[LegPlace]) -> Steps[float | None]:
        """What the reranker says of its best passage, whether it was asked in the search or not."""
        if self.plan.reranking is None:
            return None
        mine = next((hit for hit in self.one.ranked if hit.hit.id == self.id), None)
        if mine is not None and mine.rerank is not None:
            return mine.rerank.score
        best = max((p for p in places if p.passage_id), key=lambda p: p.contribution, default=None)
        text = next((p.text for p in self.looked.passages if best and p.id == best.passage_id), None)
        try:
            scores = yield Score(self.query.plain, [text or self.looked.passages[0].text], self.plan.timeout)
            return checked_scores(scores, 1)[0]
        except HybridSearchError:  # one number less; the search itself says what fails
            return None

    def _changes(self, found: WhyNot) -> Steps[tuple[Change, ...]]:
        """What would bring it in; where a reranker follows, among what that reads, or a share of the reranker's."""
        plan = self.plan
        top = found.last if plan.reranking is None else max(found.last, plan.reranking.window)
        if plan.fusion.by_server:
            return ()
        fused_rank = None if found.document is None else found.document.fused_rank
        if plan.reranking is not None and fused_rank is not None and fused_rank <= top:
            return self._by_share(found.last)
        runs = self._found(self.one.retrieved)
        changes = weight_changes(runs, self.id, top)
        window = yield from self._window(found, top)
        return (*changes, *([] if window is None else [window]))

    def _by_share(self, last: int) -> tuple[Change, ...]:
        """The reranker's share with which it would be in."""
        reranking = self.plan.reranking
        fused = [hit.hit for hit in sorted(self.one.ranked, key=_before)]
        scores = [hit.rerank.score for hit in sorted(self.one.ranked, key=_before) if hit.rerank is not None]
        if reranking is None or not scores:
            return ()
        change = rerank_change(fused, scores, reranking.weight, self.id, last)
        return () if change is None else (change,)

    def _window(self, found: WhyNot, top: int) -> Steps[Change | None]:
        """The narrowest wider window that does, searched with to see that it does."""
        ranks = [place.rank for place in found.legs if place.rank is not None]
        widest = min(RESULT_WINDOW, WIDER * max([self.plan.window, *ranks]))
        if not ranks or widest <= self.plan.window:
            return None
        try:
            wide = yield from self._runs(widest)
            for window in islice(wider_windows(wide, self.id, top, self.plan.window, widest), LOOKS):
                seen = yield from self._runs(window)
                rank = rank_in(seen.fused(), self.id)
                if rank is not None and rank <= top:
                    return Change("window", str(window), rank)
        except HybridSearchError:  # a suggestion less
            return None
        return None

    def _runs(self, window: int) -> Generator[Step, Any, Runs]:
        """What the legs find with another window."""
        candidates = min(RESULT_WINDOW, max(self.plan.candidates, CANDIDATES_PER_HIT * window))
        plan = replace(self.plan, window=window, candidates=candidates)
        [one] = yield from retrieve([self.query], plan, self.target, Budget(plan.timeout), Begun([{}]))
        if one.error is not None:
            raise one.error
        return self._found(one)

    def _found(self, retrieved: Retrieved) -> Runs:
        """Its runs, and what makes one ranking of them."""
        added = tuple(self.one.retrieved.added.hits)
        values = {**retrieved.values, **self.one.retrieved.added.values}
        fusion = retrieved.fusion(self.plan.fusion)
        return Runs(retrieved.scores(), retrieved.missing, fusion, self.plan.boosts, values, added)


_MOVABLE = (Reason.BELOW_PAGE, Reason.NOT_FOUND)


def _before(hit: Reranked) -> float:
    """The rank before reranking; those below the window keep their order, behind."""
    return float("inf") if hit.rerank is None else hit.rerank.rank_before
