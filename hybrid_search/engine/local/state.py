"""What is known of a named node between two commands: one JSON file per node, and whether its servers still run.

A process is recognised by its id, its start time and its command line, so that a record that outlived its process (a
crash, a reboot, an id given to another program) is never taken for a running server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from hybrid_search.engine.local.folders import base_folder
from hybrid_search.errors import LocalNodeError, SettingsError
from hybrid_search.private_files import FILE

DEFAULT_NAME = "default"
CLOCK_SLACK = 2.0
"""Seconds by which the reported start time of one process can differ: it is derived from the boot time."""

HOST = "127.0.0.1"
RECORD = "node.json"
CONFIGURATION = 1
"""Of the servers that are started now; raised where one of an earlier configuration should be started anew."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One server of a node: ``created`` is its process's start time in seconds since 1970."""

    name: str
    pid: int
    created: float
    port: int
    transport_port: int
    folder: str
    data: str
    configuration: int = 0
    """What it was started with: 0 is of a release that kept no web page out; see ``CONFIGURATION``."""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    @property
    def config(self) -> Path:
        """The folder of its configuration; its name on the command line is part of the process's identity."""
        return Path(self.folder) / "config"

    @property
    def temporary(self) -> Path:
        """Where the JVM unpacks its native libraries; the system's folder may forbid running what is in it."""
        return Path(self.folder) / "tmp"

    @property
    def log(self) -> Path:
        """The server's own log."""
        return Path(self.folder) / "logs" / "server.log"

    @property
    def console(self) -> Path:
        """What the JVM printed."""
        return Path(self.folder) / "logs" / "console.log"

    def running(self) -> psutil.Process | None:
        """The process, where it still is the one that was started."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.created) < CLOCK_SLACK
            own = path_argument(self.config) in found.cmdline()  # a zombie has no command line
        except psutil.Error:
            return None
        return found if same and own else None


class LocalNode(msgspec.Struct, frozen=True, kw_only=True):
    """A named node: one server, or the several of a small cluster. The first member speaks for the node."""

    name: str
    version: str
    home: str
    heap: str
    data_folder: str
    members: tuple[Member, ...]
    stopped: bool = False

    @property
    def url(self) -> str:
        """Where the node answers: its first member that runs, else the first."""
        alive = (member for member in self.members if member.running())
        return next(alive, self.members[0]).url

    @property
    def is_outdated(self) -> bool:
        """Whether a server runs that was started by a release whose configuration was not safe."""
        return any(member.configuration < CONFIGURATION and member.running() for member in self.members)

    @property
    def pid(self) -> int:
        """The first server's process id."""
        return self.members[0].pid

    @property
    def data(self) -> Path:
        """The folder of the node's data."""
        return Path(self.data_folder)

    @property
    def log(self) -> Path:
        """The first server's log."""
        return self.members[0].log

    @property
    def state(self) -> str:
        """``running``, ``degraded`` (some servers of a cluster died), ``stopped``, or ``dead`` (not by ``down``)."""
        alive = sum(member.running() is not None for member in self.members)
        if alive == len(self.members):
            return "running"
        if alive > 0:
            return "degraded"
        return "stopped" if self.stopped else "dead"


def path_argument(config: Path) -> str:
    """The JVM argument that names a server's configuration folder."""
    return f"-Dopensearch.path.conf={config}"


def nodes_folder() -> Path:
    """The folder with one folder per named node."""
    return base_folder() / "nodes"


def node_folder(name: str) -> Path:
    """A node's folder.

    Raises:
        SettingsError: the name is not made of lower-case letters, digits, ``-`` and ``_``.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", name):
        raise SettingsError(
            f"{name!r} is not a node's name",
            where="--name",
            remedy="Use up to 41 lower-case letters, digits, - and _, beginning with a letter or digit",
        )
    return nodes_folder() / name


def read_record(folder: Path) -> LocalNode | None:
    """The record in a node's folder, None where no server was ever started in it.

    Raises:
        LocalNodeError: the record cannot be read.
    """
    record = folder / RECORD
    try:
        node = msgspec.json.decode(record.read_bytes(), type=LocalNode)
        if not node.members:
            raise msgspec.ValidationError("it names no server")
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise LocalNodeError(
            f"The record of the node cannot be read: {error}",
            where=str(record),
            remedy="See with ps whether its server still runs, then remove this file",
        ) from error
    return node


def write_record(folder: Path, node: LocalNode) -> None:
    """Write a node's record into its folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{RECORD}.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(node), indent=2))
    part.chmod(FILE)
    part.replace(folder / RECORD)


def read_node(name: str) -> LocalNode | None:
    """The record of a named node; see :func:`node_folder` and :func:`read_record` for what is raised."""
    return read_record(node_folder(name))


def write_node(node: LocalNode) -> None:
    """Write the record of a named node."""
    write_record(node_folder(node.name), node)


def all_nodes() -> list[LocalNode]:
    """Every node that has a record that can be read, by name; for the others see :func:`broken_records`."""
    return [found for found in _found_records() if isinstance(found, LocalNode)]


def broken_records() -> list[LocalNodeError]:
    """One error for each record that cannot be read: it says which file, and what to do."""
    return [found for found in _found_records() if isinstance(found, LocalNodeError)]


def _found_records() -> Iterator[LocalNode | LocalNodeError | None]:
    for place in sorted(nodes_folder().glob(f"*/{RECORD}")):
        try:
            yield read_record(place.parent)
        except LocalNodeError as error:
            yield error
