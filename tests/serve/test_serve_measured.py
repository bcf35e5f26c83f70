"""Judged queries in the workbench: how many are measured, and for how long what was retrieved is kept."""

from __future__ import annotations

import asyncio

import pytest

from hybrid_search.records import Query
from hybrid_search.search.collapse import Best
from hybrid_search.search.fusion import Fusion
from hybrid_search.search.outcomes import Found
from hybrid_search.search.retrieved import LegRun, Retrieved
from hybrid_search.serve import judged
from hybrid_search.serve.judged import JudgedQueries
from hybrid_search.serve.judgements import Judgements


class Legs:
    """A client whose one leg finds one document; it counts the queries that it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def retrieve(self, queries, **_):
        self.asked += [query.id for query in queries]
        return [Retrieved(query, {"bm25": Found(LegRun({"d": Best("d", "d#0", 1.0)}))}) for query in queries]


async def measured(queries: JudgedQueries) -> dict:
    """What is said once all is retrieved."""
    await queries.measured(Fusion("rrf"))
    await asyncio.sleep(0.05)
    return await queries.measured(Fusion("rrf"))


def judgements(count: int) -> Judgements:
    asked = [Query(f"query {number}", id=f"q{number}") for number in range(count)]
    return Judgements(None, asked, {str(query.id): {"d": 1} for query in asked})


def test_only_so_many_queries_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their runs are kept in memory: the first three of five, and it is said that two are left out."""
    monkeypatch.setattr(judged, "MOST", 3)
    client = Legs()
    found = asyncio.run(measured(JudgedQueries(client, judgements(5))))
    assert (found["total"], found["retrieved"], found["left_out"], found["mean"]) == (3, 3, 2, 1.0)
    assert client.asked == ["q0", "q1", "q2"]


def test_runs_are_retrieved_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index may have changed since; within that time nothing is asked twice."""
    client = Legs()
    queries = JudgedQueries(client, judgements(2))

    async def twice() -> None:
        await measured(queries)
        await measured(queries)
        assert len(client.asked) == 2
        monkeypatch.setattr(judged, "KEPT", 0.0)
        await measured(queries)

    asyncio.run(twice())
    assert len(client.asked) >= 4
