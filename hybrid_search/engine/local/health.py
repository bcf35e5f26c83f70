"""Ask a local server how it is, and wait until it is ready."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import psutil

from hybrid_search.engine.local.logs import tail
from hybrid_search.engine.local.state import HOST, Member
from hybrid_search.errors import LocalNodeError

POLL_SECONDS = 0.2
ATTEMPTS = 5
"""``index.allocation.max_retries`` of OpenSearch: after so many failures it does not try to open a shard again."""

ANSWER_SECONDS = 5.0
TROUBLE = re.compile(r"\[(ERROR|FATAL)|Exception\b|Error\b|error:|Caused by|[Ii]nsufficient memory")
FATAL = re.compile(r"fatal error in |Terminating due to|\[FATAL")
CRASH_LOG = "jvm-crash.log"
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
    """Whether the server sees so many servers and all primary shards are there, or are not tried any more.

    One index that cannot be opened, which may be what the node is started for, keeps nobody from the others.
    """
    wanted = f"wait_for_status=yellow&wait_for_nodes={servers}&timeout=1s"
    health = ask(member.port, f"/_cluster/health?{wanted}")
    if health is not None and not health["timed_out"]:
        return True
    health = ask(member.port, "/_cluster/health")
    if health is None or health["number_of_nodes"] != servers or health["initializing_shards"]:
        return False
    broken = unopened(member.port)  # none at all: the server has not yet read what indices there are
    return bool(broken) and None not in broken.values()


def unopened(port: int) -> dict[str, str | None]:
    """The indices without all of their primary shards: why, None where the server is still at it."""
    answer = ask(port, "/_cluster/state/routing_table?filter_path=routing_table.indices.*.shards.*") or {}
    found: dict[str, str | None] = {}
    for index, routing in answer.get("routing_table", {}).get("indices", {}).items():
        for shard in chain.from_iterable(routing["shards"].values()):
            if shard["primary"] and shard["state"] not in {"STARTED", "RELOCATING"}:
                told = shard.get("unassigned_info", {})
                given_up = told.get("failed_attempts", 0) >= ATTEMPTS
                found[index] = told.get("details", "").strip() if given_up else None
    return found


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


def cause_of_death(member: Member) -> str:
    """Why a server ended that nobody stopped, by what it left in its logs."""
    if psutil.boot_time() > member.created:
        return "the machine was started anew since"
    crash = member.log.with_name(CRASH_LOG)
    try:
        lines = [line.strip()[:QUOTED_CHARACTERS] for path in (member.console, member.log) for line in tail(path, 2000)]
    except LocalNodeError as error:
        return str(error)
    fatal = [place for place, line in enumerate(lines) if FATAL.search(line)]
    if fatal:
        return " ".join(lines[fatal[-1] : fatal[-1] + 2])
    if crash.is_file() and crash.stat().st_mtime > member.created:
        return f"the Java machine crashed: read {crash}"
    return "its log tells nothing: it was killed, by kill -9 or by the system for want of memory"


def failure(member: Member, what: str) -> LocalNodeError:
    """An error that quotes the last lines of a server's logs that tell of trouble."""
    try:
        lines = [line for path in (member.console, member.log) for line in tail(path, 200)]
    except LocalNodeError as error:
        lines = [str(error)]
    trouble = [line for line in lines if TROUBLE.search(line)] or lines
    quoted = " | ".join(line.strip()[:QUOTED_CHARACTERS] for line in trouble[-QUOTED_LINES:])
    return LocalNodeError(
        f"{what}; its log ends with: {quoted or 'nothing (it may have been killed for want of memory)'}",
        where=member.name,
        remedy=f"Read {member.log} and {member.console}",
    )
