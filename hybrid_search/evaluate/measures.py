"""Effectiveness by ir_measures: nDCG@10, reciprocal rank at 10, recall at 100; any other by its name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hybrid_search.errors import InputError, MissingExtraError
from hybrid_search.evaluate.runs import Rankings
from hybrid_search.read import Qrels

NDCG, RECIPROCAL_RANK, RECALL = "nDCG@10", "RR@10", "R@100"
MEASURES = (NDCG, RECIPROCAL_RANK, RECALL)


def measures_within(window: int) -> tuple[str, str, str]:
    """The three measures, none cut below where rankings of ``window`` documents end: R@20 is no R@100."""
    return f"nDCG@{min(10, window)}", f"RR@{min(10, window)}", f"R@{min(100, window)}"


@dataclass(frozen=True, slots=True)
class Scores:
    """The mean of each measure, and its value for every judged query (``by_query[measure][query id]``)."""

    mean: Mapping[str, float]
    by_query: Mapping[str, Mapping[str, float]]


def measure(qrels: Qrels, rankings: Rankings, measures: Sequence[str] = MEASURES) -> Scores:
    """How good rankings are; a judged query without a ranking counts 0.

    trec_eval orders equal scores by document id, descending; here the order of the ranking is what is measured.

    Args:
        qrels: grade by query id and document id; above 0 is relevant.
        rankings: by query id, ``(document id, score)`` pairs in rank order.
        measures: names that ir_measures reads, such as ``nDCG@10``, ``MAP`` or ``nDCG(cutoff=10)``; the values come
            back under the names that were given.

    Raises:
        InputError: no measure of that name, or none that can be computed here; no query is judged.
        MissingExtraError: ir_measures is not installed.
    """
    try:
        import ir_measures
    except ImportError:
        raise MissingExtraError("Evaluation", "eval") from None
    if not qrels:
        raise InputError("no query is judged: there is nothing to measure", remedy="Give judgements (qrels)")
    try:
        wanted = {name: ir_measures.parse_measure(name) for name in measures}
    except (NameError, ValueError, SyntaxError) as error:
        raise InputError(f"no such measure: {error}", remedy="Use names of ir_measures, such as nDCG@10") from None
    by_rank = {
        query_id: {document_id: float(-rank) for rank, (document_id, _) in enumerate(rankings.get(query_id, ()))}
        for query_id in qrels
    }
    by_query: dict[str, dict[str, float]] = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    try:
        for found in ir_measures.iter_calc(list(set(wanted.values())), qrels, by_rank):
            for name in (name for name, measured in wanted.items() if measured == found.measure):
                by_query[name][found.query_id] = float(found.value)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"a measure cannot be computed: {error}", remedy="Use another, such as nDCG@10") from error
    return Scores({name: math.fsum(by_query[name].values()) / len(qrels) for name in measures}, by_query)
