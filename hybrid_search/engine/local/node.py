"""Named nodes: bring one up, take it down, say how they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

from hybrid_search.engine.local.account import Account, server_account
from hybrid_search.engine.local.exclusive import exclusive
from hybrid_search.engine.local.folders import base_folder
from hybrid_search.engine.local.health import ask, cause_of_death, unopened, wait_ready
from hybrid_search.engine.local.home import ensure_home
from hybrid_search.engine.local.java import find_java
from hybrid_search.engine.local.launch import Runtime, configuration, start, stop
from hybrid_search.engine.local.plan import plan_node
from hybrid_search.engine.local.purge import remove
from hybrid_search.engine.local.resources import check_disk, check_memory
from hybrid_search.engine.local.state import (
    DEFAULT_NAME,
    HOST,
    LocalNode,
    Member,
    all_nodes,
    node_folder,
    read_node,
    write_node,
)
from hybrid_search.errors import LocalNodeError

START_SECONDS = 300.0
"""Time for one server to be ready, and again for each further one: 10 s of an idle machine, minutes of a busy one. A
server that ends is noticed at once."""

STOP_SECONDS = 30.0
LOCK = "nodes.lock"
"""Ports and records must not change under a command that starts or stops a node."""


def up(
    name: str = DEFAULT_NAME,
    *,
    nodes: int | None = None,
    data: Path | None = None,
    port: int | None = None,
    heap: str | None = None,
) -> LocalNode:
    """Have a node run: reuse it where it does, start what of it does not, and wait until it is ready.

    What is left out is taken from the node's record, else the defaults: one server, data in the node's own folder,
    the first free port from 9200 on, 1 GB of heap (512 MB for each server of a cluster).

    Raises:
        LocalNodeError: Java, memory, disk, the port or the download is missing, or the server does not start.
        SettingsError: an argument is wrong, or contradicts the node's record.
    """
    node_folder(name)
    with exclusive(base_folder() / LOCK):
        known = read_node(name)
        planned = plan_node(name, known, nodes=nodes, data=data, port=port, heap=heap)
        if planned.state != "running":
            planned = _start(planned)
        else:
            wait_ready(planned.members, deadline=START_SECONDS)
        return planned


def down(name: str = DEFAULT_NAME) -> LocalNode:
    """Stop exactly the servers that :func:`up` started; their data stays.

    Raises:
        LocalNodeError: no node has this name, or a server does not end.
    """
    with _known(name) as node:
        return _stopped(node)


def purge(name: str = DEFAULT_NAME) -> LocalNode:
    """Stop a node as :func:`down` does, and remove it with its data; :func:`~.purge.belongings` says what goes.

    Raises:
        LocalNodeError: no node has this name, a server does not end, or a file cannot be removed.
    """
    with _known(name) as node:
        remove(_stopped(node))
        return node


@contextmanager
def _known(name: str) -> Iterator[LocalNode]:
    """The node of this name, while no other command starts or stops one."""
    node_folder(name)
    with exclusive(base_folder() / LOCK):
        node = read_node(name)
        if node is None:
            raise LocalNodeError(f"There is no local node named {name!r}", remedy="See: hybrid-search status")
        yield node


def _stopped(node: LocalNode) -> LocalNode:
    stop(node.members, patience=STOP_SECONDS)
    node = msgspec.structs.replace(node, stopped=True)
    write_node(node)
    return node


def running_url(name: str = DEFAULT_NAME) -> str | None:
    """Where the node answers, None where it does not run."""
    node = read_node(name)
    return node.url if node and node.state in {"running", "degraded"} else None


def runs_at(urls: Collection[str]) -> bool:
    """Whether a server of any local node runs at one of these addresses."""
    there = {re.sub(r"//(localhost|\[::1\]):", f"//{HOST}:", url.rstrip("/")) for url in urls}
    return any(member.url in there and member.running() for node in all_nodes() for member in node.members)


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node as it is now: ``memory`` in bytes of all its servers; None where a server must run to tell.

    ``died`` says of each server that ended unasked why; ``unopened`` of each index that cannot be opened.
    """

    node: LocalNode
    state: str
    memory: int | None
    indices: int | None
    documents: int | None
    died: Mapping[str, str] = field(default_factory=dict)
    unopened: Mapping[str, str] = field(default_factory=dict)


def status() -> list[NodeStatus]:
    """Every node that was ever brought up, by name."""
    return [_status(node) for node in all_nodes()]


def _status(node: LocalNode) -> NodeStatus:
    running = [process for member in node.members if (process := member.running())]
    state, gone = node.state, [member for member in node.members if not member.running()]
    died = {member.name: cause_of_death(member) for member in gone} if state in {"dead", "degraded"} else {}
    if not running:
        return NodeStatus(node, state, None, None, None, died)
    port = int(node.url.rpartition(":")[2])
    indices = (ask(port, "/_cluster/stats?filter_path=indices.count,indices.docs.count") or {}).get("indices", {})
    documents = indices.get("docs", {}).get("count")
    closed = {index: reason for index, reason in unopened(port).items() if reason is not None}
    return NodeStatus(node, state, sum(map(_resident, running)), indices.get("count"), documents, died, closed)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _start(node: LocalNode) -> LocalNode:
    """Start the members that do not run, after a look at what they need."""
    missing = [member for member in node.members if not member.running()]
    check_memory(node.heap, len(missing))
    account = server_account()
    java = find_java(account)
    account.make_passage(node_folder(node.name))
    _make_data_folder(node, account)
    check_disk(node.data)
    return start_members(node, Runtime(ensure_home(java), java, account, node.heap), write_node)


def _make_data_folder(node: LocalNode, account: Account) -> None:
    """The folder of the data: the server's own, or of a cluster the one that holds those of the servers."""
    if len(node.members) == 1:
        account.make_data_folder(node.data)
    elif not node.data.exists() or node.data.stat().st_uid in account.former:
        account.make_passage(node.data)


def start_members(node: LocalNode, runtime: Runtime, record: Callable[[LocalNode], None]) -> LocalNode:
    """Start the members that do not run and wait until all are ready; on failure stop what was started here.

    Args:
        node: the node with its members' ports and folders.
        runtime: what to start them with.
        record: told of the node after each start, so that no server is ever without a record.

    Raises:
        LocalNodeError: a server does not start, or is not ready in time.
    """
    started: list[Member] = []
    try:
        for place, member in enumerate(node.members):
            if member.running():
                continue
            started.append(start(runtime, member, configuration(member, node.name, node.members)))
            members = (*node.members[:place], started[-1], *node.members[place + 1 :])
            node = msgspec.structs.replace(node, members=members, home=str(runtime.home), stopped=False)
            record(node)
        wait_ready(node.members, deadline=START_SECONDS * len(node.members))
        for member in started:
            runtime.account.close(member.config)  # the server gives its keystore's group the right to read it
    except BaseException:  # an interrupt as well: nothing half-started stays behind
        stop(started, patience=0.0)
        raise
    return node
