"""What ``now`` means in a filter: one moment for a whole call, in both clients."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from search_fakes import SCHEMA, PlaneEncoder, async_connection, bodies, connection, engine

from hybrid_search.engine.protocols import Answer
from hybrid_search.engine.templates import index_body
from hybrid_search.filters import Eq, parse
from hybrid_search.records import Leg, Query
from hybrid_search.search import AsyncSearchClient, SearchClient

DATED = replace(SCHEMA, date_fields=("seen",), keyword_fields=("brand",))
MEANT = 1_773_156_600_123
"""2026-03-10T15:30:00.123Z."""


class Engine:
    """Answers, and keeps the bounds of all searches by legs."""

    def __init__(self):
        self.bounds = []

    def __call__(self, request):
        if request.path == "/docs/_mapping":
            return Answer(200, {"docs": {"mappings": index_body("opensearch", (3, 6, 0), DATED)["mappings"]}})
        self.bounds += [bound for body in bodies(request) for bound in bounds_in(body)]
        return engine({Leg.BM25: [("a#0", 2.0)]})(request)


def bounds_in(value):
    """Lower bounds of dates within a body."""
    if isinstance(value, dict):
        if "filter.seen" in value:
            return [value["filter.seen"]["gte"]]
        value = value.values()
    return [bound for inner in value for bound in bounds_in(inner)] if not isinstance(value, str | float | int) else []


def ask(searches):
    """The bounds that both clients send for 40 queries, more than one batch has."""
    first, second = Engine(), Engine()
    with SearchClient("docs", encoder=PlaneEncoder(), connection=connection(first)) as client:
        client.search_many(searches, filter="seen>=now-7d")

    async def same():
        async with AsyncSearchClient("docs", encoder=PlaneEncoder(), connection=async_connection(second)) as client:
            await client.search_many(searches, filter="seen>=now-7d")

    asyncio.run(same())
    return first.bounds, second.bounds


def test_a_call_sees_one_now():
    """Of all legs of all queries, over the batches; in the form that both engines count from."""
    for bounds in ask([f"query {n}" for n in range(40)]):
        assert len(bounds) == 3 * 40
        assert len(set(bounds)) == 1
        assert bounds[0].endswith("Z||-7d")


def test_a_query_may_bring_its_own_now():
    """The same moment whoever asks."""
    for bounds in ask([Query("lamp", now=MEANT)]):
        assert set(bounds) == {"2026-03-10T15:30:00.123Z||-7d"}


@pytest.mark.parametrize("own", ["brand=Sony", Eq("brand", "Sony")])
def test_a_query_takes_its_filter_as_text_or_as_an_object(own):
    """And together with that of the search."""
    with SearchClient("docs", encoder=PlaneEncoder(), connection=connection(Engine())) as client:
        result = client.search(Query("lamp", filter=own), filter="seen>=now-7d")
    assert result.query.filter == Eq("brand", "Sony") & parse("seen>=now-7d")
