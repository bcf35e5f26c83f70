"""Ask a local server how it is, and wait until it is ready."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from hybrid_search.engine.local.logs import tail
from hybrid_search.engine.local.state import HOST, Member
from hybrid_search.errors import LocalNodeError

POLL_SECONDS = 0.2
ANSWER_SECONDS = 5.0
TROUBLE = re.compile(r"\[(ERROR|FATAL)|Exception\b|Error\b|error:|Caused by|[Ii]nsufficient memory")
QUOTED_LINES = 4
QUOTED_CHARACTERS = 220


def ask(port: int, path: str) -> Any:
    """The decoded JSON answer to a GET on the loopback interface, None where there is no good one.

    Straight to the socket: no proxy of the environment is asked for this machine's own address.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
        return msgspec.json.decode(content) if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()


def is_ready(member: Member, servers: int) -> bool:
    """Whether the server sees so many servers and all primary shards are there."""
    health = ask(member.port, f"/_cluster/health?wait_for_status=yellow&wait_for_nodes={servers}&timeout=1s")
    return health is not None and not health["timed_out"]


def wait_ready(members: Sequence[Member], *, deadline: float) -> None:
    """Wait until every member is ready.

    Args:
        members: the servers of one node.
        deadline: seconds from now.

    Raises:
        LocalNodeError: a server ended, or the time is over; the message quotes its log.
    """
    end = time.monotonic() + deadline
    waiting = list(members)
    while waiting:
        for member in members:
            if not member.running():
                raise failure(member, "OpenSearch ended while starting")
        waiting = [member for member in waiting if not is_ready(member, len(members))]
        if waiting and time.monotonic() > end:
            raise failure(waiting[0], f"OpenSearch was not ready after {deadline:.0f} s")
        if waiting:
            time.sleep(POLL_SECONDS)


def failure(member: Member, what: str) -> LocalNodeError:
    """An error that quotes the last lines of a server's logs that tell of trouble."""
    lines = [line for path in (member.console, member.log) for line in tail(path, 200)]
    trouble = [line for line in lines if TROUBLE.search(line)] or lines
    quoted = " | ".join(line.strip()[:QUOTED_CHARACTERS] for line in trouble[-QUOTED_LINES:])
    return LocalNodeError(
        f"{what}; its log ends with: {quoted or 'nothing (it may have been killed for want of memory)'}",
        where=member.name,
        remedy=f"Read {member.log} and {member.console}",
    )
