"""By which headers a cluster knows whose request it serves: in its slow logs, its tasks, and in traces.

``X-Opaque-Id`` is shown by both engines beside tasks and in slow logs; an id per client or per feature is of use there,
one per request is not: Elasticsearch counts what it has logged by it. ``traceparent`` is that of W3C Trace Context.
"""

from __future__ import annotations

import re

from hybrid_search.errors import QueryError

OPAQUE_ID, TRACEPARENT = "x-opaque-id", "traceparent"

_PRINTABLE = re.compile(r"[!-~](?:[ -~]{0,254}[!-~])?")
TRACE_CONTEXT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def headers_of(opaque_id: str | None = None, traceparent: str | None = None) -> dict[str, str]:
    """The headers that carry these; none for what is None.

    Raises:
        QueryError: an id that is no printable ASCII of at most 256 characters, or a trace context of another form.
    """
    headers = {}
    if opaque_id is not None:
        if not _PRINTABLE.fullmatch(opaque_id):
            raise QueryError(
                f"the opaque id {opaque_id[:80]!r} cannot be sent",
                remedy="Give at most 256 printable ASCII characters.",
            )
        headers[OPAQUE_ID] = opaque_id
    if traceparent is not None:
        if not TRACE_CONTEXT.fullmatch(traceparent):
            raise QueryError(
                f"{traceparent[:80]!r} is no trace context",
                remedy="Give the traceparent of W3C Trace Context: 00-<32 hexadecimal digits>-<16>-01.",
            )
        headers[TRACEPARENT] = traceparent
    return headers
