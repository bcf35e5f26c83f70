"""From an index and judged queries to what tuning found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hybrid_search.errors import InputError
from hybrid_search.evaluate.retrieval import OnProgress
from hybrid_search.evaluate.tuning.choice import FOLDS, Tuned, tune
from hybrid_search.evaluate.tuning.collected import Collected, QueryRuns, RunCache, collect
from hybrid_search.evaluate.tuning.ranks import Objective
from hybrid_search.evaluate.tuning.weighting import STEPS, WINDOWS, weighting_of, weightings
from hybrid_search.read import Qrels
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.fusion import SERVER
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
    ignore_identical: bool = False,
    cache: RunCache | None = None,
    progress: OnProgress | None = None,
) -> tuple[Tuned, Collected]:
    """Retrieve every leg once, then choose fusion, weights, rank constant and window by cross-validation.

    Args:
        client: of the index; its settings are those in use, which the choice must beat.
        queries: with ids; those without judgements or text are left out.
        qrels: grade by query id and document id.
        legs: which legs are weighed; None for all of the index.
        objective: ``nDCG@10``, ``RR@10``, ``R@100``, ``P@5`` or ``Success@1``, with any cutoff.
        folds: parts that the queries are split into.
        steps: steps of a weight between 0 and 1.
        windows: documents that each leg ranks; the window in use is always tried.
        ignore_identical: leave the document with the id of the query out, as BEIR does.
        cache: where runs are kept, so that the next call retrieves nothing.
        progress: told about every step.

    Raises:
        InputError: too few judged queries, fewer than two legs, another measure.
        QueryError: legs that the index lacks.
        EngineError: a query could not be searched.
    """
    cutoff = Objective(objective).cutoff
    weighed = indexed_legs(client.searcher.target.schema) if legs is None else named_legs(legs)
    if len(weighed) < 2:
        raise InputError(f"there is only the {weighed[0].name} leg", remedy="Name two legs at least")
    in_use = client.searcher.settings.search.window
    every = sorted({in_use, *(window for window in windows if window >= cutoff)})
    default = weighting_of(client.searcher.fusion(), [leg.name for leg in weighed], in_use)
    if default.method == SERVER:
        default = replace(default, method="rrf")  # over the same runs, the ranking is the server's but for passages
    judged = [query for query in queries if query.id in qrels and query.text.strip()]
    found = collect(client, judged, weighed, every[-1], cache=cache, progress=progress)
    if ignore_identical:
        found = replace(found, queries=_without_own(found.queries))
    told = None if progress is None else (lambda done, of: progress("weigh", done, of))
    grid = weightings(len(weighed), steps=steps, windows=every)
    return tune(found, qrels, default, grid, objective=objective, folds=folds, progress=told), found


def _without_own(queries: Mapping[str, QueryRuns]) -> dict[str, QueryRuns]:
    """The runs without the document that has the query's own id."""
    return {
        id_: replace(one, runs={leg: [hit for hit in run if hit[0] != id_] for leg, run in one.runs.items()})
        for id_, one in queries.items()
    }
