"""kill -9 at random points of a load, then what is in the index: python benchmarks/scale/faults.py --url URL.

    python benchmarks/scale/faults.py --url URL --points 30 --seed 1                 # worker, driver, ray-node
    python benchmarks/scale/faults.py --points 6 --kinds engine-node                 # starts three servers itself

Each point is a load of its own. When a random share of the documents is in the index, one process is killed: a worker,
the command that watches (the driver), a node of a Ray cluster that this script starts on this machine, or a server of a
three-node engine, which is started again on its data. Where the command does not end with 0, it is run again, as a
user would. Then every document is looked for: ``lost`` are missing, ``twice`` are documents or passages that are there
more than once. A line is printed for each point, and the sum at the end; exit status 1 for any loss.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from hybrid_search.engine import connect, indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.local.node import purge, up
from hybrid_search.errors import HybridSearchError
from hybrid_search.ingest.state.indexed import document_count
from hybrid_search.settings import EngineSettings

KINDS = ("worker", "driver", "ray-node", "engine-node")
PATIENCE = 240.0
FILES = 12
WORDLESS = ("--set", "dense.model=none", "--set", "sparse.model=idf", "--no-cache", "--workers", "2", "--json")


@dataclass(frozen=True, slots=True)
class Point:
    """What is killed, and when: at which share of the documents."""

    number: int
    kind: str
    share: float


@dataclass(slots=True)
class Ground:
    """What all points have: a source, its documents, an engine, and how each kind is killed."""

    source: Path
    documents: int
    url: str
    draw: random.Random
    ray: Any = None
    node: str | None = None

    def command(self, index: str, kind: str) -> list[str]:
        """The load; on Ray for its nodes."""
        how = ["--ray", "auto", "--ray-least", "2"] if kind == "ray-node" else []
        plain = [sys.executable, "-m", "hybrid_search", "index", str(self.source), index, "--url", self.url]
        return [*plain, *WORDLESS, *how]

    def start(self, index: str, kind: str) -> subprocess.Popen[bytes]:
        """The load, its words kept for the case that it fails."""
        known = {**os.environ} if self.ray is None else {**os.environ, "RAY_ADDRESS": self.ray.address}
        log = (self.source.parent / f"{index}.log").open("ab")
        return subprocess.Popen(self.command(index, kind), stdout=log, stderr=log, env=known)


def written(folder: Path, documents: int) -> Path:
    """A folder of files with so many small documents."""
    source = folder / "corpus"
    source.mkdir()
    for file in range(FILES):
        numbers = range(file * documents // FILES, (file + 1) * documents // FILES)
        lines = (json.dumps({"_id": f"d{n}", "text": f"Crate {n} holds lamp {n % 97}."}) + "\n" for n in numbers)
        (source / f"part-{file:02d}.jsonl").write_text("".join(lines))
    return source


def there(connection: Connection, index: str) -> int:
    """Documents that are in the index now."""
    try:
        indices.refresh(connection, index)
        return document_count(connection, index)
    except HybridSearchError:  # no index yet, or the engine is away
        return 0


def kill(ground: Ground, kind: str, process: subprocess.Popen[bytes]) -> str:
    """Kill what a point says; what was killed."""
    match kind:
        case "driver":
            process.kill()
            return f"command {process.pid}"
        case "worker":
            workers = [one for one in _children(process) if "spawn_main" in " ".join(one.cmdline())]
            victim = ground.draw.choice(sorted(workers, key=lambda one: one.pid)) if workers else None
            if victim is not None:
                victim.kill()
            return "no worker, all had ended" if victim is None else f"process {victim.pid}"
        case "ray-node":
            victims = sorted(ground.ray.worker_nodes, key=lambda one: one.node_id)
            ground.ray.remove_node(victim := ground.draw.choice(victims), allow_graceful=False)
            ground.ray.add_node(num_cpus=1, object_store_memory=80 << 20)
            return f"node {victim.node_id[:8]}"
    return _kill_server(ground)


def _kill_server(ground: Ground) -> str:
    """Kill one of three servers, and start it again on its data."""
    node = up(ground.node or "")
    member = ground.draw.choice(node.members)
    os.kill(member.pid, signal.SIGKILL)
    time.sleep(ground.draw.uniform(0.0, 5.0))  # the load meets two servers for a while
    up(node.name)
    return f"server {member.name}"


def _children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def run(ground: Ground, point: Point, connection: Connection) -> tuple[int, int]:
    """One point; documents that are lost, and what is there twice."""
    index = f"faults-{uuid4().hex[:8]}"
    began = time.perf_counter()
    process = ground.start(index, point.kind)
    wanted = int(point.share * ground.documents)
    _until(lambda: process.poll() is not None or there(connection, index) >= wanted)
    at, was_running = there(connection, index), process.poll() is None
    killed = kill(ground, point.kind, process)
    runs = 1
    while process.wait(timeout=PATIENCE) != 0 and runs < 4:
        process, runs = ground.start(index, point.kind), runs + 1
    _until(lambda: _is_whole(connection, index))
    documents = there(connection, index)
    passages = indices.count(connection, index)
    lost, twice = ground.documents - documents, passages - documents
    connection.transport.send(_deletion(index))
    print(
        f"{point.number:>3} {point.kind:<11} at {at:>6,} of {ground.documents:,} documents"
        f"{'' if was_running else ' (had ended)'}: {killed}; {runs} run(s), exit {process.returncode},"
        f" lost {lost}, twice {twice}, {time.perf_counter() - began:.1f} s",
        flush=True,
    )
    return lost + (process.returncode != 0), twice


def _is_whole(connection: Connection, index: str) -> bool:
    try:
        indices.count(connection, index)
    except HybridSearchError:
        return False
    return True


def _deletion(index: str) -> Any:
    from hybrid_search.engine.protocols import Request

    return Request("DELETE", f"/{index}")


def _until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < ends:
        time.sleep(0.05)


@contextmanager
def ray_cluster() -> Iterator[Any]:
    """A head without places, and two nodes with one each, as processes of this machine."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        yield cluster
    finally:
        cluster.shutdown()


