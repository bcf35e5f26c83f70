"""No exception of a vendor's client leaves the engine package: every class they have is translated."""

from __future__ import annotations

import inspect

import elastic_transport
import elasticsearch.exceptions
import opensearchpy.exceptions
import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig

from hybrid_search.engine import elasticsearch_transport, opensearch_transport
from hybrid_search.errors import (
    AuthenticationError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    IndexMissingError,
    UnsupportedError,
)

WHERE = "http://search:9200"


def exceptions_of(*modules):
    """Every exception class that the modules define or export, warnings left out."""
    found = {member for module in modules for _, member in inspect.getmembers(module, inspect.isclass)}
    return sorted(
        (kind for kind in found if issubclass(kind, Exception) and not issubclass(kind, Warning)),
        key=lambda kind: kind.__name__,
    )


OPENSEARCH = exceptions_of(opensearchpy.exceptions)
ELASTICSEARCH = exceptions_of(elasticsearch.exceptions, elastic_transport)


def meta(status):
    node = NodeConfig("http", "search", 9200)
    return ApiResponseMeta(status, "1.1", HttpHeaders(), 0.0, node)


def elastic_error(kind, status=500, body=None):
    """An instance of any exception of elasticsearch-py."""
    if issubclass(kind, elastic_transport.ApiError):
        return kind("message", meta(status), body)
    return kind("message")


def test_the_vendors_have_the_exceptions_that_this_file_walks():
    """An empty walk would prove nothing."""
    assert {"ConnectionTimeout", "SSLError", "NotFoundError", "ImproperlyConfigured"} <= {
        k.__name__ for k in OPENSEARCH
    }
    assert {"ConnectionTimeout", "TlsError", "ApiError", "UnsupportedProductError"} <= {
        k.__name__ for k in ELASTICSEARCH
    }


@pytest.mark.parametrize("kind", OPENSEARCH)
def test_every_exception_of_opensearch_py_is_caught_and_translated(kind):
    """Caught: below one of the roots that the transport catches. Translated: an EngineError with the place."""
    assert issubclass(kind, opensearch_transport.VENDOR_ERRORS)
    error = opensearch_transport.translated(kind("N/A", "message", None), WHERE)
    assert isinstance(error, EngineError)
    assert error.where == WHERE


@pytest.mark.parametrize("kind", ELASTICSEARCH)
def test_every_exception_of_elasticsearch_py_is_caught_and_translated(kind):
    """The same for the other client."""
    assert issubclass(kind, elasticsearch_transport.VENDOR_ERRORS)
    error = elasticsearch_transport.translated(elastic_error(kind), WHERE)
    assert isinstance(error, EngineError)
    assert error.where == WHERE


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (opensearchpy.exceptions.ConnectionTimeout("TIMEOUT", "slow", None), EngineTimeoutError),
        (opensearchpy.exceptions.ConnectionError("N/A", "refused", None), EngineUnreachableError),
        (opensearchpy.exceptions.SSLError("N/A", "self-signed", None), EngineUnreachableError),
        (opensearchpy.exceptions.AuthorizationException(403, "security_exception", {}), AuthenticationError),
        (
            opensearchpy.exceptions.NotFoundError(404, "x", {"error": {"type": "index_not_found_exception"}}),
            IndexMissingError,
        ),
    ],
)
def test_opensearch_py_means_what_it_says(error, expected):
    """The tree's own classes, not just some EngineError."""
    assert type(opensearch_transport.translated(error, WHERE)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (elastic_transport.ConnectionTimeout("slow"), EngineTimeoutError),
        (elastic_transport.ConnectionError("refused"), EngineUnreachableError),
        (elastic_transport.TlsError("self-signed"), EngineUnreachableError),
        (elastic_error(elasticsearch.exceptions.AuthenticationException, 401), AuthenticationError),
        (elastic_error(elasticsearch.exceptions.UnsupportedProductError, 200), UnsupportedError),
    ],
)
def test_elasticsearch_py_means_what_it_says(error, expected):
    """The same for the other client."""
    assert type(elasticsearch_transport.translated(error, WHERE)) is expected


def test_a_timeout_that_is_never_twice_the_same_keeps_few_clients() -> None:
    """What is left of ten seconds has as many values as there are searches, and ninety after rounding, none longer."""
    rounded = elasticsearch_transport.rounded
    left = [10 * 0.9997**n for n in range(8000)]
    kept = {rounded(seconds) for seconds in left}
    assert len(kept) < 200
    assert all(seconds * 0.9 < rounded(seconds) <= seconds for seconds in left)
    assert [rounded(seconds) for seconds in (None, 0, 9.99, 0.0123, 60)] == [
        None,
        0,
        9.9,
        0.012,
        60,
    ]
