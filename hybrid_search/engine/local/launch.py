"""Start one server: its configuration, its command line, its process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

import msgspec
import psutil

from hybrid_search.engine.local.account import Account
from hybrid_search.engine.local.health import CRASH_LOG
from hybrid_search.engine.local.home import agent
from hybrid_search.engine.local.java import VECTOR_MODULE, Java
from hybrid_search.engine.local.state import CONFIGURATION, HOST, Member, path_argument
from hybrid_search.errors import LocalNodeError
from hybrid_search.private_files import FILE

MAIN_CLASS = "org.opensearch.bootstrap.OpenSearch"

LOGGING = """\
status = error
appender.server.type = RollingFile
appender.server.name = server
appender.server.fileName = ${sys:opensearch.logs.base_path}/server.log
appender.server.filePattern = ${sys:opensearch.logs.base_path}/server.%i.log
appender.server.layout.type = PatternLayout
appender.server.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
appender.server.policies.type = Policies
appender.server.policies.size.type = SizeBasedTriggeringPolicy
appender.server.policies.size.size = 10MB
appender.server.strategy.type = DefaultRolloverStrategy
appender.server.strategy.max = 3
rootLogger.level = info
rootLogger.appenderRef.server.ref = server
"""

DISK_WATERMARKS = {"low": "1gb", "high": "750mb", "flood_stage": "500mb"}
"""Free space below which the server stops taking shards and then writes. The default, a share of the disk, makes
indices read-only on a laptop whose large disk is 95 % full."""

PROTECTION = {
    "http.cors.enabled": True,  # without allowed origins: whatever a browser sends for a page of another origin is 403
    "action.destructive_requires_name": True,
}
"""Against web pages that the user of this machine has open; the node's own plugin adds a check of the Host header."""

POLL_SECONDS = 0.05
KILL_SECONDS = 10.0
RECOGNITION_SECONDS = 10.0

INHERITED = ("PATH", "TZ")
"""All that the server sees of the environment: neither credentials nor another program's Java options."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every server of a node is started with."""

    home: Path
    java: Java
    account: Account
    heap: str
    short_lived: bool = False


def configuration(member: Member, cluster: str, members: Sequence[Member]) -> dict[str, Any]:
    """The settings of ``opensearch.yml`` for one member of a node with these members."""
    settings: dict[str, Any] = {
        "cluster.name": cluster,
        "node.name": member.name,
        "network.host": HOST,
        "http.port": member.port,
        "transport.port": member.transport_port,
        "path.data": member.data,
        "path.logs": str(member.log.parent),
    }
    settings |= PROTECTION
    settings |= {f"cluster.routing.allocation.disk.watermark.{name}": free for name, free in DISK_WATERMARKS.items()}
    if len(members) == 1:
        return settings | {"discovery.type": "single-node"}
    return settings | {
        "discovery.seed_hosts": [f"{HOST}:{other.transport_port}" for other in members],
        "cluster.initial_cluster_manager_nodes": [other.name for other in members],
    }


def command(runtime: Runtime, member: Member) -> list[str]:
    """The command line of one server."""
    home = runtime.home
    vector = ["--add-modules", VECTOR_MODULE] if runtime.java.has_vector else []
    # A test's server is started often and used little: it should not compile or collect with many threads.
    short_lived = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] if runtime.short_lived else []
    return [
        str(runtime.java.executable),
        f"-Xms{runtime.heap}",
        f"-Xmx{runtime.heap}",
        *short_lived,
        *vector,
        "--enable-native-access=ALL-UNNAMED",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={member.log.parent}/{CRASH_LOG}",
        f"-Djava.io.tmpdir={member.temporary}",
        "-Dlog4j.shutdownHookEnabled=false",
        "-Dlog4j2.disable.jmx=true",
        f"-javaagent:{agent(home)}",
        f"-Dopensearch.path.home={home}",
        path_argument(member.config),
        "-Dopensearch.distribution.type=tar",
        "-cp",
        f"{home}/lib/*",
        MAIN_CLASS,
    ]


