"""Highlights in the course of a search: of the hits on the page alone.

The engine marks the words, in the request that fetches the passages; only where a reranker, or passages that were gone,
have put other hits on the page there is one more. Hits that words have not found are asked about in the encoder: which
terms of the sparse vector stand in them, and, where none does, which sentence is nearest to the query.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from secrets import token_hex
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.engine.protocols import Dialect
from hybrid_search.errors import EngineError, HybridSearchError, ModelTimeoutError
from hybrid_search.found import Highlighted
from hybrid_search.records import Query
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered, Budget, ask
from hybrid_search.search.collapse import document_id
from hybrid_search.search.degradation import HIGHLIGHTS
from hybrid_search.search.encoding import encode, with_vectors
from hybrid_search.search.fusion import Fused
from hybrid_search.search.highlight import Highlight
from hybrid_search.search.highlight_reasons import (
    MEANING,
    TERMS,
    Passage,
    by_sentence,
    by_terms,
    by_words,
    nearness,
    sentences_of,
)
from hybrid_search.search.highlight_text import Span, marked_spans
from hybrid_search.search.leg import Asking, LegQuery
from hybrid_search.search.outcomes import Failed, Late
from hybrid_search.search.plan import Plan
from hybrid_search.search.stages import Course, Marked, Progress
from hybrid_search.search.standard_legs import BM25
from hybrid_search.search.steps import Encoded, EncodePassages, Step, boundary
from hybrid_search.search_warnings import SearchWarning, WarningCode

MOST_CHARACTERS = 200_000
"""Of a passage, that an engine looks at for words to mark: both refuse more than a million."""

ENCODED = 32
"""Sentences that the encoder is asked for at a time, or those of one hit: others wait for it meanwhile."""

_LIMIT = {"opensearch": "max_analyzer_offset", "elasticsearch": "max_analyzed_offset"}


@dataclass(frozen=True, slots=True)
class Marking:
    """A request to mark the words of the query at ``place`` in its batch in passages, and to bring terms along."""

    place: int
    ids: Sequence[str]
    words: Mapping[str, Any] | None
    terms: bool
    paths: Sequence[layout.TextPath]
    dialect: Dialect
    attached: bool = False
    sign: str = field(default_factory=lambda: token_hex(8))

    def body(self, within: float) -> legs.Body:
        """The whole search body."""
        body: legs.Body = {
            "query": {"ids": {"values": self._documents if self.attached else list(self.ids)}},
            "size": len(self.ids),
            "_source": {"includes": [layout.SPARSE]} if self.terms and not self.attached else False,
            "track_total_hits": False,
            "timeout": f"{round(within * 1000)}ms",
        }
        if self.words is not None:
            body["highlight"] = {
                "type": "unified",
                "number_of_fragments": 0,
                "pre_tags": [f"<{self.sign}>"],
                "post_tags": [f"</{self.sign}>"],
                "highlight_query": self.words,
                "fields": {one.path: {_LIMIT[self.dialect.engine]: MOST_CHARACTERS} for one in self.paths},
            }
        return body

    def read(self, answer: Answered) -> dict[str, Marked]:
        """What the engine has marked, by passage."""
        if not self.attached:
            return {str(hit["_id"]): Marked(self._words(hit), _weights(hit)) for hit in answer.hits}
        found = {document_id(str(hit["_id"])): Marked(self._words(hit)) for hit in answer.hits}
        return {id_: found[document_id(id_)] for id_ in self.ids if document_id(id_) in found}

    @property
    def _documents(self) -> list[str]:
        """The documents of another owner, whose words are marked in all of their text."""
        return list(dict.fromkeys(map(document_id, self.ids)))

    def _words(self, hit: Mapping[str, Any]) -> dict[str, tuple[str, list[Span]]]:
        """By the users' names of the fields, of which any may have several paths."""
        found = hit.get("highlight", {})
        marked = {one.name: found[one.path] for one in reversed(self.paths) if one.path in found}
        signs = f"<{self.sign}>", f"</{self.sign}>"
        return {name: marked_spans("".join(values), *signs) for name, values in reversed(marked.items())}


def _weights(hit: Mapping[str, Any]) -> dict[str, float] | None:
    """The weights of a passage's terms; None where the engine does not give them."""
    weights = (hit.get("_source") or {}).get(layout.SPARSE)
    return None if weights is None else {layout.unescape(term): float(weight) for term, weight in weights.items()}


