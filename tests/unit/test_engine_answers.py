"""What an engine's refusal becomes: the error tree, and what a bulk load should do next."""

from __future__ import annotations

import pytest

from hybrid_search.engine.answers import Failure, Verdict, error_for, failure, verdict
from hybrid_search.errors import (
    AuthenticationError,
    ClientVersionError,
    EngineTimeoutError,
    IndexMissingError,
    OverloadedError,
    ReadOnlyError,
    RequestRefusedError,
    UnsupportedError,
)


def body(kind, reason, **more):
    """An error body as both engines write it."""
    cause = {"type": kind, "reason": reason, **more}
    return {"error": {"root_cause": [cause], **cause}}


FLOOD = "index [a] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark];"
LICENCE = "current license is non-compliant for [Reciprocal Rank Fusion (RRF)]"
VERSION = "Accept version must be either version 8 or 7, but found 9. Accept=application/vnd.elasticsearch+json"

ERRORS = [
    (401, body("security_exception", "missing authentication credentials"), AuthenticationError),
    (401, "Unauthorized", AuthenticationError),
    (403, body("security_exception", "action [indices:data/read] is unauthorized for user [u]"), AuthenticationError),
    (403, body("security_exception", LICENCE), UnsupportedError),
    (403, body("cluster_block_exception", "index [a] blocked by: [FORBIDDEN/8/index write (api)];"), ReadOnlyError),
    (429, body("cluster_block_exception", FLOOD), ReadOnlyError),
    (503, body("cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/2/no master];"), OverloadedError),
    (404, body("index_not_found_exception", "no such index [a]"), IndexMissingError),
    (404, {"error": "alias [a] missing", "status": 404}, IndexMissingError),
    (404, body("search_context_missing_exception", "No search context found"), RequestRefusedError),
    (400, body("media_type_header_exception", VERSION), ClientVersionError),
    (400, body("parsing_exception", "unknown query [sparse_vector]"), UnsupportedError),
    (400, body("parsing_exception", "unknown retriever [rrf]"), UnsupportedError),
    (400, body("illegal_argument_exception", "script_lang not supported [painless]"), UnsupportedError),
    (400, body("illegal_argument_exception", "Result window is too large"), RequestRefusedError),
    (400, body("resource_already_exists_exception", "index [a] already exists"), RequestRefusedError),
    (408, None, EngineTimeoutError),
    (413, None, RequestRefusedError),
    (429, body("circuit_breaking_exception", "[parent] Data too large"), OverloadedError),
    (500, body("null_pointer_exception", None), RequestRefusedError),
    (502, "<html>Bad Gateway</html>", OverloadedError),
    (503, None, OverloadedError),
    (504, "", EngineTimeoutError),
    (418, {"message": "not an engine"}, RequestRefusedError),
]


@pytest.mark.parametrize(("status", "answer", "expected"), ERRORS)
def test_an_error_answer_becomes_one_error_of_the_tree(status, answer, expected):
    """Its message is one line with place and status."""
    error = error_for(failure(status, answer), "https://search:9200 POST /a")
    assert type(error) is expected
    assert str(error).startswith("https://search:9200 POST /a: ")
    assert str(status) in str(error)
    assert "\n" not in str(error)


def test_the_reason_is_that_of_the_first_root_cause():
    """ "all shards failed" says nothing; what failed there does, and what caused it."""
    answer = {
        "error": {
            "root_cause": [{"type": "query_shard_exception", "reason": "failed to create query"}],
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
            "caused_by": {"type": "too_many", "reason": "maxClauseCount is set to 1024"},
        }
    }
    cause = failure(400, answer)
    assert (cause.type, cause.reason) == (
        "query_shard_exception",
        "failed to create query (maxClauseCount is set to 1024)",
    )


def test_a_long_reason_is_cut():
    """An engine may answer with the whole document that it refuses."""
    assert len(str(Failure(400, "mapper_parsing_exception", "x" * 100_000))) < 600


PRESSURE = (
    "rejected execution of coordinating operation [coordinating_and_primary_bytes={before}, replica_bytes=0, "
    "all_bytes={before}, coordinating_operation_bytes={size}, max_coordinating_and_primary_bytes=53687091]"
)

VERDICTS = [
    (Failure(429, "es_rejected_execution_exception", "rejected execution of TimedRunnable on queue"), Verdict.RETRY),
    (Failure(429, "rejected_execution_exception", PRESSURE.format(before=50_000_000, size=9_000_000)), Verdict.RETRY),
    (Failure(429, "rejected_execution_exception", PRESSURE.format(before=0, size=60_000_000)), Verdict.SPLIT),
    (Failure(429, "circuit_breaking_exception", "[parent] Data too large"), Verdict.RETRY),
    (Failure(429, "cluster_block_exception", FLOOD), Verdict.READ_ONLY),
    (Failure(403, "cluster_block_exception", "blocked by: [FORBIDDEN/8/index write (api)];"), Verdict.READ_ONLY),
    (Failure(503, "cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/1/not recovered];"), Verdict.RETRY),
    (Failure(503, "unavailable_shards_exception", "primary shard is not active"), Verdict.RETRY),
    (Failure(413, "", ""), Verdict.SPLIT),
    (Failure(502, "", "Bad Gateway"), Verdict.RETRY),
    (Failure(504, "", ""), Verdict.RETRY),
    (Failure(400, "mapper_parsing_exception", "failed to parse"), Verdict.REFUSED),
    (Failure(401, "security_exception", "unable to authenticate"), Verdict.REFUSED),
    (Failure(404, "index_not_found_exception", "no such index"), Verdict.REFUSED),
    (Failure(409, "version_conflict_engine_exception", "current version is higher"), Verdict.SUPERSEDED),
]


@pytest.mark.parametrize(("cause", "expected"), VERDICTS)
def test_a_failure_is_retried_split_or_given_up(cause, expected):
    """The four causes of 429 want three different things."""
    assert verdict(cause) is expected
