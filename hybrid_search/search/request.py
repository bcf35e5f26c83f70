"""What a caller asks of a search beyond its queries, as one value that every entry makes and the plan is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from numbers import Integral, Real
from types import UnionType
from typing import Any, Self, TypedDict

from hybrid_search.boosts import Boost
from hybrid_search.errors import QueryError
from hybrid_search.filters import Filter
from hybrid_search.search.facets import CANDIDATES, Facet
from hybrid_search.search.fusion import Fusion
from hybrid_search.search.highlight import Highlight
from hybrid_search.search.leg import SearchLeg
from hybrid_search.search.mmr import Mmr
from hybrid_search.search.rerank import Reranking
from hybrid_search.search.scored_text import TextScoring

LISTS = ("legs", "boosts", "pin", "bury", "max_per", "facets")
"""Options of several values; a text is one."""


class SearchOptions(TypedDict, total=False):
    """The options of :class:`SearchRequest` by their names, but for ``k``, which the clients take beside them."""

    offset: int
    legs: Iterable[str | SearchLeg] | None
    filter: Filter | str | None
    fusion: str | Fusion | None
    rerank: bool | Reranking | None
    window: int | None
    candidates: int | None
    collapse: bool | str
    exact: bool
    two_phase: float | None
    syntax: str
    facets: Iterable[Facet | str]
    facet_counts: str
    highlight: bool | Highlight
    text: TextScoring | None
    timeout: float | None
    opaque_id: str | None
    traceparent: str | None
    cursor: str | None
    boosts: str | Iterable[str | Boost] | None
    pin: str | Iterable[str] | None
    bury: str | Iterable[str] | None
    diversity: float | Mmr | None
    max_per: str | Mapping[str, int] | Iterable[str | tuple[str, int]] | None
    passages: int


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search as it was asked; hashable. What is None, or left out, is as in the settings.

    Attributes:
        k: hits on the page.
        offset: hits before the page.
        legs: which legs search, by name; each must be in the index. A leg of one's own is given as an object
            (:class:`~hybrid_search.search.leg.SearchLeg`).
        filter: a filter, or one as text (``price<100``); together with the query's own where it has one.
        fusion: a method's name (with the usual weights of the index), or a whole :class:`Fusion`.
        rerank: False leaves reranking out, a :class:`Reranking` gives its window and weight.
        window: documents that each leg ranks, at most 10,000; by default that of the settings, doubled until it holds
            the page. Pages of one window are slices of one ranking; another window ranks anew.
        candidates: passages that each leg fetches at first; the graph search of the dense leg is at least as wide.
        collapse: ``best``, ``sum:3`` or ``first`` (:mod:`hybrid_search.search.collapse`): what of its passages a
            document is ranked by. True is ``best``; False ranks passages rather than documents.
        exact: compare with every vector instead of searching the graph; sparse in one phase.
        two_phase: sparse terms that weigh less than this share of the heaviest score what the others found, and find
            nothing themselves; 0 for one phase. By default that of the settings.
        syntax: ``text`` searches for the text as it is; ``simple`` reads the signs that people type
            (:mod:`hybrid_search.search.query_syntax`).
        facets: what is counted beside the hits (:mod:`hybrid_search.search.facets`), or its short form.
        facet_counts: what facets in short form count: ``candidates``, ``filter`` or ``bm25``.
        highlight: True, or how, the hits on the page are to show why they were found.
        text: what the text fields of the index weigh in BM25, and words that stand together.
        timeout: seconds that the search may take, or a batch of 32: encoding, legs, passages and reranking together.
            What is late is left out and named; a batch may take as much again for each further query that it reranks,
            until the reranker is late: the queries after that keep the fused order.
        opaque_id: sent as ``X-Opaque-Id`` with every request, instead of that of the client: what the engines' slow
            logs and tasks show.
        traceparent: the caller's trace context, sent on as it is (W3C Trace Context).
        cursor: the cursor of a result of the same search: the page behind it, of the same list.
        boosts: rules that raise fused scores (:mod:`hybrid_search.boosts`), as objects or in their short form.
        pin: ids of documents that stand first, in this order, found or not, if they pass the filter.
        bury: ids of documents that stand behind all others.
        diversity: the weight of being unlike the hits above, from 0 to 1, or a whole
            :class:`~hybrid_search.search.mmr.Mmr`.
        max_per: at most so many hits of one value of a field, ``{"brand": 2}``; a name alone is one.
        passages: up to so many further passages of each hit are shown, of those that the legs found.
    """

    k: int | None = None
    offset: int = 0
    legs: tuple[str | SearchLeg, ...] | None = None
    filter: Filter | str | None = None
    fusion: str | Fusion | None = None
    rerank: bool | Reranking | None = None
    window: int | None = None
    candidates: int | None = None
    collapse: bool | str = True
    exact: bool = False
    two_phase: float | None = None
    syntax: str = "text"
    facets: tuple[Facet | str, ...] = ()
    facet_counts: str = CANDIDATES
    highlight: bool | Highlight = False
    text: TextScoring | None = None
    timeout: float | None = None
    opaque_id: str | None = None
    traceparent: str | None = None
    cursor: str | None = None
    boosts: tuple[str | Boost, ...] | None = None
    pin: tuple[str, ...] | None = None
    bury: tuple[str, ...] | None = None
    diversity: float | Mmr | None = None
    max_per: str | tuple[str | tuple[str, int], ...] | None = None
    passages: int = 0

    @classmethod
    def of(cls, k: int | None = None, **options: Any) -> Self:
        """The request of a call with these options.

        Raises:
            QueryError: there is no such option; the nearest is named.
        """
        known = [field.name for field in fields(cls)]
        if unknown := next((name for name in options if name not in known), None):
            nearest = get_close_matches(unknown, known, n=1, cutoff=0.0)[0]
            remedy = f"Did you mean {nearest}? There are: {', '.join(known)}."
            raise QueryError(f"unknown option {unknown!r}", remedy=remedy)
        lists = {name: _several(given) for name in LISTS if (given := options.get(name)) is not None}
        return cls(k=k, **{**options, **lists})

    def check(self) -> None:
        """Refuse an option of another type before anything is sent; what fits its type is checked by the plan.

        Raises:
            QueryError: the option, and what to give.
        """
        for names, kind, remedy in _TYPES:
            for name in names:
                given = getattr(self, name)
                is_left_out = given is None and name != "offset"
                if isinstance(given, bool) or not (is_left_out or isinstance(given, kind)):
                    raise QueryError(f"{name} is {given!r:.60}", remedy=remedy)


_TYPES: tuple[tuple[tuple[str, ...], type | UnionType, str], ...] = (
    (("k", "offset", "window", "candidates"), Integral, "Give a whole number."),
    (("timeout", "two_phase"), Real, "Give a number."),
    (("fusion",), str | Fusion, "Give the name of a method, or a Fusion."),
    (("text",), TextScoring, "Give a TextScoring."),
)
"""Options, what each may be (numpy's numbers too), and what to do about another."""


def _several(given: Any) -> tuple[Any, ...]:
    """One alone, or several in any iterable, as the request holds them; what is by name, as pairs."""
    if isinstance(given, Mapping):
        return tuple(given.items())
    return (given,) if isinstance(given, str | Facet) or not isinstance(given, Iterable) else tuple(given)
