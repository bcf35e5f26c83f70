"""Questions and removals in bulk, on every engine: many pages, several versions, and loads that write meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loading import GeneratedEncoder, documents

from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.maintain.remove import delete_documents, delete_where
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.ingest.state.indexed import document_ids, indexed_documents
from hybrid_search.settings import ChunkingSettings, DocumentSettings, Settings

SETTINGS = Settings(documents=DocumentSettings(text=("text",), number=("place",)), chunking=ChunkingSettings(overlap=2))


@pytest.fixture
def index(connection, index_name):
    """An index of 20 documents of several passages each, of the source "documents"."""
    name = index_name()
    load(documents(20, words=20), name, connection)
    return name


def load(found, index, connection):
    index_documents(found, index, connection, GeneratedEncoder(), SETTINGS, source="documents")


class Meanwhile:
    """A transport that lets something happen once, before the first bulk request that it carries."""

    def __init__(self, transport, happens):
        self._transport, self._happens = transport, happens
        self.where = transport.where

    def send(self, request):
        if request.path == "/_bulk" and self._happens is not None:
            happens, self._happens = self._happens, None
            happens()
        return self._transport.send(request)


@pytest.mark.parametrize(("place", "removed"), [(99, 0), (3, 1)])
def test_what_a_load_writes_during_a_removal_goes_only_if_it_still_matches(connection, index_name, place, removed):
    """d3 is found by its place 3 and loaded again with another place, or with another text and the same place."""
    name = index_name()
    load(documents(5), name, connection)
    (third,) = documents(1, first=3)
    newer = replace(third, fields={"place": place}, text="another text")
    transport = Meanwhile(connection.transport, lambda: load([newer], name, connection))
    deleted = delete_where(Connection(transport, connection.dialect), name, {"term": {"filter.place": 3}})
    assert deleted == removed
    assert ("d3" in set(document_ids(connection, name))) is (removed == 0)


def test_removals_of_many_pages_leave_the_others(connection, index, monkeypatch):
    """Pages of 7 passages, batches of 3 documents: d0 to d14 go with all passages, d15 to d19 stay whole."""
    monkeypatch.setattr("hybrid_search.ingest.maintain.remove.PAGE", 7)
    monkeypatch.setattr("hybrid_search.ingest.maintain.remove.BATCH", 3)
    before = indices.count(connection, index)
    deleted = delete_documents(connection, index, [f"d{number}" for number in range(15)], source="documents")
    assert deleted == before - indices.count(connection, index)
    assert set(document_ids(connection, index)) == {f"d{number}" for number in range(15, 20)}
    assert delete_where(connection, index, {"match_all": {}}) == before - deleted
    assert read_state(connection, index).removals == 2


def test_nothing_to_remove_is_no_removal(connection, index):
    """No document has the id, so the word of journals stays good."""
    assert delete_documents(connection, index, ["absent"]) == 0
    assert read_state(connection, index).removals == 0


def test_a_document_of_two_versions_is_known_as_such(connection, index):
    """Passage 1 of d3 is of another content, source and load: one document, its passages counted together."""
    whole = indexed_documents(connection, index, ["d3"])["d3"]
    change = {"content_hash": "other", "source": "t", "load": 9}  # lower than the number of any load
    connection.send(Request.json("POST", f"/{index}/_update/d3%231", {"doc": change}))
    indices.refresh(connection, index)
    mixed = replace(whole, digests=whole.digests | {"other"}, sources=whole.sources | {"t"})
    for ids in (
        ["d3"],
        ["d3", "absent", *(f"d{number}" for number in range(4, 20))],
    ):  # two buckets: a full page, or not
        found = indexed_documents(connection, index, ids)
        assert (found["d3"], found.keys()) == (mixed, set(ids) - {"absent"})
    (digest,) = whole.digests
    assert (whole.is_whole(digest), mixed.is_whole(digest)) == (True, False)
