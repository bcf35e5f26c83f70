"""What a caller of the API asks, checked by its type and size, and the options of the client that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from hybrid_search.errors import QueryError
from hybrid_search.search.fusion import Fusion
from hybrid_search.search.request import SearchOptions
from hybrid_search.search.searcher import Searcher
from hybrid_search.search.tracing import TRACE_CONTEXT, TRACEPARENT

MAX_TEXT = 10_000
"""Characters of a query or a filter."""
MAX_HITS = 1_000
"""Hits of one answer; also how wide a window may be asked for over HTTP."""

MAX_CURSOR = 60_000
"""Characters of a cursor, which holds the list that it goes on with."""
_SWITCHES = {"true": True, "false": False}

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Name = Annotated[str, Field(max_length=200)]
Id = Annotated[str, Field(min_length=1, max_length=512)]


class Ranking(BaseModel):
    """How legs are fused."""

    model_config = ConfigDict(extra="forbid")

    fusion: Name | None = Field(None, description="min-max, z-score, theoretical-min, rrf, or server.")
    weights: dict[str, float] | None = Field(None, description="The weight of each leg; 0 leaves it out.")
    rank_constant: int | None = Field(None, ge=0, description="The rank constant of rrf.")

    def fused_by(self, searcher: Searcher) -> Fusion:
        """The fusion that is meant, what is not said as in the settings of the index.

        Raises:
            QueryError: an unknown method, or a weight out of range.
        """
        given: dict[str, Any] = {}
        if self.weights is not None:
            given |= {"weights": self.weights, "rules": ()}  # for this query, whatever it is
        if self.rank_constant is not None:
            given["rank_constant"] = self.rank_constant
        return replace(searcher.fusion(self.fusion), **given)


class Asked(Ranking):
    """A search; what is left out is as in the settings that the server was started with."""

    query: Text = Field(description="The question, as text.")
    k: int | None = Field(None, ge=1, le=MAX_HITS, description="Hits on the page.")
    offset: int = Field(0, ge=0, le=MAX_HITS, description="Hits before the page.")
    legs: list[Name] | None = Field(None, max_length=10, description="The legs that search.")
    filter: Annotated[str, Field(max_length=MAX_TEXT)] | None = Field(
        None, description="What hits must have: price<100 and kind=rice."
    )
    syntax: Name = Field("text", description="text, or simple: quotes, -word, field:word.")
    window: int | None = Field(None, ge=1, le=MAX_HITS, description="Documents that each leg ranks.")
    rerank: bool | None = Field(None, description="Whether to rerank.")
    exact: bool = Field(default=False, description="Compare with every vector instead of searching the graph.")
    collapse: Name | bool = Field(default=True, description="best, sum:3 or first; false ranks passages.")
    passages: int = Field(0, ge=0, le=10, description="Further passages of each hit.")
    diversity: float | None = Field(None, ge=0, le=1, description="The weight of being unlike the hits above.")
    max_per: list[Name] | None = Field(None, max_length=10, description="At most so many hits of one value: brand=2.")
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] | None = Field(
        None, description="That of an answer to the same search: the page behind it."
    )
    timeout: float | None = Field(None, gt=0, le=60, description="Seconds that the search may take.")
    two_phase: float | None = Field(None, ge=0, le=1, description="Search sparse in two phases: the share of a term.")
    highlight: bool = Field(default=False, description="Show by what each hit was found.")
    facets: list[Name] = Field([], max_length=20, description="What is counted: brand, price:10,50, published:month.")
    facet_counts: Name = Field("candidates", description="What facets count: candidates, filter or bm25.")
    boosts: list[Name] | None = Field(None, max_length=20, description="Rules that raise scores: fresh:published,30d.")
    pin: list[Id] | None = Field(None, max_length=100, description="Documents that stand first.")
    bury: list[Id] | None = Field(None, max_length=1_000, description="Documents that stand last.")

    _traceparent: str | None = PrivateAttr(None)

    def within(self, headers: Mapping[str, str]) -> Self:
        """The same within the caller's trace, if the headers of the request name one (W3C Trace Context)."""
        given = headers.get(TRACEPARENT)
        self._traceparent = given if given is not None and TRACE_CONTEXT.fullmatch(given) else None
        return self

    def options(self, searcher: Searcher) -> SearchOptions:
        """As the client takes them; ``k`` it takes beside them."""
        options: SearchOptions = {
            "offset": self.offset,
            "legs": self.legs,
            "filter": self.filter or None,
            "syntax": self.syntax,
            "window": self.window,
            "rerank": self.rerank,
            "exact": self.exact,
            "collapse": _SWITCHES.get(str(self.collapse).lower(), self.collapse),
            "passages": self.passages,
            "diversity": self.diversity,
            "max_per": self.max_per,
            "cursor": self.cursor,
            "traceparent": self._traceparent,
            "timeout": self.timeout,
            "two_phase": self.two_phase,
            "highlight": self.highlight,
            "facets": self.facets,
            "facet_counts": self.facet_counts,
            "boosts": self.boosts,
            "pin": self.pin,
            "bury": self.bury,
        }
        if self.fusion is not None or self.weights is not None or self.rank_constant is not None:
            options["fusion"] = self.fused_by(searcher)
        return options


class AskedByAddress(Asked):
    """The same as parameters of an address: ``/search?query=rice&weights=bm25=.3,dense=.7``."""

    weights: str | None = Field(None, description="bm25=.3,dense=.3,sparse=.4")  # type: ignore[assignment]  # as text

    def as_body(self) -> Asked:
        """With the weights read.

        Raises:
            QueryError: a weight is no number.
        """
        given = self.model_dump(exclude={"weights", "id"})
        return Asked(**given, weights=None if self.weights is None else dict(map(_weight, self.weights.split(","))))


class AskedWhyNot(Asked):
    """A search, and a document that is looked for in it."""

    id: Id = Field(description="The document.")


class AskedWhyNotByAddress(AskedByAddress):
    """The same as parameters of an address."""

    id: Id = Field(description="The document.")


def _weight(part: str) -> tuple[str, float]:
    leg, _, weight = part.partition("=")
    try:
        return leg.strip(), float(weight)
    except ValueError:
        raise QueryError(f"{part!r} is no weight", where="weights", remedy="Example: bm25=.3,dense=.7") from None
