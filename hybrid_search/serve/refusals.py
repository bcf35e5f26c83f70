"""Errors as answers: an HTTP status, and what went wrong, where, and what to do next, as JSON."""

from __future__ import annotations

from typing import Any

from hybrid_search import errors
from hybrid_search.errors import HybridSearchError, RefusedError

STATUSES: tuple[tuple[type[HybridSearchError], int], ...] = (
    (errors.InputError, 400),
    (errors.IndexMissingError, 404),
    (errors.IndexMismatchError, 409),
    (errors.AliasMovedError, 409),
    (errors.UnsupportedError, 501),
    (errors.EngineTimeoutError, 504),
    (errors.ModelTimeoutError, 504),
    (errors.OverloadedError, 503),
    (errors.EngineUnreachableError, 503),
    (errors.BusyError, 503),
    (errors.ModelBusyError, 503),
    (errors.ModelUnavailableError, 503),
    (errors.EngineError, 502),
)
"""The first that fits; what is not here is 500."""


def status_of(error: HybridSearchError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, RefusedError):
        return error.status
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def error_json(error: HybridSearchError) -> dict[str, Any]:
    """An error as the API answers it; ``message`` is the whole line, without the logins of addresses."""
    return {
        "error": {
            "type": type(error).__name__,
            "message": str(error),
            "what": error.what,
            "where": error.where,
            "remedy": error.remedy,
        }
    }
