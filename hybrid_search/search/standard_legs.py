"""The three legs that come with the package: BM25 over words, dense vectors, sparse vectors."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError
from hybrid_search.records import IndexSchema, Leg, Query, SparseVector
from hybrid_search.search import legs
from hybrid_search.search.asking import Budget, Target, send
from hybrid_search.search.expert import engine_query
from hybrid_search.search.leg import Asking, LegQuery, Part, SearchLeg
from hybrid_search.search.outcomes import Skipped
from hybrid_search.search.scored_text import PHRASED, ScoredText, usual_text
from hybrid_search.search.steps import Step
from hybrid_search.search.words import first_words
from hybrid_search.search_warnings import SearchWarning, WarningCode

LOOKED_AT = 1000
"""Characters of the query whose words are looked at when BM25 found nothing."""

NO_WORD = "the query holds no word to search for: punctuation and stop words alone find nothing"


@dataclass(frozen=True)
class Bm25Leg(SearchLeg):
    """Words, as the analyzers of the index make them of its texts; a passage without any of them scores 0."""

    name: str = Leg.BM25
    part: Part | None = "text"
    missing: float | None = 0.0
    counts_terms: bool = True

    def ask(self, query: Query, asking: Asking) -> LegQuery:
        """Any word may match; a text of more words than an engine takes is cut. Or by a query of an expert's own."""
        if (clause := engine_query(query)) is not None:
            body = legs.filtered(dict(clause), asking.filter)
            return LegQuery(lambda _: body, own=True)
        words, also = (query.text, ()) if query.read is None else (query.read.words, query.read.scored)
        scored = usual_text(asking.target.schema) if asking.text is None else asking.text
        return self._first(words, also, asking, scored, max(1, legs.MAX_CLAUSES // len(scored.paths)))

    def _first(self, text: str, also: Sequence[legs.Body], asking: Asking, scored: ScoredText, limit: int) -> LegQuery:
        """Every word is a clause for each text."""
        words = first_words(text, limit)
        cut = f"searched for the first {limit:,} words of the query" if len(words) < len(text.rstrip()) else None
        body = legs.bm25(
            words,
            filter=asking.filter,
            also=also,
            scored=scored,
            combined=asking.target.dialect.capabilities.combined_fields,
            near=first_words(words, 1) != words.rstrip() and first_words(words, PHRASED) == words,
        )
        shorter = partial(self._first, text, also, asking, scored, limit // 2) if limit > 1 else None
        return LegQuery(lambda _: body, cut, shorter)

    def why_nothing(self, query: Query, target: Target, budget: Budget) -> Generator[Step, Any, str | None]:
        """It needs a word, and the analyzers of the index say whether the query has one."""
        if query.bm25 is not None:
            return f"{_passages(query)} matches the query of the leg"
        url, found = target.analyze, False
        for one in layout.text_paths(target.schema):
            try:
                body = {"field": one.path, "text": query.plain[:LOOKED_AT]}
                answer = yield from send(Request.json("POST", url, body), target, budget)
            except EngineError:
                return None
            if not isinstance(answer, Mapping) or "tokens" not in answer:
                return None
            if found := bool(answer["tokens"]):
                break
        return f"{_passages(query)} holds a word of the query" if found else NO_WORD


def _passages(query: Query) -> str:
    return "no passage that passes the filter" if query.is_filtered else "no passage"


@dataclass(frozen=True)
class DenseLeg(SearchLeg):
    """The nearest vectors. Every passage has one, so that what was not found scored less than the last, or nothing."""

    name: str = Leg.DENSE
    part: Part | None = "dense"
    finds_all: bool = True
    can_be_exact: bool = True

    def is_in(self, schema: IndexSchema) -> bool:
        return schema.dense is not None

    def ask(self, query: Query, asking: Asking) -> LegQuery | Skipped:
        """By the graph, as wide as the candidates, or exactly; with the alias's filter, which the graph must know."""
        vector = query.dense
        if vector is None:
            return Skipped()
        schema, dialect = asking.target.schema, asking.target.dialect
        matching = legs.both(_of_these_models(asking), asking.target.within)
        field = layout.dense_field(schema, says_place=asking.says_place)
        if asking.exact or not has_graph(schema):
            exact = dialect.exact_dense_search(vector, filter=matching, field=field)
            return LegQuery(lambda _: exact)
        width, times = asking.candidates, asking.oversample
        return LegQuery(
            lambda size: legs.dense(
                vector, dialect, size=size, candidates=width, filter=matching, oversample=times, field=field
            )
        )

    def why_nothing(self, query: Query, target: Target, budget: Budget) -> Generator[Step, Any, str | None]:
        """It finds whatever passes the filters, the alias's and the query's: there is none."""
        del budget
        yield from ()
        if query.is_filtered:
            return "no passage passes the filter"
        return "the index is empty" if target.within is None else "the alias shows no passage"


@dataclass(frozen=True)
class SparseLeg(SearchLeg):
    """The largest dot products of term weights; a passage without a common term scores 0."""

    name: str = Leg.SPARSE
    part: Part | None = "sparse"
    missing: float | None = 0.0

    def is_in(self, schema: IndexSchema) -> bool:
        return schema.sparse is not None

    def ask(self, query: Query, asking: Asking) -> LegQuery | Skipped:
        """By the heaviest terms that an engine takes; nothing where there is none, for that would match everything."""
        if not query.sparse:
            why = f"the {self.name} leg knows no term of the query"
            return Skipped(SearchWarning(why, WarningCode.NO_KNOWN_TERM, self.name))
        return self._heaviest(query.sparse, asking, legs.MAX_CLAUSES)

    def _heaviest(self, vector: SparseVector, asking: Asking, limit: int) -> LegQuery:
        terms = legs.heaviest(vector, limit)
        count = f"{len(terms):,} heaviest of {len(vector):,} terms"
        cut = f"searched for the {count}" if len(terms) < len(vector) else None
        shorter = partial(self._heaviest, vector, asking, limit // 2) if limit > 1 else None
        return LegQuery(partial(_sparse_body, terms, asking), cut, shorter)


def _sparse_body(terms: SparseVector, asking: Asking, size: int) -> legs.Body:
    schema, matching = asking.target.schema, _of_these_models(asking)
    field_type, field = schema.sparse_index, layout.sparse_field(schema, says_place=asking.says_place)
    if asking.exact or not asking.two_phase or field.within is not None:
        return legs.sparse(terms, filter=matching, field_type=field_type, field=field)
    return legs.sparse_in_two_phases(terms, share=asking.two_phase, size=size, filter=matching, field_type=field_type)


def has_graph(schema: IndexSchema) -> bool:
    """Whether the engine can search the dense vectors by a graph; else each is compared."""
    return schema.attached is None or schema.attached.has_graph


def _of_these_models(asking: Asking) -> legs.Filter:
    """The filter, which while the models of an index change lets pass what the new ones have encoded alone."""
    schema = asking.target.schema
    if schema.vectors is None:
        return asking.filter
    return legs.both(asking.filter, {"term": {layout.models_field(schema): schema.vectors}})


BM25, DENSE, SPARSE = Bm25Leg(), DenseLeg(), SparseLeg()

STANDARD: Mapping[str, SearchLeg] = {leg.name: leg for leg in (BM25, DENSE, SPARSE)}
"""By name, in the order in which results show them and ties are decided."""
