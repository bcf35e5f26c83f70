"""Free ports on the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Collection
from contextlib import ExitStack

from hybrid_search.engine.local.state import HOST
from hybrid_search.errors import LocalNodeError

RANGE = 200


def is_free(port: int) -> bool:
    """Whether nothing listens on a port and a server of this user could."""
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:  # some systems let two programs bind one port
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a closed port rests a while
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(first: int, count: int, *, reserved: Collection[int] = ()) -> list[int]:
    """The first ``count`` free ports from ``first`` on that are not reserved.

    Raises:
        LocalNodeError: there are not so many within 200 ports.
    """
    free: list[int] = []
    for port in range(first, min(first + RANGE, 65536)):
        if port not in reserved and is_free(port):
            free.append(port)
        if len(free) == count:
            return free
    raise LocalNodeError(
        f"Fewer than {count} ports are free from {first} to {first + RANGE - 1}",
        remedy="Stop what uses them, or name another first port with --port",
    )


def random_ports(count: int) -> list[int]:
    """Distinct free ports that the system chooses."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