def with_the_fetch(queries: Sequence[Progress], course: Course) -> list[Marking]:
    """What is to be marked with the first fetch: the hits that will be on the page, unless the order still changes."""
    plan = course.plan
    if plan.highlight is None or plan.reordered or plan.max_per:
        return []
    pages = {n: islice(one.fused, plan.offset, plan.offset + plan.k) for n, one in enumerate(queries) if not one.error}
    return [made for n, page in pages.items() if (made := _marking(n, queries[n], list(page), course)) is not None]


def _marking(place: int, one: Progress, hits: Sequence[Fused], course: Course) -> Marking | None:
    query, ids = one.retrieved.query, [one.retrieved.best(hit).passage_id for hit in hits]
    words = _words(one, course) if query.text.strip() else None
    terms = bool(query.sparse) and any(_needs_terms(hit, course.plan) for hit in hits)
    paths = layout.text_paths(course.target.schema) if course.plan.text is None else course.plan.text.paths
    attached = course.target.schema.attached is not None
    made = Marking(place, ids, words, terms, paths, course.target.dialect, attached)
    return made if ids and (words or terms) else None


def _needs_terms(hit: Fused, plan: Plan) -> bool:
    every = plan.highlight is not None and plan.highlight.every
    return _by(hit, "sparse", plan) and (every or not _by(hit, "text", plan) or not hit.legs)


def _words(one: Progress, course: Course) -> Mapping[str, Any] | None:
    """What the BM25 leg asks, be it one of somebody's own; None where it cannot say, or has failed before."""
    leg = next((leg for leg in course.plan.legs if leg.name == BM25.name), BM25)
    if leg.name in one.retrieved.errors:
        return None
    try:
        with boundary():
            asked = leg.ask(one.retrieved.query, Asking(course.target, text=course.plan.text))
            return asked.body(1)["query"] if isinstance(asked, LegQuery) else None
    except HybridSearchError:
        return None  # that leg has failed, and said so


