"""A real OpenSearch on this machine, brought from Maven artifacts and run by one command.

``up`` finds Java, downloads what the lock file names, assembles a home and starts a server that outlives the caller;
``down`` stops exactly that server; ``ephemeral`` is a server for the time of a test.
"""

from __future__ import annotations

from hybrid_search.engine.local.ephemeral import ephemeral
from hybrid_search.engine.local.node import NodeStatus, down, purge, running_url, runs_at, status, up
from hybrid_search.engine.local.state import DEFAULT_NAME, LocalNode, Member

__all__ = [
    "DEFAULT_NAME",
    "LocalNode",
    "Member",
    "NodeStatus",
    "down",
    "ephemeral",
    "purge",
    "running_url",
    "runs_at",
    "status",
    "up",
]
