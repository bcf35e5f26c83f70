"""Whose request it is: headers that go with every request, and what the engine makes of them."""

from __future__ import annotations

import pytest
from generated import filled, passages
from guarded_proxy import proxy
from test_search_alias import VectorsOfText

from hybrid_search.engine import connect, connect_async
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import QueryError
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import EngineSettings, Settings

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def everything_from(client) -> None:
    """Every request that a search makes: legs, passages, and words that are looked at for an empty page."""
    await client.search("1 coffee", legs=["bm25"])
    await client.search("1 nothinglikeit", legs=["bm25"], opaque_id="another feature", traceparent=TRACE)


async def test_every_request_carries_the_id_of_its_client(engine_url, connection, index_name) -> None:
    """Opening and searching, in both clients: the client's own id, or that of the search, with its trace context."""
    name = filled(connection, index_name(), passages(5))
    with proxy(engine_url) as between:
        settings = EngineSettings(url=between.url)
        with connect(settings) as opened:
            async with await connect_async(settings) as opened_async:
                given = {"settings": Settings(), "encoder": VectorsOfText(), "opaque_id": "shop"}
                before = len(between.seen)
                client = SearchClient(name, connection=opened, **given)
                client.search("1 coffee", legs=["bm25"])
                client.search("1 nothinglikeit", legs=["bm25"], opaque_id="another feature", traceparent=TRACE)
                client.close()
                async with AsyncSearchClient(name, connection=opened_async, **given) as awaited:
                    await everything_from(awaited)
        seen = [(headers.get("x-opaque-id"), headers.get("traceparent")) for headers in between.seen[before:]]
    assert seen == [*[("shop", None)] * 3, *[("another feature", TRACE)] * 2] * 2


def test_a_client_without_an_id_has_one_of_its_own(engine_url, connection, index_name) -> None:
    """Two clients can be told apart in the logs of the cluster."""
    name = filled(connection, index_name(), passages(5))
    with proxy(engine_url) as between, connect(EngineSettings(url=between.url)) as opened:
        for _ in range(2):
            SearchClient(name, connection=opened, encoder=VectorsOfText(), settings=Settings()).search("1 coffee")
        ids = [id_ for headers in between.seen if (id_ := headers.get("x-opaque-id"))]
    assert len(set(ids)) == 2
    assert all(id_.startswith("hybrid-search-") for id_ in ids)


def test_the_engine_knows_the_id(connection) -> None:
    """The engine's own list of tasks shows it beside the request that asks for the list."""
    request = Request("GET", "/_tasks", {"actions": "cluster:monitor/tasks/lists"}, headers={"x-opaque-id": "mine"})
    tasks = [task for node in connection.send(request)["nodes"].values() for task in node["tasks"].values()]
    assert "mine" in {task["headers"].get("X-Opaque-Id") for task in tasks}


@pytest.mark.parametrize(
    "wrong",
    [{"opaque_id": "two\nlines"}, {"opaque_id": ""}, {"opaque_id": "caf\u00e9"}, {"traceparent": "00-1-2-01"}],
    ids=["line", "empty", "accent", "trace"],
)
def test_what_is_no_header_is_refused_before_anything_is_sent(connection, index_name, wrong) -> None:
    """A line break would begin another header."""
    name = filled(connection, index_name(), passages(5))
    client = SearchClient(name, connection=connection, encoder=VectorsOfText(), settings=Settings())
    with pytest.raises(QueryError):
        client.search("1 coffee", **wrong)