def encode_again(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The vectors of the query of a page that a cursor goes on with, which nothing but its highlights needs."""
    [one] = queries
    if course.plan.highlight is None or one.error or not one.page(course.plan):
        return list(queries)
    with course.clock("encode"):
        [made] = yield from encode([one.retrieved.query], course.plan.legs, course.budget)
    lost = {str(how.error): how.error for how in made.values() if isinstance(how, Failed | Late)}
    query = with_vectors(one.retrieved.query, made)
    return [
        replace(one, retrieved=replace(one.retrieved, query=query)).noting(
            *(_failed("the query was not encoded", error) for error in lost.values())
        )
    ]


def with_marks(
    queries: Sequence[Progress], asked: Sequence[Marking], answers: Sequence[Answered | EngineError]
) -> list[Progress]:
    """The queries with what was marked; what could not be is said."""
    told = list(queries)
    for one, answer in zip(asked, answers, strict=True):
        progress = told[one.place]
        if isinstance(answer, EngineError):
            told[one.place] = progress.noting(_failed("words were not marked", answer))
        else:
            told[one.place] = replace(progress, marked={**progress.marked, **one.read(answer)})
    return told


def highlight_hits(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The highlights of the hits on the page of every query, where they are asked for."""
    form = course.plan.highlight
    if form is None:
        return list(queries)
    batch = len(queries) if course.plan.reranking is not None else 1
    budget = Budget(course.budget.seconds * batch, course.budget.begun)
    with course.clock("highlight"):
        queries = yield from _all_marked(list(queries), course, budget)
        shown = [list(_shown(place, one, course.plan, form)) for place, one in enumerate(queries)]
        every = [one for page in shown for one in page]
        notes = yield from _with_terms(every, form, budget)
        notes += yield from _with_sentences(every, form, budget)
    return [
        replace(one, highlights={hit.id: tuple(hit.highlights) for hit in page}).noting(
            *(note for place, note in notes if place == n)
        )
        for n, (one, page) in enumerate(zip(queries, shown, strict=True))
    ]


def _all_marked(queries: list[Progress], course: Course, budget: Budget) -> Generator[Step, Any, list[Progress]]:
    """One more request, where the page has hits that were not marked with the fetch."""
    asked = []
    for n, one in enumerate(queries):
        lacking = [hit.hit for hit in one.page(course.plan) if one.retrieved.best(hit.hit).passage_id not in one.marked]
        if lacking and not _has_failed(one) and (made := _marking(n, one, lacking, course)) is not None:
            asked.append(made)
    if not asked:
        return queries
    try:
        answers = yield from ask([one.body for one in asked], course.target, budget)
    except EngineError as error:
        answers = [error] * len(asked)
    return with_marks(queries, asked, answers)


def _has_failed(one: Progress) -> bool:
    return any(note.part == HIGHLIGHTS for note in one.notes)


@dataclass(slots=True)
class _Shown:
    """A hit on the page, and its highlights as far as they are found."""

    place: int
    id: str
    passage: Passage
    query: Query
    terms: bool
    meaning: bool
    nearest: str
    highlights: list[Highlighted]


def _shown(place: int, one: Progress, plan: Plan, form: Highlight) -> Iterator[_Shown]:
    query = one.retrieved.query
    for ranked in one.page(plan):
        id_ = one.retrieved.best(ranked.hit).passage_id
        marked, stored = one.marked.get(id_, Marked()), one.stored[id_]
        passage = Passage(stored[layout.TEXT], stored[layout.START], marked.weights)
        highlights = list(by_words(passage, marked.words, form))
        lacks = form.every or not (highlights and _by(ranked.hit, "text", plan))
        sparse, dense = (_by(ranked.hit, part, plan) and lacks for part in ("sparse", "dense"))
        sparse, dense = sparse and bool(query.sparse), dense and query.dense is not None
        wanted = form.meaning and (sparse or dense)
        nearest = MEANING if dense else TERMS
        yield _Shown(place, id_, passage, query, sparse, wanted, nearest, highlights)


def _by(hit: Fused, part: str, plan: Plan) -> bool:
    """Whether a leg that reads this part of the query has found a hit; any may have where the server fused."""
    unknown = not hit.legs and hit.placed is None
    return any(leg.part == part and (unknown or leg.name in hit.legs) for leg in plan.legs)


Notes = list[tuple[int, SearchWarning]]


def _with_terms(every: Sequence[_Shown], form: Highlight, budget: Budget) -> Generator[Step, Any, Notes]:
    """Find the terms that met in the passages of hits that the sparse leg found."""
    asked = [one for one in every if one.terms]
    if not asked:
        return []
    texts = [one.passage.text for one in asked]
    try:
        found: Encoded = yield EncodePassages(texts, budget.left, tokens_only=True)
        with boundary(what="reading its terms"):
            for one, tokens in zip(asked, found.tokens, strict=True):
                made = list(by_terms(one.passage, one.query.sparse or {}, tokens, form))
                one.highlights += made
                one.meaning &= not made or (form.every and one.nearest == MEANING)
    except HybridSearchError as error:
        return _told(asked, "terms were not looked up", error)
    return []


def _with_sentences(every: Sequence[_Shown], form: Highlight, budget: Budget) -> Generator[Step, Any, Notes]:
    """Find the sentence nearest to the query in the passages of hits that have no other reason."""
    asked = [(one, sentences_of(one.passage)) for one in every if one.meaning]
    several = [(one, spans) for one, spans in asked if len(spans) > 1]
    for one, spans in asked:
        if len(spans) == 1:
            one.highlights += by_sentence(one.passage, spans, None, form, one.nearest)
    done = 0
    try:
        while done < len(several):
            group = _first(several[done:])
            yield from _with_nearest(group, form, budget)
            done += len(group)
    except HybridSearchError as error:
        return _told([one for one, _ in several[done:]], "the nearest sentences were not looked for", error)
    return []


_Spans = tuple[_Shown, Sequence[Span]]
"""A hit, and where the sentences of its passage are."""


def _first(several: Sequence[_Spans]) -> Sequence[_Spans]:
    """The first hits whose sentences go to the encoder together."""
    count = 0
    for number, (_, spans) in enumerate(several, start=1):
        count += len(spans)
        if count >= ENCODED:
            return several[:number]
    return several


def _with_nearest(group: Sequence[_Spans], form: Highlight, budget: Budget) -> Generator[Step, Any, None]:
    """Find the nearest sentence of each of these hits; ModelError where the encoder fails or is late."""
    texts = dict.fromkeys(one.passage.text[s:e] for one, spans in group for s, e in spans)
    rows = {text: row for row, text in enumerate(texts)}
    if (left := budget.left) <= 0:
        raise ModelTimeoutError("no time is left for them", remedy="Give the search more: search.timeout")
    found: Encoded = yield EncodePassages(list(texts), left)
    with boundary(what="reading its sentences"):
        for one, spans in group:
            places = [rows[one.passage.text[s:e]] for s, e in spans]
            scores = nearness(one.query, found, places, one.nearest)
            one.highlights += by_sentence(one.passage, spans, scores, form, one.nearest)


def _told(asked: Sequence[_Shown], what: str, error: HybridSearchError) -> Notes:
    """A note for every query that has hits without what was asked for them."""
    return [(place, _failed(what, error)) for place in dict.fromkeys(one.place for one in asked)]


def _failed(what: str, error: HybridSearchError) -> SearchWarning:
    return SearchWarning(f"highlights: {what}: {error}", WarningCode.HIGHLIGHTS_FAILED, HIGHLIGHTS)
