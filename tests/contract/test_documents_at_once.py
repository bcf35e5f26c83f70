"""Documents that several put, read and delete at the same time, on every engine."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from kept_documents import BRIEF, LONG, OTHER, SETTINGS
from loading import GeneratedEncoder

from hybrid_search import DocumentClient
from hybrid_search.engine import indices
from hybrid_search.engine.bulk import bulk_request, delete_action
from hybrid_search.engine.connection import Connection
from hybrid_search.filters import Eq
from hybrid_search.ingest.state.cluster import read_state


@pytest.fixture
def name(index_name) -> str:
    """An index that is not there yet."""
    return index_name()


@pytest.fixture
def client(connection: Connection, name: str) -> DocumentClient:
    """Its documents; passages have at most 8 words."""
    return DocumentClient(name, settings=SETTINGS, encoder=GeneratedEncoder(), connection=connection)


def test_a_few_documents_leave_the_settings_of_the_index_alone(connection, client, name):
    """To change and restore them takes longer than writing the documents; a load that has ended leaves nothing."""
    client.put([BRIEF])
    before = indices.read_settings(connection, name)
    sent = Recorded(connection.transport)
    recorded = Connection(sent, connection.dialect)
    DocumentClient(name, settings=SETTINGS, encoder=GeneratedEncoder(), connection=recorded).put([OTHER])
    assert not [path for path in sent.paths if path.endswith("_settings") and path.startswith("PUT")]
    assert indices.read_settings(connection, name) == before
    state = read_state(connection, name)
    assert (state.loads, state.before) == ({}, None)


class Recorded:
    """A transport that keeps what it was asked."""

    def __init__(self, transport):
        self._transport, self.where, self.paths = transport, transport.where, []

    def send(self, request):
        self.paths.append(f"{request.method} {request.path}")
        return self._transport.send(request)


class Between(Recorded):
    """A transport that lets something happen once, before the first bulk request that it carries."""

    def __init__(self, transport, happens):
        super().__init__(transport)
        self._happens = happens

    def send(self, request):
        if request.path == "/_bulk" and self._happens is not None:
            happens, self._happens = self._happens, None
            happens()
        return super().send(request)


def between(connection, name, happens):
    """A client during whose first writing something happens."""
    transport = Between(connection.transport, happens)
    carried = Connection(transport, connection.dialect)
    return DocumentClient(name, settings=SETTINGS, encoder=GeneratedEncoder(), connection=carried)


def test_of_two_that_put_one_document_the_later_stays_whole(connection, client, name):
    """The later load has one passage and ends first: the passages 1 and 2 of the earlier do not stay beside it."""
    later = replace(LONG, text="later")
    between(connection, name, lambda: client.put([later])).put([LONG])
    assert client.get(["long"]) == [later]
    assert indices.count(connection, name) == 1


def test_a_document_of_which_a_passage_is_deleted_meanwhile_is_put_again(connection, client, name):
    """Somebody deletes its last passage after it was compared with the index: it is looked at again, and whole."""
    client.put([LONG])
    last = f"long#{indices.count(connection, name) - 1}"

    def vanish():
        connection.send(bulk_request(delete_action(name, last)))

    between(connection, name, vanish).put([LONG, BRIEF])
    assert client.get(["long"]) == [LONG]


def test_what_is_read_while_it_is_written_is_one_version_or_the_other(client):
    """A document of three passages becomes one of one and back, and no reader sees a part of it, or none."""
    versions = [LONG, replace(LONG, text="short")]
    client.put([LONG])
    ended = threading.Event()

    def write():
        for number in range(6):
            client.put([versions[number % 2]])
        ended.set()

    seen = []
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not ended.is_set():
            seen += client.get(["long"])
        writing.result()
    assert {found.text for found in seen} <= {version.text for version in versions}
    assert seen


def test_threads_share_a_client(client):
    """Ten threads put ten documents each, all of them one more, and delete half of their own: 50 and one are left."""

    def work(thread: int) -> int:
        own = [replace(BRIEF, id=f"t{thread}-{n}", text=f"text {n} of {thread}") for n in range(10)]
        client.put([*own, replace(OTHER, text=f"of {thread}")])
        return client.delete([one.id for one in own[:5]])

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(work, range(10))) == [5] * 10
    assert client.count() == 51
    assert client.count(Eq("size", 3)) == 1


def test_clients_that_delete_the_same_count_each_document_once(connection, client, name):
    """Twenty documents, four clients: whoever deletes one has counted it, and nobody else."""
    client.put([replace(LONG, id=f"d{number}") for number in range(20)])
    ids = [f"d{number}" for number in range(20)]
    clients = [DocumentClient(name, settings=SETTINGS, connection=connection) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda one: one.delete(ids), clients)) == 20
    assert client.count() == 0
