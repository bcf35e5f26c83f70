"""From attraction to grades, where there is enough to tell."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from hybrid_search.errors import InputError
from hybrid_search.evaluate.clicks.log import ClickLog
from hybrid_search.evaluate.clicks.position_model import PositionModel
from hybrid_search.read import Qrels

LEAST_CLICKS = 10
"""Clicks of a query below which it is left out."""

LEAST_SHOWN = 10
"""Impressions of a document for a query below which it gets no grade."""

HIGHEST = 3


@dataclass(frozen=True, slots=True)
class ClickJudgements:
    """Grades from 0 to 3 by query id and document id, and what was left out.

    Attributes:
        qrels: the grades.
        queries: the text of each query, by its id.
        few_clicks: queries with fewer clicks than are needed.
        few_shown: documents of the other queries that were shown less often than is needed.
    """

    qrels: Qrels
    queries: Mapping[str, str]
    few_clicks: int
    few_shown: int


def judge_clicks(
    log: ClickLog, model: PositionModel, *, least_clicks: int = LEAST_CLICKS, least_shown: int = LEAST_SHOWN
) -> ClickJudgements:
    """Grade each document by its attraction as a share of that of the query's best.

    From three quarters on it is 3, from a half 2, from a quarter 1, below 0. A grade so compares documents of a query,
    not of different queries.

    Raises:
        InputError: no query has clicks enough.
    """
    clicks, shown = Counter[str](), Counter[tuple[str, str]]()
    for (query, document, position), times in log.shown.items():
        if position in model.examination:
            clicks[query] += log.clicked[query, document, position]
            shown[query, document] += times
    enough = {query for query, count in clicks.items() if query and count >= least_clicks}
    liked: dict[str, dict[str, float]] = {}
    for (query, document), attraction in model.attraction.items():
        if query in enough and shown[query, document] >= least_shown:
            liked.setdefault(query, {})[document] = attraction
    if not liked:
        raise InputError(
            f"none of {len(clicks):,} queries has {least_clicks} clicks, and documents shown {least_shown} times",
            remedy="Give a longer log, or lower --least-clicks and --least-shown",
        )
    few_shown = sum(query in enough for query, _ in shown) - sum(map(len, liked.values()))
    return ClickJudgements(
        {query_id(query): _graded(some) for query, some in sorted(liked.items())},
        {query_id(query): query for query in sorted(liked)},
        len(clicks) - len(liked),
        few_shown,
    )


def query_id(query: str) -> str:
    """The same for the same query in every log."""
    return f"clicks-{hashlib.sha256(query.encode()).hexdigest()[:12]}"


def _graded(attraction: Mapping[str, float]) -> dict[str, int]:
    best = max(attraction.values())
    if best <= 0:
        return dict.fromkeys(attraction, 0)
    return {document: min(HIGHEST, int(4 * value / best)) for document, value in sorted(attraction.items())}
