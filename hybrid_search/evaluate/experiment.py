"""Every leg, every fusion of two and of three legs, with and without reranking, from one retrieval of each leg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from hybrid_search.errors import InputError, QueryError
from hybrid_search.evaluate.comparison import Comparison, comparisons
from hybrid_search.evaluate.measures import MEASURES, Scores, measure, measures_within
from hybrid_search.evaluate.pairs import Pairs
from hybrid_search.evaluate.retrieval import OnProgress, retrieve_in_full
from hybrid_search.evaluate.runs import Ranking
from hybrid_search.read import Qrels
from hybrid_search.records import Query
from hybrid_search.search import Fusion, Reranking, SearchClient
from hybrid_search.search.fusion import METHODS, Fused
from hybrid_search.search.leg import SearchLeg
from hybrid_search.search.plan import indexed_legs, named_legs
from hybrid_search.search.rerank import combine
from hybrid_search.search.retrieved import Retrieved


@dataclass(frozen=True, slots=True)
class System:
    """One way to rank: ``legs`` fused by ``fusion`` (no matter for a single leg), reranked or not."""

    legs: tuple[str, ...]
    fusion: Fusion
    reranked: bool = False
    exact: bool = False

    @property
    def is_leg(self) -> bool:
        """Whether this is one leg as it is: what the others are compared with."""
        return len(self.legs) == 1 and not self.reranked

    @property
    def name(self) -> str:
        """Unique among the systems of an experiment: ``bm25+dense rrf, reranked``."""
        name = "+".join(self.legs)
        if self.exact:
            name += " exact"
        if len(self.legs) > 1:
            name += f" {self.fusion.label}"
        return f"{name}, reranked" if self.reranked else name


@dataclass(frozen=True, slots=True)
class Row:
    """What a system achieved, and its rankings by query id."""

    system: System
    scores: Scores
    rankings: Mapping[str, Ranking]


@dataclass(frozen=True, slots=True)
class Experiment:
    """All rows, and on what they were measured.

    ``queries`` counts the judged ones; ``unjudged`` ones were left out, ``empty`` ones (without text) count 0.
    ``identical`` counts the rankings from which the document with the query's own id was left out, None where none was
    to be. The first of ``measures`` is the one that systems are compared by.
    """

    rows: Sequence[Row]
    queries: int
    unjudged: int
    reranker: str | None
    measures: Sequence[str] = MEASURES
    empty: int = 0
    identical: int | None = None

    @property
    def best_leg(self) -> Row:
        """The best single leg by nDCG@10: what a fusion must beat."""
        return max((row for row in self.rows if row.system.is_leg), key=lambda row: row.scores.mean[self.measures[0]])

    def comparisons(self) -> dict[str, Comparison]:
        """Every fusion and every reranking against the best leg by nDCG@10, by the name of the system."""
        rows = [row for row in self.rows if not row.system.is_leg]
        values = [row.scores.by_query[self.measures[0]] for row in rows]
        found = comparisons(values, self.best_leg.scores.by_query[self.measures[0]])
        return {row.system.name: one for row, one in zip(rows, found, strict=True)}


def run_experiment(
    client: SearchClient,
    queries: Sequence[Query],
    qrels: Qrels,
    *,
    legs: Sequence[str | SearchLeg] | None = None,
    fusions: Sequence[str | Fusion] | None = None,
    window: int | None = None,
    candidates: int | None = None,
    rerank: bool = False,
    exact: bool = False,
    ignore_identical: bool = False,
    progress: OnProgress | None = None,
) -> Experiment:
    """Measure every leg and every fusion of two or more legs.

    A judged query without a text counts 0. No measure is cut below where the window ends: 20 hits give R@20.

    Args:
        client: of the index.
        queries: with ids; those without judgements are left out.
        qrels: grade by query id and document id.
        legs: which legs, by name or as objects; None for all of the index.
        fusions: which ways to fuse, a method's name with the usual weights of the index; None for every method.
        window: documents that each leg ranks; None as in the settings of the client.
        candidates: passages that each leg fetches, and the width of the graph search.
        rerank: also measure every system reranked, with the client's reranker.
        exact: also compare with every vector, to say what the graph costs.
        ignore_identical: leave the document with the id of the query out of its ranking, as BEIR does.
        progress: told about every step.

    Raises:
        InputError: no query has judgements.
        QueryError: legs that the index lacks, reranking without a reranker, fusion by the server.
        EngineError: a query could not be searched, or a leg answered in part.
    """
    judged, told = _judged(queries, qrels), progress or (lambda *_: None)
    compared = _comparable([client.searcher.fusion(fusion) for fusion in fusions or METHODS], client, rerank=rerank)
    named = _weighing(indexed_legs(client.searcher.target.schema) if legs is None else named_legs(legs), compared)
    exactly = [leg for leg in named if exact and leg.can_be_exact]
    asked = [query for query in judged if query.text.strip() or query.dense is not None or query.sparse is not None]
    found = {False: retrieve_in_full(client, asked, told, legs=named, window=window, candidates=candidates)}
    if exactly:
        found[True] = retrieve_in_full(client, asked, told, legs=exactly, window=window, exact=True)
    ranked = _Ranked(client, found, client.searcher.default_reranking(window), ignore_identical=ignore_identical)
    measures = measures_within(client.searcher.settings.search.window if window is None else window)
    wanted = list(systems(list(map(str, named)), compared, exact=list(map(str, exactly)), rerank=rerank))
    rows = list(_rows(wanted, ranked, {str(query.id): qrels[str(query.id)] for query in judged}, measures, told))
    reranker, unjudged = client.searcher.reranker_name if rerank else None, len(queries) - len(judged)
    return Experiment(rows, len(judged), unjudged, reranker, measures, len(judged) - len(asked), ranked.identical)


def _rows(
    wanted: Sequence[System], ranked: _Ranked, qrels: Qrels, measures: Sequence[str], progress: OnProgress
) -> Iterator[Row]:
    for done, system in enumerate(wanted, start=1):
        rankings = ranked.by(system)
        yield Row(system, measure(qrels, rankings, measures), rankings)
        progress("measure", done, len(wanted))


def _weighing(legs: Sequence[SearchLeg], fusions: Sequence[Fusion]) -> tuple[SearchLeg, ...]:
    """The legs that weigh something in one of the fusions at least; the others are left out, as in a search."""
    heard = {leg for fusion in fusions for leg in fusion.having_a_say([leg.name for leg in legs])}
    if not heard:
        raise QueryError("all weights are 0", remedy="Give at least one leg a positive weight.")
    return tuple(leg for leg in legs if leg.name in heard)


def _comparable(fusions: Sequence[Fusion], client: SearchClient, *, rerank: bool) -> Sequence[Fusion]:
    if rerank and client.searcher.reranker is None:
        raise QueryError("no reranker is loaded", remedy='Set rerank.model, for example to "late"')
    if any(fusion.by_server for fusion in fusions):
        raise QueryError(
            "every fusion is measured on the same retrieved legs, which the server's own cannot be",
            remedy='Measure "rrf": over passages, the server ranks as it does',
        )
    return fusions


def _judged(queries: Sequence[Query], qrels: Qrels) -> list[Query]:
    judged = [query for query in queries if query.id in qrels]
    if not judged:
        raise InputError(
            f"none of the {len(queries):,} queries has judgements", remedy="Give queries and qrels of the same set"
        )
    return judged


def systems(legs: Sequence[str], fusions: Sequence[Fusion], *, exact: Sequence[str], rerank: bool) -> Iterator[System]:
    """Single legs first, then fusions of two, then of three; reranked ones after all others.

    A fusion in which one of its legs weighs 0 is that of the others, which is there already.
    """
    alone = replace(fusions[0], weights={})
    plain = [System((leg,), alone) for leg in legs]
    plain += [System((leg,), alone, exact=True) for leg in exact]
    for size in range(2, len(legs) + 1):
        plain += [
            System(some, fusion.among(some))
            for some in combinations(legs, size)
            for fusion in fusions
            if fusion.having_a_say(some) == some
        ]
    yield from plain
    if rerank:
        yield from (System(one.legs, one.fusion, reranked=True) for one in plain if not one.exact)


class _Ranked:
    """What was found, as each system ranks it; ``found`` holds the graph's runs and the exact ones."""

    def __init__(
        self,
        client: SearchClient,
        found: Mapping[bool, Sequence[Retrieved]],
        reranking: Reranking,
        *,
        ignore_identical: bool,
    ) -> None:
        self._found = found
        self._pairs = Pairs(client)
        self._reranking = reranking
        self._ignore_identical = ignore_identical

    @property
    def identical(self) -> int | None:
        """How many queries find the document of their own id; None where it is not ignored."""
        if not self._ignore_identical:
            return None
        return sum(any(one.query.id in run for run in one.runs.values()) for one in self._found[False])

    def by(self, system: System) -> dict[str, Ranking]:
        """Rankings by query id; without the document of the same id where that is to be ignored."""
        fused = [(one, one.fused(system.fusion, system.legs)) for one in self._found[system.exact]]
        if system.reranked:
            self._pairs.prepare({one.query.text: self._window(one, hits) for one, hits in fused})
        rankings = {str(one.query.id): self._ranking(system, one, hits) for one, hits in fused}
        if not self._ignore_identical:
            return rankings
        return {id_: [hit for hit in ranking if hit[0] != id_] for id_, ranking in rankings.items()}

    def _ranking(self, system: System, one: Retrieved, fused: Sequence[Fused]) -> Ranking:
        if system.reranked:
            scores = self._pairs.scores(one.query, self._window(one, fused))
            return [(hit.hit.id, hit.score) for hit in combine(fused, scores, self._reranking.weight)]
        if len(system.legs) == 1:
            return [(hit.id, hit.legs[system.legs[0]].score) for hit in fused if system.legs[0] in hit.legs]
        return [(hit.id, hit.score) for hit in fused]

    def _window(self, one: Retrieved, fused: Sequence[Fused]) -> list[str]:
        """The passages that the reranker reads."""
        return [one.best(hit).passage_id for hit in fused[: self._reranking.window]]
