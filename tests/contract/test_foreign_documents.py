"""What another program wrote into the index ends no search: it is left out, and the query is told."""

from __future__ import annotations

import pytest
from generated import SCHEMA, filled, passages

from hybrid_search.engine.protocols import Request
from hybrid_search.search import SearchClient
from hybrid_search.settings import Settings

FOREIGN = {
    "nothing else": {"text": "orange orange orange"},
    "no end": {"text": "orange orange orange", "doc_id": "x", "passage": 0, "start": 0},
    "start as text": {"text": "orange orange", "doc_id": "y", "passage": 0, "start": "0", "end": 6},
    "start as list": {"text": "orange orange", "doc_id": "v", "passage": 0, "start": [0, 1], "end": 6},
    "text as number": {"text": ["orange", "orange"], "doc_id": "z", "passage": 0, "start": 0, "end": 6},
}


@pytest.fixture
def index(connection, index_name):
    """Twenty passages and some foreign documents, of which the best match is one."""
    name = filled(connection, index_name(), passages(20))
    for number, source in enumerate(FOREIGN.values()):
        connection.send(Request.json("PUT", f"/{name}/_doc/foreign-{number}%230", source, refresh="true"))
    ours = {"text": "an orange", "doc_id": "ours", "passage": 0, "start": 0, "end": 9, "fields": {}}
    connection.send(Request.json("PUT", f"/{name}/_doc/ours%230", ours, refresh="true"))
    return name


class Unasked:
    """The models of the index; BM25 asks for no vectors."""

    dense, sparse, max_tokens, tokenizer = SCHEMA.dense, SCHEMA.sparse, 100, None


def test_a_foreign_document_ends_no_search(connection, index):
    """All that match but one are foreign: that one is found, and the others are counted."""
    with SearchClient(index, connection=connection, encoder=Unasked(), settings=Settings()) as client:
        result = client.search("orange", legs=["bm25"])
    assert [hit.id for hit in result] == ["ours"]
    assert any("passages found but not fetched: 5" in warning for warning in map(str, result.warnings)), result.warnings
