"""What an engine's answer means: from (status, error type, reason) to the error tree, the same for both engines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hybrid_search.errors import (
    AuthenticationError,
    ClientVersionError,
    EngineError,
    EngineTimeoutError,
    IndexMissingError,
    OverloadedError,
    ReadOnlyError,
    RequestRefusedError,
    UnsupportedError,
)

REASON_LIMIT = 500
"""Characters of an engine's reason that go into a message."""

_UNKNOWN = re.compile(
    r"unknown (query|setting|field) \[|unknown key .* for|script_lang not supported"
    r"|analyzer \[.*\] has not been configured"
    r"|No (processor|search pipeline) type|Invalid processor type"
)
_CANNOT_FUSE = re.compile(r"license is non-compliant|unknown retriever \[|Invalid processor type score-ranker")
_OPERATION_BYTES = re.compile(r"(?:coordinating|primary|replica)_operation_bytes=(\d+)")
_LIMIT_BYTES = re.compile(r"max_\w+_bytes=(\d+)")


_BY_STATUS: Mapping[int, tuple[type[EngineError], str | None]] = {
    401: (AuthenticationError, "Check user and password, API key or token"),
    403: (AuthenticationError, "Give this user the rights that the request needs"),
    408: (EngineTimeoutError, None),
    413: (RequestRefusedError, "Send smaller requests, or raise http.max_content_length"),
    429: (OverloadedError, "Send less at a time, or try again later"),
    502: (OverloadedError, "The proxy finds no node; try again"),
    503: (OverloadedError, "Try again, or look at the cluster's health"),
    504: (EngineTimeoutError, None),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """The cause of an error answer or of a refused bulk item; ``type`` is empty where the engine named none."""

    status: int
    type: str
    reason: str

    def __str__(self) -> str:
        kind = f" {self.type}" if self.type else ""
        return f"{self.status}{kind}: {self.reason[:REASON_LIMIT]}" if self.reason else f"{self.status}{kind}"


class Verdict(StrEnum):
    """What to do with a request, or a bulk item, by its answer.

    ``SUPERSEDED``: a newer load has written this passage; nothing is to be done.
    """

    DONE = "done"
    RETRY = "retry"
    SPLIT = "split"
    READ_ONLY = "read-only"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


def failure(status: int, body: Any) -> Failure:
    """The cause in an answer of ``status`` >= 400; ``body`` is decoded JSON, text or None."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return Failure(status, "", "" if error is None else str(error).strip())
    return error_cause(status, error)


def error_cause(status: int, error: Mapping[str, Any]) -> Failure:
    """The most telling level of an engine's ``error`` object: the first root cause, with what caused it."""
    roots = error.get("root_cause") or [error]
    inner = roots[0] if error.get("type") == "search_phase_execution_exception" or not error.get("reason") else error
    reason = str(inner.get("reason") or "")
    cause = inner.get("caused_by") or error.get("caused_by")
    if isinstance(cause, Mapping) and cause.get("reason") and str(cause["reason"]) not in reason:
        reason = f"{reason} ({cause['reason']})" if reason else str(cause["reason"])
    return Failure(status, str(inner.get("type") or ""), reason)


def verdict(cause: Failure) -> Verdict:
    """What a failed request or bulk item asks for.

    429 has four causes: a full thread pool and a tripped circuit breaker pass; indexing pressure passes unless the
    request alone is larger than the limit, when only smaller ones can succeed; a disk watermark's block does not pass.
    """
    if cause.status == 409 and cause.type == "version_conflict_engine_exception":
        return Verdict.SUPERSEDED
    if cause.type == "cluster_block_exception":
        return Verdict.READ_ONLY if _is_write_block(cause) else Verdict.RETRY
    if cause.status == 413 or (cause.status == 429 and _is_too_large(cause)):
        return Verdict.SPLIT
    return Verdict.RETRY if cause.status in {408, 429, 502, 503, 504} else Verdict.REFUSED


def error_for(cause: Failure, where: str) -> EngineError:
    """The error of the tree that a failed request raises."""
    kind, remedy = _kind(cause)
    return kind(str(cause), where=where, remedy=remedy)


def _kind(cause: Failure) -> tuple[type[EngineError], str | None]:
    if cause.type == "cluster_block_exception" and _is_write_block(cause):
        return ReadOnlyError, "Free disk space or lift the block (index.blocks.*), then run again"
    if _CANNOT_FUSE.search(cause.reason):
        return UnsupportedError, 'With fusion = "rrf" the client does the same on any licence'
    if cause.type == "index_not_found_exception" or (cause.status == 404 and "alias" in cause.reason):
        return IndexMissingError, "Check the name, or create it with: hybrid-search index"
    if cause.type == "media_type_header_exception":
        return ClientVersionError, "Install the client of the server's major version"
    if cause.status == 400 and _UNKNOWN.search(cause.reason):
        return UnsupportedError, "This server's version, licence or set of plugins lacks it"
    return _BY_STATUS.get(cause.status, (RequestRefusedError, None))


def _is_write_block(cause: Failure) -> bool:
    """A block on writes (403, or 429 from the disk watermark), not a cluster that is still forming (503)."""
    return cause.status != 503


def _is_too_large(cause: Failure) -> bool:
    """One request above the whole limit of indexing pressure, or of a breaker's permanent refusal."""
    if "circuit_breaking" in cause.type:
        return "PERMANENT" in cause.reason
    operation, limit = _OPERATION_BYTES.search(cause.reason), _LIMIT_BYTES.search(cause.reason)
    return operation is not None and limit is not None and int(operation[1]) > int(limit[1])
