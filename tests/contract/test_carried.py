"""What hits of the legs bring along, on real engines."""

from __future__ import annotations

import pytest
from loading import GeneratedEncoder

from hybrid_search.ingest.pipeline import index_documents
from hybrid_search.records import Document
from hybrid_search.search import SearchClient
from hybrid_search.settings import ChunkingSettings, DocumentSettings, Settings

FIELDS = DocumentSettings(keyword=("a.kind",), number=("price",), date=("day",))
LONG = "lamp shade " * 40
"""More than one passage of 32 tokens: the values are the document's, whichever passage is found."""
DOCUMENTS = [
    Document("a", "lamp", {"a": {"kind": ["tall", "blue"]}, "price": 7, "day": "1970-01-02"}),
    Document("b", LONG, {"a.kind": "small", "price": [2.5, -1], "day": 5}),
    Document("c", "lamp", {}),
]
DAY = 24 * 60 * 60 * 1000


@pytest.mark.parametrize("collapse", [True, False], ids=["documents", "passages"])
def test_hits_bring_values_along(connection, index_name, monkeypatch, collapse) -> None:
    """Strings, numbers and epoch milliseconds, ascending, of each field of the plan; () where there is none."""
    monkeypatch.setattr("hybrid_search.search.plan.carried_fields", lambda *_: ("a.kind", "price", "day"))
    settings, name = Settings(documents=FIELDS, chunking=ChunkingSettings(32, 0)), index_name()
    index_documents(DOCUMENTS, name, connection, GeneratedEncoder(), settings)
    with SearchClient(name, connection=connection, encoder=GeneratedEncoder(), settings=settings) as client:
        [found] = client.retrieve(["lamp"], collapse=collapse)
    values = {id_.partition("#")[0]: values for id_, values in found.values.items()}
    assert values == {
        "a": {"a.kind": ("blue", "tall"), "price": (7,), "day": (DAY,)},
        "b": {"a.kind": ("small",), "price": (-1, 2.5), "day": (5,)},
        "c": {"a.kind": (), "price": (), "day": ()},
    }
    assert found.values.keys() == {id_ for run in found.runs.values() for id_ in run}


def test_nothing_is_brought_along_unasked(connection, index_name) -> None:
    """A search that needs no values carries none."""
    settings, name = Settings(documents=FIELDS), index_name()
    index_documents(DOCUMENTS, name, connection, GeneratedEncoder(), settings)
    with SearchClient(name, connection=connection, encoder=GeneratedEncoder(), settings=settings) as client:
        [found] = client.retrieve(["lamp"])
    assert found.values == {}
