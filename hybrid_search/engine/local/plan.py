"""What a node is to be: the arguments of ``up``, completed by its record and the defaults. Nothing is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hybrid_search.engine.local import distribution
from hybrid_search.engine.local.ports import free_ports, is_free
from hybrid_search.engine.local.resources import heap_bytes
from hybrid_search.engine.local.state import LocalNode, Member, all_nodes, node_folder
from hybrid_search.errors import LocalNodeError, SettingsError

HTTP_PORT = 9200
TRANSPORT_PORT = 9300
SINGLE_HEAP = "1g"
CLUSTER_HEAP = "512m"
MOST_SERVERS = 9
LEAST_PORT = 1024
"""Ports below are for root only, as whom the server does not run."""

MOST_PORT = 65535


def plan_node(
    name: str, known: LocalNode | None, *, nodes: int | None, data: Path | None, port: int | None, heap: str | None
) -> LocalNode:
    """What to run: the arguments, completed by the node's record and the defaults.

    Raises:
        SettingsError: an argument is out of range or contradicts the record.
        LocalNodeError: the port is taken.
    """
    if nodes is not None and not 1 <= nodes <= MOST_SERVERS:
        raise SettingsError(f"{nodes} servers cannot be started", where="--nodes", remedy=f"Give 1 to {MOST_SERVERS}")
    if port is not None and not LEAST_PORT <= port <= MOST_PORT:
        raise SettingsError(
            f"{port} is not a port for a server", where="--port", remedy=f"Give {LEAST_PORT} to {MOST_PORT}"
        )
    if heap is not None:
        heap_bytes(heap)
    if known is None:
        return _new_node(name, nodes or 1, data, port, heap)
    _check_record(known, nodes=nodes, data=data, port=port, heap=heap)
    if known.state in {"running", "degraded"}:
        return known
    data_folder = str(data.expanduser().absolute()) if data else known.data_folder
    preferred = port or known.members[0].port
    members = _members(name, len(known.members), Path(data_folder), preferred, exactly=port is not None)
    return msgspec.structs.replace(
        known, version=distribution.VERSION, data_folder=data_folder, heap=heap or known.heap, members=members
    )


def _new_node(name: str, servers: int, data: Path | None, port: int | None, heap: str | None) -> LocalNode:
    data_folder = data.expanduser().absolute() if data else node_folder(name) / "data"
    return LocalNode(
        name=name,
        version=distribution.VERSION,
        home="",
        heap=heap or (SINGLE_HEAP if servers == 1 else CLUSTER_HEAP),
        data_folder=str(data_folder),
        members=_members(name, servers, data_folder, port or HTTP_PORT, exactly=port is not None),
    )


def _check_record(
    known: LocalNode, *, nodes: int | None, data: Path | None, port: int | None, heap: str | None
) -> None:
    """Refuse what contradicts the record: another size always, anything else while the node runs."""
    wanted: dict[str, tuple[Any, Any]] = {"--nodes": (nodes, len(known.members))}
    if known.state in {"running", "degraded"}:
        wanted["--data"] = (data and str(data.expanduser().absolute()), known.data_folder)
        wanted["--port"] = (port, known.members[0].port)
        wanted["--heap"] = (heap, known.heap)
    for flag, (value, recorded) in wanted.items():
        if value is not None and value != recorded:
            raise SettingsError(
                f"The node {known.name!r} has {flag} {recorded}, not {value}",
                where=flag,
                remedy=f"Use another --name, or first: hybrid-search down --name {known.name}"
                if flag != "--nodes"
                else "Use another --name",
            )


def _members(name: str, servers: int, data: Path, port: int, *, exactly: bool) -> tuple[Member, ...]:
    """Members with ports of their own, not yet started; ports of other nodes are left to them."""
    if exactly and not is_free(port):
        raise LocalNodeError(f"The port {port} is taken", where="--port", remedy="Leave out --port, or name another")
    others = [member for node in all_nodes() if node.name != name for member in node.members]
    reserved = set() if exactly else {member.port for member in others}
    ports = free_ports(port, servers, reserved=reserved)
    transports = free_ports(TRANSPORT_PORT, servers, reserved={member.transport_port for member in others})
    return plan_members(name, node_folder(name), data, list(zip(ports, transports, strict=True)))


def plan_members(name: str, folder: Path, data: Path, ports: Sequence[tuple[int, int]]) -> tuple[Member, ...]:
    """One member per pair of HTTP and transport port; of several, each has a folder of its own in both folders."""
    names = [name] if len(ports) == 1 else [f"{name}-{number}" for number in range(1, len(ports) + 1)]
    return tuple(
        Member(
            name=member,
            pid=0,
            created=0.0,
            port=http,
            transport_port=transport,
            folder=str(folder if len(ports) == 1 else folder / member),
            data=str(data if len(ports) == 1 else data / member),
        )
        for member, (http, transport) in zip(names, ports, strict=True)
    )
