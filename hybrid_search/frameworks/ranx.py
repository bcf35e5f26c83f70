"""ranx: rankings and judgements as its ``Run`` and ``Qrels``, and back.

    ranx.compare(ranx_qrels(qrels), ranx_runs(experiment), ["ndcg@10", "mrr@10", "recall@100"], make_comparable=True)

ranx orders a run by its scores, equal ones anyhow: those written here fall strictly, so that the order is the
ranking's. A query that found nothing is in no run: ``make_comparable=True`` has it count 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybrid_search.errors import InputError, MissingExtraError
from hybrid_search.evaluate import Experiment, Rankings
from hybrid_search.evaluate.runs import falling
from hybrid_search.read import Qrels as Grades
from hybrid_search.records import SearchResult

try:
    from ranx import Qrels, Run  # type: ignore[import-untyped]  # ships no types
except ImportError as error:
    raise MissingExtraError("Runs and judgements for ranx", "ranx") from error

_BEYOND_LATIN_1 = "\u0100"


def ranx_run(rankings: Rankings, name: str) -> Run:
    """A run of ``(document id, score)`` pairs in rank order, by query id.

    Raises:
        InputError: no query has a document, which no run of ranx can say.
    """
    if not any(rankings.values()):
        raise InputError(f"nothing was found for any query of the run {name!r}", remedy="Give a run with a document")
    scores = {query: _falling(ranking) for query, ranking in rankings.items() if ranking}
    run: Run = _filled(Run, scores)
    run.name = name
    return run


def ranx_runs(experiment: Experiment) -> list[Run]:
    """A run for each system of an evaluation, under its name: ``bm25+dense rrf, reranked``.

    Raises:
        InputError: a system found nothing for any query.
    """
    return [ranx_run(row.rankings, row.system.name) for row in experiment.rows]


def ranx_qrels(qrels: Mapping[str, Mapping[str, int]], name: str | None = None) -> Qrels:
    """Judgements: grade by query id and document id.

    Raises:
        InputError: nothing is judged.
    """
    if not any(qrels.values()):
        raise InputError("nothing is judged", remedy="Give judgements (qrels)")
    judged: Qrels = _filled(Qrels, {query: grades for query, grades in qrels.items() if grades})
    judged.name = name
    return judged


def rankings_of(run: Run) -> dict[str, list[tuple[str, float]]]:
    """The rankings of a run by query id, best first: what ``write_run`` and ``measure`` take."""
    found = run.to_dict()
    return {
        query: sorted(((id_, float(score)) for id_, score in hits.items()), key=lambda hit: -hit[1])
        for query, hits in found.items()
    }


def grades_of(qrels: Qrels) -> Grades:
    """Judgements as ``evaluate`` and ``measure`` take them: grade by query id and document id."""
    return {query: {id_: int(grade) for id_, grade in grades.items()} for query, grades in qrels.to_dict().items()}


def results_as_run(results: Sequence[SearchResult], name: str) -> Run:
    """The hits of searches as a run; the queries need ids.

    Raises:
        InputError: a query without an id, or nothing was found for any.
    """
    if any(one.query.id is None for one in results):
        raise InputError("a query without an id", remedy="Search for Query(text, id=...)")
    return ranx_run({str(one.query.id): [(hit.id, hit.score) for hit in one.hits] for one in results}, name)


def _filled(kind: type[Any], values: Mapping[str, Mapping[str, float]]) -> Any:
    """A run or judgements; the constructor of ranx, which is fast, spoils ids of documents beyond Latin-1."""
    if all(id_ < _BEYOND_LATIN_1 for some in values.values() for id_ in map(max, some)):
        return kind({query: dict(some) for query, some in values.items()})
    filled = kind()
    filled.add_multi(
        list(values), [list(some) for some in values.values()], [list(some.values()) for some in values.values()]
    )
    return filled


def _falling(ranking: Sequence[tuple[str, float]]) -> dict[str, float]:
    scores = falling([score for _, score in ranking])
    return {id_: float(score) for (id_, _), score in zip(ranking, scores, strict=True)}
