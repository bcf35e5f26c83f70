"""The answer to why a document is not on the page, as frozen values; in JSON they have the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from hybrid_search.records import Placed, RerankScore


class Reason(StrEnum):
    """Why, for programs: the words may change, the codes do not."""

    ON_PAGE = "on-page"
    NOT_IN_INDEX = "not-in-index"
    FILTERED = "filtered"
    BELOW_PAGE = "below-page"
    ABOVE_PAGE = "above-page"
    NOT_FOUND = "not-found"
    LEFT_OUT = "left-out"


@dataclass(frozen=True, slots=True)
class QueryWord:
    """A word of the query.

    Attributes:
        text: as it stands in the query.
        terms: what the analyzer of the index makes of it; none of a stop word.
        passages: how many of the document's passages hold one of the terms.
    """

    text: str
    terms: tuple[str, ...]
    passages: int

    @property
    def is_stop_word(self) -> bool:
        """Whether nothing searches for it."""
        return not self.terms


@dataclass(frozen=True, slots=True)
class SharedTerm:
    """A sparse term that query and passage share: ``product`` is its part of the score, to the engine's 9 bits.

    ``word`` is what the model's vocabulary says for the name of the term; None where no tokenizer knows it.
    """

    term: str
    word: str | None
    query: float
    stored: float
    product: float


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the conditions that must all hold, whether the document passes, and its values of the fields in it."""

    text: str
    passes: bool
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LegPlace:
    """Where one leg has the document, however far below its window.

    Attributes:
        leg: its name.
        window: how many documents it ranks for the fusion.
        score: of the best passage, or the sum by which documents are ranked; None where the leg does not match it.
        rank: from 1, among all documents that pass the filter: by exact search in the dense leg. Ranks beyond the
            window are counted by the engine, exactly up to 40,000 documents and about so beyond. Where sums are
            ranked, ranks are those of the search, and beyond the window those of the best passage at least.
        found_at: its rank in the search itself, None where that did not find it.
        contribution: its part of the fused score.
        passage_id: the passage that scores so.
        cosine: of query and passage, in the dense leg.
        failure: why the leg did not answer.
        filtered: it does not pass the filter: its rank is the one that it would have.
        told: False where the server fused, which does not say what each leg found.
    """

    leg: str
    window: int
    score: float | None = None
    rank: int | None = None
    found_at: int | None = None
    contribution: float = 0.0
    passage_id: str | None = None
    cosine: float | None = None
    failure: str | None = None
    filtered: bool = False
    told: bool = True

    @property
    def missed_by_graph(self) -> bool:
        """Whether exact search has it within the window, and the graph search did not find it."""
        if self.cosine is None or self.found_at is not None or self.rank is None or self.failure is not None:
            return False
        return self.rank <= self.window and not self.filtered and self.told


@dataclass(frozen=True, slots=True)
class Standing:
    """A document in the final ranking.

    Attributes:
        id: of the document.
        rank: final, from 1; None where it is not ranked.
        score: final.
        fused_rank: before reranking.
        fused: the fused score.
        boosts: the factors of the boosts in it, by name.
        placed: pinned or buried, whatever its score.
        rerank: what the reranker made of it; ``rank_before`` and ``combined`` are those of the search. Where it was
            below the reranked window, :attr:`WhyNot.reranker_score` has what it would have scored.
    """

    id: str
    rank: int | None = None
    score: float | None = None
    fused_rank: int | None = None
    fused: float | None = None
    rerank: RerankScore | None = None
    boosts: Mapping[str, float] = field(default_factory=dict)
    placed: Placed | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the search that brings the document in, made and looked at again.

    Attributes:
        kind: ``weights``, ``window`` or ``rerank-weight``.
        setting: what to set: ``bm25=1,dense=2.5,sparse=1``, or a number.
        rank: the rank of the document then; of the fused ranking, where a reranker follows.
    """

    kind: str
    setting: str
    rank: int


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a document is not on the page, or where it is on it.

    Attributes:
        query: the text.
        id: the document.
        reason: as a code.
        verdict: the reason as a sentence.
        rank: its final rank, None where it is not ranked.
        first, last: the ranks of the page.
        of: how many documents the fused ranking has.
        passages: how many passages it has in the index.
        fusion: how the legs were fused.
        legs: where each leg has it.
        words: the words of the query, for BM25.
        terms: the sparse terms that met, the largest products first.
        conditions: of the filter; the document is not searched where one does not pass.
        max_per: how many hits of one value of a field the list takes.
        document: how it stands in the ranking.
        last_hit: how the last hit of the page stands.
        reranker_score: what the reranker says of its best passage, where there is a reranker.
        changes: what would bring it in, the smallest first.
        nearest: ids that look alike, where it is not in the index.
        known: what else is known of a document that is not in the index.
        notes: what the search lacks.
    """

    query: str
    id: str
    reason: Reason
    verdict: str
    rank: int | None = None
    first: int = 1
    last: int = 10
    of: int = 0
    passages: int = 0
    fusion: str = ""
    legs: Sequence[LegPlace] = ()
    words: Sequence[QueryWord] = ()
    terms: Sequence[SharedTerm] = ()
    conditions: Sequence[Condition] = ()
    max_per: Mapping[str, int] = field(default_factory=dict)
    document: Standing | None = None
    last_hit: Standing | None = None
    reranker_score: float | None = None
    changes: Sequence[Change] = ()
    nearest: Sequence[str] = ()
    known: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def is_on_page(self) -> bool:
        """Whether there is nothing to ask."""
        return self.reason is Reason.ON_PAGE

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types, by the names of the attributes."""
        plain: dict[str, Any] = msgspec.to_builtins(self, str_keys=True, enc_hook=_plain)
        return plain


def _plain(value: Any) -> Any:
    """What msgspec does not know: read-only mappings, and numbers of numpy and the like as text."""
    return dict(value) if isinstance(value, Mapping) else str(value)
