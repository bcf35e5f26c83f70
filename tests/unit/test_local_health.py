"""When a server counts as ready, from answers as OpenSearch 3.6.0 gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hybrid_search.engine.local import health
from hybrid_search.engine.local.health import is_ready, unopened
from hybrid_search.engine.local.plan import plan_members

RED = {"status": "red", "timed_out": False, "number_of_nodes": 1, "initializing_shards": 0}
SENTENCE = "failed shard on node [n]: failed to update mapping for index, failure IllegalArgumentException[[v]: no]"
STARTED = {"primary": True, "state": "STARTED"}
REPLICA = {"primary": False, "state": "UNASSIGNED", "unassigned_info": {"reason": "CLUSTER_RECOVERED"}}


def given_up(attempts: int) -> dict[str, Any]:
    told = {"reason": "ALLOCATION_FAILED", "failed_attempts": attempts, "details": SENTENCE}
    return {"primary": True, "state": "UNASSIGNED", "unassigned_info": told}


@pytest.fixture
def answers(monkeypatch):
    """What the server says: of its health, and of where its shards are."""

    def answer(told: dict[str, Any] | None, shards: dict[str, list[dict[str, Any]]]) -> None:
        def ask(_port: int, path: str) -> Any:
            if "wait_for_status" in path:
                return None  # 408, when the second is over
            if "health" in path:
                return told
            return {"routing_table": {"indices": {name: {"shards": {"0": found}} for name, found in shards.items()}}}

        monkeypatch.setattr(health, "ask", ask)

    return answer


def ready() -> bool:
    return is_ready(plan_members("a", Path("a"), Path("d"), [(9200, 9300)])[0], 1)


@pytest.mark.parametrize(
    ("shards", "is_so"),
    [
        ({"good": [STARTED, REPLICA], "bad": [given_up(5)]}, True),
        ({"good": [STARTED, REPLICA], "bad": [given_up(4)]}, False),
        ({"good": [given_up(0)], "bad": [given_up(5)]}, False),
        ({}, False),
    ],
    ids=["given up", "still trying", "another still trying", "nothing read yet"],
)
def test_an_index_that_cannot_be_opened_keeps_nobody_from_the_others(answers, shards, is_so):
    """After five attempts the server tries no more: waiting would end a node whose other indices are well."""
    answers(RED, shards)
    assert ready() is is_so


@pytest.mark.parametrize(
    "told", [None, RED | {"number_of_nodes": 2}, RED | {"initializing_shards": 1}], ids=["none", "nodes", "shards"]
)
def test_a_server_that_is_not_yet_what_was_asked_for_is_waited_for(answers, told):
    """No answer, another number of servers, or shards that are being opened."""
    answers(told, {"bad": [given_up(5)]})
    assert not ready()


def test_the_reason_of_each_index_that_is_not_there(answers):
    """The server's own words; None while it is still at it."""
    answers(RED, {"good": [STARTED, REPLICA], "bad": [given_up(5)], "slow": [given_up(1)]})
    assert unopened(9200) == {"bad": SENTENCE, "slow": None}
