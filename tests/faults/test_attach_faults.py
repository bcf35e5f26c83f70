"""Attaching and detaching that are killed at random points: what the owner wrote is as it was, and the work is done."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from attacher import Attacher
from loading import GeneratedEncoder
from proxy import Gate, Proxy, pass_on, proxy
from tally import RUNS

from hybrid_search.engine import Connection
from hybrid_search.engine.bulk import bulk_request
from hybrid_search.engine.indices import count, opened, opening, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest.attach import attach, detach, plan_attachment
from hybrid_search.ingest.attach.owned import OwnersIndex
from hybrid_search.ingest.attach.scan import Wanted, documents
from hybrid_search.settings import Settings

pytestmark = pytest.mark.faults

COUNT = 40
SEED = 20_250_101
META = {"owner": {"since": 2019}}
HAS_OURS = {"exists": {"field": "hybrid_search.models"}}


@pytest.fixture
def owned(connection: Connection, new_names: Callable[[Connection], str]) -> tuple[str, dict[str, Any]]:
    """An index of somebody else, and all that it holds: documents with routing, long numbers and unmapped objects."""
    name = new_names(connection)
    knn = {"index.knn": True} if connection.dialect.engine == "opensearch" else {}
    mappings = {
        "_meta": META,
        "properties": {
            "body": {"type": "text"},
            "price": {"type": "double"},
            "kept": {"type": "object", "enabled": False},
        },
    }
    more = {"translog.durability": "async", **knn}  # a test that waits for disks takes minutes
    settings = {"number_of_shards": 2, "number_of_replicas": 0, **more}
    connection.send(Request.json("PUT", f"/{name}", {"settings": settings, "mappings": mappings}))
    held = {f"d{number}": source_of(number) for number in range(COUNT)}
    write(connection, name, held)
    return name, held


def source_of(number: int) -> dict[str, Any]:
    body = " ".join(f"w{number}x{place}" for place in range(number % 12))
    return {"body": body, "price": number + 0.1, "kept": {"long": 2**62 + number, "list": [None, {"a": [number]}]}}


def write(connection: Connection, name: str, documents: dict[str, Any]) -> None:
    """Write documents, every third with a routing of its own."""
    lines = b""
    for id_, source in documents.items():
        target = {"_index": name, "_id": id_, **({"routing": "elsewhere"} if int(id_[1:]) % 3 == 0 else {})}
        lines += orjson.dumps({"index": target}) + b"\n" + orjson.dumps(source) + b"\n"
    assert not connection.send(bulk_request(lines))["errors"]


def owners_documents(connection: Connection, name: str) -> dict[str, Any]:
    """Every document without our part."""
    refresh(connection, name)
    answer = connection.send(Request.json("POST", f"/{name}/_search", {"size": 1000}))
    found = {hit["_id"]: dict(hit["_source"]) for hit in answer["hits"]["hits"]}
    for source in found.values():
        source.pop("hybrid_search", None)
    return found


def kill_while_held(what: str, name: str, between: Proxy, passing: int, *, applied: bool) -> bool:
    """Kill the process while a request of it is held, before or after the engine has applied it."""
    between.fault = gate = Gate(passing, applied=applied)
    process = Attacher(what, between.url, name)
    held = gate.holds(process)
    process.kill()
    gate.drop()
    between.fault = pass_on
    return held


def test_kill_9_loses_nothing_of_the_owner(connection: Connection, owned: tuple[str, dict[str, Any]]) -> None:
    """Killed at random points, the same command again does the rest; the owner goes on writing meanwhile.

    Every request is a point, also those that change the mapping; what is held has been applied or not.
    """
    name, held = owned
    draw, killed = random.Random(SEED), {"attach": 0, "detach": 0}
    with proxy(connection.where, pass_on, meets="") as between:
        while min(killed.values()) < RUNS:
            for what in killed:
                where = draw.randint(3, 24), draw.random() < 0.5
                killed[what] += kill_while_held(what, name, between, where[0], applied=where[1])
                held |= changed(connection, name, draw)
                assert owners_documents(connection, name) == held
                finish_attaching(connection, name) if what == "attach" else finish_detaching(connection, name)
                assert owners_documents(connection, name) == held


def changed(connection: Connection, name: str, draw: random.Random) -> dict[str, Any]:
    """The owner writes some documents anew."""
    numbers = draw.sample(range(COUNT), 3)
    made = {f"d{number}": {**source_of(number), "body": f"new{draw.random()} w{number}"} for number in numbers}
    write(connection, name, made)
    return made


def finish_attaching(connection: Connection, name: str) -> None:
    """Run it again: then every document has vectors of the text that it has now."""
    encoder = GeneratedEncoder(max_tokens=4)
    attach(connection, plan_attachment(connection, name, encoder, Settings()), encoder, Settings())
    place = place_of(connection, name, encoder)
    hits = documents(connection, name, place.shards, Wanted(place.query, place.source))
    assert place.tasks(list(hits)) == [None] * COUNT


def place_of(connection: Connection, name: str, encoder: GeneratedEncoder) -> OwnersIndex:
    schema = opened(name, connection.send(opening(name)), connection.where).schema
    return OwnersIndex(name, 2, schema, connection.dialect, encoder, Settings().chunking)


def finish_detaching(connection: Connection, name: str) -> None:
    """Run it again, unless the killed one was done; nothing of ours is left."""
    if "hybrid_search" in meta_of(connection, name):
        detach(connection, name)
    refresh(connection, name)
    assert count(connection, name, HAS_OURS) == 0
    assert meta_of(connection, name) == META


def meta_of(connection: Connection, name: str) -> dict[str, Any]:
    return connection.send(Request.json("GET", f"/{name}/_mapping"))[name]["mappings"]["_meta"]
