"""From an index and judged queries to what tuning found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypedDict

from hybrid_search.errors import InputError
from hybrid_search.evaluate.pairs import Pairs
from hybrid_search.evaluate.retrieval import OnProgress
from hybrid_search.evaluate.tuning.choice import FOLDS, Tuned, tune
from hybrid_search.evaluate.tuning.collected import Collected, QueryRuns, RunCache, collect
from hybrid_search.evaluate.tuning.ranks import Objective
from hybrid_search.evaluate.tuning.reranked import Rerankings
from hybrid_search.evaluate.tuning.weighting import STEPS, WINDOWS, Weighting, weighting_of, weightings
from hybrid_search.read import Qrels
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.fusion import SERVER
from hybrid_search.search.leg import SearchLeg
from hybrid_search.search.plan import indexed_legs, named_legs


def run_tuning(
    client: SearchClient,
    queries: Sequence[Query],
    qrels: Qrels,
    *,
    legs: Sequence[str] | None = None,
    objective: str = "nDCG@10",
    folds: int = FOLDS,
    steps: int = STEPS,
    windows: Sequence[int] = WINDOWS,
    rules: bool = True,
    ignore_identical: bool = False,
    cache: RunCache | None = None,
    progress: OnProgress | None = None,
) -> tuple[Tuned, Collected]:
    """Retrieve every leg once, then choose fusion, weights, rank constant and window by cross-validation.

    So are, over the chosen fusion, the weight and window of the client's reranker, and a rule for some queries
    (:mod:`hybrid_search.weight_rules`).

    Args:
        client: of the index; its settings are those in use, which the choice must beat.
        queries: with ids; those without judgements or text are left out.
        qrels: grade by query id and document id.
        legs: which legs are weighed; None for all of the index.
        objective: ``nDCG@10``, ``RR@10``, ``R@100``, ``P@5`` or ``Success@1``, with any cutoff.
        folds: parts that the queries are split into.
        steps: steps of a weight between 0 and 1.
        windows: documents that each leg ranks; the window in use is always tried.
        rules: whether rules are tried.
        ignore_identical: leave the document with the id of the query out.
        cache: where runs are kept, so that the next call retrieves nothing.
        progress: told about every step.

    Raises:
        InputError: too few judged queries, fewer than two legs, another measure.
        QueryError: legs that the index lacks.
        EngineError: a query could not be searched.
        ModelError: the reranker failed.
    """
    cutoff, weighed = Objective(objective).cutoff, _weighed(client, legs)
    default = _in_use(client, weighed)
    every = sorted({default.window, *(window for window in windows if window >= cutoff)})
    judged = [query for query in queries if query.id in qrels and query.text.strip()]
    found = collect(client, judged, weighed, every[-1], cache=cache, progress=progress)
    found = replace(found, queries=_without_own(found.queries)) if ignore_identical else found
    reranked = _rerankings(client, judged, found, qrels, progress)
    how: _How = {"objective": objective, "folds": folds, "rules": rules, "rerankings": reranked}
    grid = weightings(len(weighed), steps=steps, windows=every)
    return tune(found, qrels, default, grid, progress=progress and partial(progress, "weigh"), **how), found


class _How(TypedDict):
    """What the choice takes by name."""

    objective: str
    folds: int
    rules: bool
    rerankings: Rerankings | None


def _weighed(client: SearchClient, legs: Sequence[str] | None) -> Sequence[SearchLeg]:
    weighed = indexed_legs(client.searcher.target.schema) if legs is None else named_legs(legs)
    if len(weighed) < 2:
        raise InputError(f"there is only the {weighed[0].name} leg", remedy="Name two legs at least")
    return weighed


def _in_use(client: SearchClient, legs: Sequence[SearchLeg]) -> Weighting:
    searcher = client.searcher
    found = weighting_of(searcher.fusion(), [leg.name for leg in legs], searcher.settings.search.window)
    if found.method == SERVER:
        return replace(found, method="rrf")  # over the same runs, the ranking is the server's but for passages
    return found


def _rerankings(
    client: SearchClient, queries: Sequence[Query], found: Collected, qrels: Qrels, progress: OnProgress | None
) -> Rerankings | None:
    if client.searcher.reranker is None:
        return None
    pairs, by_id = Pairs(client), {str(query.id): query for query in queries}
    return Rerankings(
        found,
        qrels,
        lambda id_, passages: pairs.scores(by_id[id_], passages),
        client.searcher.default_reranking(),
        progress=_counted(progress),
    )


def _counted(progress: OnProgress | None) -> Callable[[int], None]:
    """Tells how many queries are reranked of one ranking after the other."""
    done = 0

    def told(of: int) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("rerank", (done - 1) % of + 1, of)

    return told


def _without_own(queries: Mapping[str, QueryRuns]) -> dict[str, QueryRuns]:
    """The runs without the document that has the query's own id."""
    return {
        id_: replace(one, runs={leg: [hit for hit in run if hit[0] != id_] for leg, run in one.runs.items()})
        for id_, one in queries.items()
    }
