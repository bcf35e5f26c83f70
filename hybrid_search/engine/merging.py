"""Force-merge: few large segments in the place of many, for an index that was loaded and is now searched."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError

POLL = (0.05, 5.0)
"""Seconds between two questions, at first and at most: each time one and a half times as many."""


def force_merge(connection: Connection, index: str, segments: int, *, waiting: Callable[[str], None]) -> None:
    """Merge every shard to at most so many segments, and wait for the end; the engine merges on if we are ended.

    It is begun as a task of the engine (Elasticsearch 8, OpenSearch 2.7 and later), so that no request waits for hours.

    Args:
        connection: the cluster.
        index: an index, or an alias of one.
        segments: per shard; 1 makes searching fastest and later changes dearest.
        waiting: told what is waited for.

    Raises:
        EngineError: the engine refuses, or a shard could not be merged.
    """
    path = f"/{quote(index, safe='')}/_forcemerge"
    request = Request.json("POST", path, max_num_segments=str(segments), wait_for_completion="false")
    task = connection.send(request).get("task")
    waiting(f"the engine merges {index} to {segments} segments a shard")
    pause = POLL[0]
    while task is not None:
        found = connection.send(Request.json("GET", f"/_tasks/{quote(task, safe=':')}"))
        if found.get("completed"):
            _check(found, f"{connection.where}/{index}")
            return
        time.sleep(pause)
        pause = min(1.5 * pause, POLL[1])


def _check(found: dict[str, object], where: str) -> None:
    answer = found.get("response")
    shards = answer.get("_shards", {}) if isinstance(answer, dict) else {}
    if error := found.get("error"):
        raise EngineError(f"the merge has failed: {error}", where=where)
    if shards.get("failed"):
        remedy = "It is searched as it is; merge again when all shards are there"
        raise EngineError(f"{shards['failed']} shards could not be merged", where=where, remedy=remedy)
