"""One node in a container: what the package does from mapping to search works against the image as it is."""

from __future__ import annotations

import pytest
from clusters import connection_to
from generated import SCHEMA, filled, hits, passages

from hybrid_search.engine import indices
from hybrid_search.search import legs


@pytest.fixture
def connection(single):
    with connection_to(single) as opened:
        yield opened


def test_an_index_is_made_filled_searched_and_deleted(connection):
    """Every leg finds the passage whose own text, vector and terms are the query."""
    batch = passages(100)
    name = filled(connection, "test-container", batch)
    try:
        assert indices.open_index(connection, name).schema == SCHEMA
        wanted = batch[42]
        for body in (
            legs.bm25(wanted.passage.text),
            legs.dense(wanted.dense, connection.dialect, size=10, candidates=100),
            legs.sparse(wanted.sparse),
            connection.dialect.exact_dense_search(wanted.dense, filter=None),
        ):
            assert "doc-42#0" in {passage for passage, _ in hits(connection, name, body)}
    finally:
        indices.delete_index(connection, name)
    assert not indices.exists(connection, name)
