"""The rankings of two clients for the same queries, most different first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from hybrid_search.errors import EngineError, InputError
from hybrid_search.evaluate.retrieval import MEASURING, OnProgress
from hybrid_search.evaluate.unjudged.overlap import PERSISTENCE, rank_biased_overlap
from hybrid_search.records import Hit, Query, SearchResult
from hybrid_search.search import SearchClient
from hybrid_search.search.searcher import BATCH
from hybrid_search.search.table import title_of

HITS = 10

TITLE = 80
"""Characters of a title that are shown."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both rankings of one query: ids in rank order, and how much they agree; ``titles`` by id, where hits have one."""

    query: Query
    first: Sequence[str]
    second: Sequence[str]
    overlap: float
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def only_first(self) -> list[str]:
        """The ids that the second ranking lacks."""
        return [id_ for id_ in self.first if id_ not in self.second]

    @property
    def only_second(self) -> list[str]:
        """The ids that the first ranking lacks."""
        return [id_ for id_ in self.second if id_ not in self.first]


@dataclass(frozen=True, slots=True)
class Agreement:
    """All pairs, the most different first; ``hits`` is how many of each ranking were compared."""

    pairs: Sequence[Pair]
    hits: int
    persistence: float

    @property
    def mean(self) -> float:
        """The mean rank-biased overlap."""
        return fmean(pair.overlap for pair in self.pairs)

    @property
    def same(self) -> int:
        """Queries with the same ranking."""
        return sum(list(pair.first) == list(pair.second) for pair in self.pairs)

    @property
    def same_first(self) -> int:
        """Queries with the same first hit, or none on either side."""
        return sum(list(pair.first[:1]) == list(pair.second[:1]) for pair in self.pairs)


def compare_searches(
    first: SearchClient,
    second: SearchClient,
    queries: Sequence[Query],
    *,
    hits: int = HITS,
    persistence: float = PERSISTENCE,
    progress: OnProgress | None = None,
) -> Agreement:
    """Search with both clients, and order the queries by rank-biased overlap, ties by their ids.

    Args:
        first: a client: its index and its settings.
        second: another.
        queries: those without text are left out.
        hits: how many of each ranking are compared.
        persistence: of the rank-biased overlap.
        progress: told about every batch.

    Raises:
        InputError: no query has a text; a persistence out of range.
        EngineError: a search was not answered in full: what a leg that failed would have found is no difference.
    """
    asked = [query for query in queries if query.text.strip()]
    if not asked:
        raise InputError("no query has a text", remedy="Give queries")
    pairs: list[Pair] = []
    for begin in range(0, len(asked), BATCH):
        batch = asked[begin : begin + BATCH]
        mine, its = (_searched(client, batch, hits) for client in (first, second))
        pairs += [_pair(*both, persistence) for both in zip(mine, its, strict=True)]
        if progress is not None:
            progress("search", len(pairs), len(asked))
    return Agreement(sorted(pairs, key=lambda pair: (pair.overlap, str(pair.query.id))), hits, persistence)


def _searched(client: SearchClient, queries: Sequence[Query], hits: int) -> list[SearchResult]:
    found = client.search_many(queries, hits, timeout=MEASURING)
    for one in found:
        if one.degraded:
            raise EngineError(
                f"query {one.query.id} was not answered in full: {', '.join(map(str, one.warnings))}",
                where=client.searcher.target.where,
                remedy="Nothing was compared; try again when all of the cluster answers",
            )
    return found


def _pair(first: SearchResult, second: SearchResult, persistence: float) -> Pair:
    mine, its = [hit.id for hit in first], [hit.id for hit in second]
    titles = {hit.id: _called(hit) for result in (first, second) for hit in result}
    return Pair(first.query, mine, its, rank_biased_overlap(mine, its, persistence), titles)


def _called(hit: Hit) -> str:
    """What people know a hit by: its title, else how its text begins."""
    title = title_of(hit)
    return (hit.text if title == hit.id else title)[:TITLE]
