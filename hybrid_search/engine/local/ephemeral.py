"""A node for the time of a test: its data is thrown away, and it does not outlive the program that asked for it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybrid_search.engine.local import distribution
from hybrid_search.engine.local.account import server_account
from hybrid_search.engine.local.home import ensure_home
from hybrid_search.engine.local.java import find_java
from hybrid_search.engine.local.launch import Runtime
from hybrid_search.engine.local.node import start_members
from hybrid_search.engine.local.plan import CLUSTER_HEAP, plan_members
from hybrid_search.engine.local.ports import random_ports
from hybrid_search.engine.local.resources import check_memory
from hybrid_search.engine.local.state import LocalNode, write_record

NAME = "ephemeral"
GUARD = "hybrid_search.engine.local.guard"


@contextmanager
def ephemeral(*, nodes: int = 1, heap: str = CLUSTER_HEAP) -> Iterator[LocalNode]:
    """A running node on ports of its own; its servers and its data are gone when the block ends.

    Raises:
        LocalNodeError: as for ``up``.
    """
    check_memory(heap, nodes)
    account = server_account()
    java = find_java(account)
    runtime = Runtime(ensure_home(java), java, account, heap, short_lived=True)
    folder = Path(tempfile.mkdtemp(prefix="hybrid-search-"))
    account.make_passage(folder)
    ports = random_ports(2 * nodes)
    node = LocalNode(
        name=NAME,
        version=distribution.VERSION,
        home=str(runtime.home),
        heap=heap,
        data_folder=str(folder / "data"),
        members=plan_members(NAME, folder, folder / "data", list(zip(ports[:nodes], ports[nodes:], strict=True))),
    )
    with _guard(folder):
        yield start_members(node, runtime, lambda started: write_record(folder, started))


@contextmanager
def _guard(folder: Path) -> Iterator[None]:
    """Have another process clean up when this block or this program ends, whichever comes first."""
    command = [sys.executable, "-m", GUARD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield  # leaving the block closes the pipe and waits until all is clean
