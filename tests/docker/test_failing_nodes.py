"""Three nodes in containers, one of which is killed or paused in the middle of a load and of searches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from threading import Timer

import pytest
from clusters import Cluster, connection_to, wait_for_nodes
from loading import GeneratedEncoder, documents

from hybrid_search.engine import Connection, indices
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError
from hybrid_search.ingest import LoadOptions, index_documents
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.settings import ChunkingSettings, DocumentSettings, EngineSettings, Settings

DOCUMENTS = 3000
STRIKE_AFTER = 600
"""Documents that are read before the node is struck: some are stored, some under way, most to come."""

SEARCHES = 100

AWAY_SECONDS = 15
"""Until the struck node is back: longer than the cluster takes to notice."""

NOTICED_SECONDS = 120.0
"""For the cluster to notice that a node is gone and to promote the replicas, on a machine that is busy."""

PASSAGES = {"exists": {"field": "doc_id"}}
"""All but the one document that holds the state of the loads."""

OPTIONS = LoadOptions(body_bytes=30_000, timeout=5.0, retry=RetryPolicy(first=0.1, patience=180.0))
"""A bulk that is not answered in five seconds is sent again: a paused node is away for longer."""


def struck_in_the_middle(strike: Callable[[], object]) -> Iterator:
    """All documents; the node is struck while they are read."""
    for number, document in enumerate(documents(DOCUMENTS)):
        if number == STRIKE_AFTER:
            strike()
        yield document


def settings() -> Settings:
    return Settings(
        documents=DocumentSettings(text=("text",), number=("place",)),
        chunking=ChunkingSettings(overlap=2),
        engine=EngineSettings(shards=3, replicas=1),
    )


@pytest.mark.parametrize("strike", ["kill", "pause"])
def test_a_load_survives_a_node_that_is_struck(three: Cluster, strike: str):
    """Every passage is there once, whatever the struck node had taken or answered before it came back."""
    name = f"test-load-{strike}"
    healer = Timer(AWAY_SECONDS, bring_back, (three, strike))

    def blow():
        getattr(victim(three), strike)()
        healer.start()

    with connection_to(three, timeout=10) as connection:
        found = struck_in_the_middle(blow)
        try:
            report = index_documents(found, name, connection, GeneratedEncoder(), settings(), options=OPTIONS)
        finally:
            healer.join()
            wait_for_nodes(three, 3)
        indices.refresh(connection, name)
        assert (report.documents, report.refused) == (DOCUMENTS, 0)
        assert strike == "kill" or report.retried > 0  # no killed node swallows a request: another gets it at once
        assert stored_ids(connection, name) == {f"d{number}" for number in range(DOCUMENTS)}
        assert indices.count(connection, name) == report.passages
        indices.delete_index(connection, name)


@pytest.mark.parametrize("strike", ["kill", "pause"])
def test_searches_answer_while_a_node_is_gone(three: Cluster, strike: str):
    """None ever finds less; once the cluster has noticed, all find everything but the few that try the lost node.

    A killed node refuses connections, and another gets the search. A paused one takes the search and never answers:
    that one times out, and the next ones go elsewhere.
    """
    name = f"test-search-{strike}"
    with connection_to(three, timeout=5) as connection, connection_to(survivors(three), timeout=5) as observer:
        index_documents(documents(300), name, connection, GeneratedEncoder(), settings(), options=OPTIONS)
        indices.refresh(connection, name)
        connection.send(Request.json("GET", f"/_cluster/health/{name}", timeout=70, wait_for_status="green"))
        getattr(victim(three), strike)()
        try:
            before = [total(connection, name) for _ in until_noticed(observer)]
            after = [total(connection, name) for _ in range(SEARCHES)]
        finally:
            bring_back(three, strike)
            wait_for_nodes(three, 3)
        indices.delete_index(connection, name)
    assert {*before, *after} <= {300, None}
    assert after.count(300) >= SEARCHES - {"kill": 0, "pause": 2}[strike]


def victim(running: Cluster):
    """The container that is struck."""
    return running.containers[2].get_wrapped_container()


def survivors(running: Cluster) -> Cluster:
    """The others."""
    return Cluster(running.containers[:2], running.urls[:2])


def bring_back(running: Cluster, strike: str) -> None:
    """Starts or wakes the node again, at the address that it had."""
    struck = victim(running)
    struck.start() if strike == "kill" else struck.unpause()


def until_noticed(connection: Connection) -> Iterator[None]:
    """Steps until the cluster counts two nodes and has a primary for every shard."""
    health = {"wait_for_nodes": "2", "wait_for_status": "yellow", "timeout": "1s"}
    end = time.monotonic() + NOTICED_SECONDS
    while not healthy(connection, health):
        assert time.monotonic() < end, "the cluster has not noticed that a node is gone"
        yield


def healthy(connection: Connection, expected: Mapping[str, str]) -> bool:
    """Whether the cluster is, or gets there within the time that ``expected`` gives it."""
    try:
        connection.send(Request("GET", "/_cluster/health", expected, timeout=10))
    except EngineError:
        return False
    return True


def total(connection: Connection, name: str) -> int | None:
    """Documents found by a search that refuses partial answers; None where it failed with an error of ours."""
    body = {"query": PASSAGES, "size": 0, "track_total_hits": True}
    request = Request.json("POST", f"/{name}/_search", body, timeout=5, allow_partial_search_results="false")
    try:
        return int(connection.send(request)["hits"]["total"]["value"])
    except EngineError:
        return None


def stored_ids(connection: Connection, name: str) -> set[str]:
    """The ids of all documents."""
    body = {"query": PASSAGES, "size": 10_000, "_source": {"includes": ["doc_id"]}}
    found = connection.send(Request.json("POST", f"/{name}/_search", body))["hits"]["hits"]
    return {hit["_source"]["doc_id"] for hit in found}