@contextmanager
def servers(heap: str) -> Iterator[tuple[str, str]]:
    """A local engine of three servers, by its name and address; it is gone afterwards."""
    name = f"faults-{os.getpid()}"
    try:
        yield name, up(name, nodes=3, heap=heap).url
    finally:
        purge(name)


def asked(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", help="the engine; for engine-node one is started")
    parser.add_argument("--points", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documents", type=int, default=12_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS[:3])
    parser.add_argument("--heap", default="384m")
    parser.add_argument("--seconds", type=float, default=3600.0, help="no point begins after so many")
    return parser.parse_args(arguments)


def main() -> int:
    """Run all points; 1 where anything was lost or is there twice."""
    given = asked()
    draw, lost, twice, done, began = random.Random(given.seed), 0, 0, 0, time.monotonic()  # noqa: S311  # no secret
    points = [Point(n, given.kinds[n % len(given.kinds)], draw.uniform(0.0, 0.95)) for n in range(given.points)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["XDG_STATE_HOME"] = (
            str(folder / "state")
            if given.kinds != ["engine-node"]
            else os.environ.get("XDG_STATE_HOME", str(Path.home() / ".local/state"))
        )
        node, url = None, given.url
        if "engine-node" in given.kinds:
            node, url = stack.enter_context(servers(given.heap))
        ray = stack.enter_context(ray_cluster()) if "ray-node" in given.kinds else None
        ground = Ground(written(folder, given.documents), given.documents, url, draw, ray, node)
        connection = stack.enter_context(connect(EngineSettings(url=url)))
        print(f"{given.points} points, seed {given.seed}, {given.documents:,} documents, {', '.join(given.kinds)}")
        for point in points:
            if time.monotonic() - began > given.seconds:
                break
            bad = run(ground, point, connection)
            lost, twice, done = lost + bad[0], twice + bad[1], done + 1
    print(f"{done} points: lost {lost}, twice {twice}")
    return 1 if lost or twice else 0


if __name__ == "__main__":
    sys.exit(main())
