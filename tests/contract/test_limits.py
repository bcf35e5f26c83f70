"""The engines' own limits, which the package's defaults must stay inside, and how passing them is told."""

from __future__ import annotations

import numpy as np
import pytest
from generated import DIMENSION, SCHEMA, filled, hits, passages, unit

from hybrid_search.engine import indices, layout
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import RequestRefusedError, UnsupportedError
from hybrid_search.search import legs

TOO_MANY = {"opensearch": 1_100, "elasticsearch": 100_000}
"""More clauses than the engine's limit: OpenSearch's 1,024, Elasticsearch's by heap and threads."""


def test_the_result_window_is_10_000(connection, index_name):
    """The constant is the engine's limit: at it an answer, one above it a refusal that names the setting."""
    name = filled(connection, index_name(), passages(3))
    search = {"query": {"match_all": {}}, "_source": False}
    at_limit = Request.json("POST", f"/{name}/_search", search | {"size": layout.RESULT_WINDOW})
    assert len(connection.send(at_limit)["hits"]["hits"]) == 3
    for beyond in ({"size": layout.RESULT_WINDOW + 1}, {"from": layout.RESULT_WINDOW - 5, "size": 6}):
        with pytest.raises(RequestRefusedError, match="Result window is too large"):
            connection.send(Request.json("POST", f"/{name}/_search", search | beyond))


def test_the_dense_leg_reaches_the_window(connection, index_name):
    """k and the width of the graph search may both be 10,000."""
    name = filled(connection, index_name(), passages(3))
    query = unit(np.random.default_rng(0))
    body = legs.dense(query, connection.dialect, size=layout.RESULT_WINDOW, candidates=layout.RESULT_WINDOW)
    assert len(hits(connection, name, body, size=layout.RESULT_WINDOW)) == 3


def test_the_clauses_of_the_longest_query_are_allowed(connection, index_name):
    """MAX_CLAUSES terms and a filter pass; what is far above the limit is refused with a reason."""
    name = filled(connection, index_name(), passages(3))
    weights = {str(term): 1.0 for term in range(TOO_MANY[connection.dialect.engine])}
    kept = legs.heaviest(weights)
    assert len(kept) == legs.MAX_CLAUSES
    for body in (
        legs.sparse(kept, filter={"exists": {"field": "fields.price"}}),
        legs.bm25(" ".join(f"w{number}" for number in range(legs.MAX_CLAUSES)), filter={"match_all": {}}),
    ):
        connection.send(Request.json("POST", f"/{name}/_search", body))
    with pytest.raises(RequestRefusedError, match=r"(?i)too.?many|maxClauseCount"):
        connection.send(Request.json("POST", f"/{name}/_search", legs.sparse(weights)))


def test_a_query_vector_of_another_dimension_is_refused(connection, index_name):
    """Not answered with nothing."""
    name = filled(connection, index_name(), passages(3))
    wrong = unit(np.random.default_rng(0), DIMENSION * 2)
    body = connection.dialect.dense_search(wrong, size=3, candidates=10, filter=None)
    with pytest.raises(RequestRefusedError, match="dimension"):
        connection.send(Request.json("POST", f"/{name}/_search", body))


def test_a_query_that_the_server_does_not_know_is_unsupported(connection, index_name):
    """The reason is the server's, the error the package's."""
    name = filled(connection, index_name(), passages(1))
    with pytest.raises(UnsupportedError, match="no_such_query"):
        connection.send(Request.json("POST", f"/{name}/_search", {"query": {"no_such_query": {}}}))


@pytest.mark.parametrize("name", ["UPPER", "with space", "-dash", "_under", "a" * 256, "sl/ash", "hash#"])
def test_names_that_no_index_may_have_are_refused(connection, name):
    """The path is quoted, so that the engine sees the name and not another path."""
    with pytest.raises(RequestRefusedError, match=r"(?i)invalid"):
        indices.create_index(connection, name, SCHEMA)


def test_a_name_that_may_stand_for_several_is_refused_before_the_engine_sees_it(connection):
    """A comma separates names in the engines' paths."""
    with pytest.raises(RequestRefusedError, match="may stand for several indices"):
        indices.create_index(connection, "comma,", SCHEMA)
