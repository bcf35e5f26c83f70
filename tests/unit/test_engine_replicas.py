"""How many copies an index gets, and when that is too few."""

from __future__ import annotations

import os

import orjson
import psutil
import pytest
from loading import FunctionTransport

from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection, is_local
from hybrid_search.engine.local import LocalNode, Member, runs_at
from hybrid_search.engine.local.state import path_argument, write_node
from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.engine.protocols import Answer
from hybrid_search.records import IndexSchema

SCHEMA = IndexSchema(None, None)


@pytest.fixture
def local_node(tmp_path, monkeypatch):
    """The record of a node whose server is this very process."""
    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(tmp_path))
    me = psutil.Process()
    member = Member(
        name="a",
        pid=os.getpid(),
        created=me.create_time(),
        port=9277,
        transport_port=9377,
        folder=str(tmp_path),
        data="",
    )
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: [path_argument(member.config)])
    write_node(LocalNode(name="other", version="3.6.0", home="", heap="1g", data_folder="", members=(member,)))
    return member


class At(FunctionTransport):
    """At an address; answers everything by what a test says."""

    def __init__(self, where, answers=()):
        super().__init__(lambda request: Answer(200, dict(answers).get(request.path, {})))
        self.where = where


def connected(where, answers=()):
    return Connection(At(where, answers), OpenSearchDialect((3, 6, 0)))


@pytest.mark.usefixtures("local_node")
def test_a_local_node_is_known_by_its_addresses():
    """Any named node, by any name of this machine, and among several addresses; another port is somebody else's."""
    assert runs_at(["http://127.0.0.1:9277"])
    assert is_local(connected("http://localhost:9277"))
    assert is_local(connected("https://search.example.com:9200,http://[::1]:9277"))
    assert not is_local(connected("http://127.0.0.1:9278"))
    assert not is_local(connected("https://127.0.0.1:9277"))


def replicas(connection, schema):
    """The number that an index is created with, None for the engine's default."""
    indices.create_index(connection, "books", schema)
    body = orjson.loads(connection.transport.requests[-1].body)
    return body["settings"].get("index.number_of_replicas")


def test_an_index_gets_the_engine_s_number_of_replicas_but_on_a_local_node(local_node):
    """What is named holds everywhere."""
    here, there = connected(local_node.url), connected("http://elsewhere:9200")
    assert (replicas(here, SCHEMA), replicas(there, SCHEMA)) == (0, None)
    named = IndexSchema(None, None, replicas=2)
    assert (replicas(here, named), replicas(there, named)) == (2, 2)


@pytest.mark.parametrize(
    ("nodes", "settings", "warned"),
    [
        (3, {"index.number_of_replicas": "0"}, True),
        (3, {"index.number_of_replicas": "0", "index.auto_expand_replicas": "false"}, True),
        (3, {"index.number_of_replicas": "0", "index.auto_expand_replicas": "0-1"}, False),
        (3, {"index.number_of_replicas": "1"}, False),
        (1, {"index.number_of_replicas": "0"}, False),
    ],
)
def test_several_nodes_and_no_replica_are_warned_of(nodes, settings, warned):
    """By the numbers of both."""
    answers = {
        "/_cluster/health": {"number_of_data_nodes": nodes},
        "/books/_settings": {"books": {"settings": settings}},
    }
    warning = indices.replica_warning(connected("http://elsewhere:9200", answers), "books")
    assert (warning is not None) == warned
    assert warning is None or "books has no replica on a cluster of 3 data nodes" in warning