def start(runtime: Runtime, member: Member, settings: Mapping[str, Any]) -> Member:
    """Write a server's configuration, start it in a session of its own, and return the member with its process.

    Raises:
        LocalNodeError: a folder cannot be written, or Java cannot be started.
    """
    runtime.account.make_passage(Path(member.folder))
    for place in (member.config, member.log.parent, member.temporary):
        runtime.account.make_folder(place)
    runtime.account.make_data_folder(Path(member.data))
    lines = (f"{key}: {msgspec.json.encode(value).decode()}\n" for key, value in settings.items())
    _write_new(member.config / "opensearch.yml", "".join(lines), runtime.account)
    _write_new(member.config / "log4j2.properties", LOGGING, runtime.account)
    if member.log.exists():  # what an error message quotes is to be of this start
        member.log.replace(member.log.with_name("server.previous.log"))
    try:
        process = _spawn(runtime, member)
    except OSError as error:
        raise LocalNodeError(
            f"Java cannot be started: {error.strerror}",
            where=str(runtime.java.executable),
            remedy="Set HYBRID_SEARCH_JAVA_HOME to another JDK",
        ) from error
    started = msgspec.structs.replace(
        member, pid=process.pid, created=_created(process.pid), configuration=CONFIGURATION
    )
    end = time.monotonic() + RECOGNITION_SECONDS
    while process.poll() is None and not started.running() and time.monotonic() < end:
        time.sleep(POLL_SECONDS)  # for an instant a new process has no command line to know it by
    return started


def _write_new(path: Path, text: str, account: Account) -> None:
    """Write a file of the server's account in place of the one that is there."""
    with _new_file(path, account) as file:
        file.write(text.encode())


def _new_file(path: Path, account: Account) -> BinaryIO:
    """Replace a file in a folder of the server's account: root must not follow a link that is there instead."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE)
    os.fchmod(descriptor, FILE)
    if account.uid is not None:
        os.fchown(descriptor, *account.ids)
    return os.fdopen(descriptor, "wb")


def _spawn(runtime: Runtime, member: Member) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    with _new_file(member.console, runtime.account) as console:
        process = subprocess.Popen(
            command(runtime, member),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            cwd=member.folder,
            env=environment | {"LC_ALL": "C.UTF-8"},  # paths of any letters
            start_new_session=True,
            umask=0o077,
            **runtime.account.popen_options,
        )
    Thread(target=process.wait, daemon=True).start()  # so that it leaves no zombie if it ends before this program
    return process


def _created(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:  # it ended at once; waiting for it to be ready says why
        return time.time()


def stop(members: Sequence[Member], *, patience: float) -> None:
    """Ask the servers that run to end, wait ``patience`` seconds, then kill.

    Raises:
        LocalNodeError: a server belongs to another user, or survives being killed.
    """
    try:
        _signal(members, signal.SIGTERM)
        _await_end(members, patience)
        _signal(members, signal.SIGKILL)
        _await_end(members, KILL_SECONDS)
    except psutil.AccessDenied as error:
        raise LocalNodeError(
            f"The process {error.pid} belongs to another user",
            remedy="Run the command as the user that started the node",
        ) from error
    left = [str(member.pid) for member in members if member.running()]
    if left:
        raise LocalNodeError(
            f"The server does not end: process {', '.join(left)}", remedy="See with ps what it waits for"
        )


def _signal(members: Sequence[Member], number: int) -> None:
    for member in members:
        process = member.running()
        if process:
            with suppress(psutil.NoSuchProcess):  # it ended in this instant, as it should
                process.send_signal(number)


def _await_end(members: Sequence[Member], patience: float) -> None:
    end = time.monotonic() + patience
    while any(member.running() for member in members) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
