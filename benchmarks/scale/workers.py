"""What a second worker gains, and what Ray costs: python benchmarks/scale/workers.py --url URL [--rounds 3].

The same documents are loaded by one process, ``--workers 1`` has no other meaning; by one whose models have one thread
(as each of two workers has on two cores); by two local workers; and by one and two workers on a Ray of this machine, in
turn, in every round, after a round that is not counted. Cores' limit: two busy loops beside each other against
one alone, measured in the same run, for a machine that others use gives less than two. Figures are medians over rounds
of ratios within a round. What is timed is ``wall`` of the report: from the first worker's start to the end of the load,
and for Ray without the start of Ray itself, which is stated.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from faults import written

from hybrid_search.engine import connect
from hybrid_search.engine.protocols import Request
from hybrid_search.settings import EngineSettings

WORDLESS = ("--set", "dense.model=none", "--set", "sparse.model=idf", "--no-cache", "--json")
ONE_THREAD = "one thread"
WAYS = {
    "one process": (),
    ONE_THREAD: (),
    "2 workers": ("--workers", "2"),
    "1 on Ray": ("--ray", "local", "--ray-cpus", "1"),
    "2 on Ray": ("--ray", "local", "--workers", "2", "--ray-least", "2", "--ray-cpus", "1"),
}


def spin(turns: int = 20_000_000) -> None:
    """Keep a core busy."""
    for _ in range(turns):
        pass


def cores_limit() -> float:
    """How much faster two cores do two loops than one does both: 2 on a quiet machine with two."""
    took = []
    for count in (1, 2):
        loops = [multiprocessing.Process(target=spin) for _ in range(count)]
        began = time.perf_counter()
        for loop in loops:
            loop.start()
        for loop in loops:
            loop.join()
        took.append(time.perf_counter() - began)
    return 2 * took[0] / took[1]


def load(source: Path, url: str, way: str, model: str | None) -> tuple[float, float]:
    """Seconds of the load by its report, and of the whole command."""
    options, known = WAYS[way], {**os.environ, **({"OMP_NUM_THREADS": "1"} if way == ONE_THREAD else {})}
    index = f"scale-{uuid4().hex[:8]}"
    words = WORDLESS if model is None else ("--set", f"dense.model={model}", *WORDLESS[2:])
    command = [sys.executable, "-m", "hybrid_search", "index", str(source), index, "--url", url, *words, *options]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=known)
    whole = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    with connect(EngineSettings(url=url)) as connection:
        connection.transport.send(Request("DELETE", f"/{index}"))
    return json.loads(done.stdout)["wall"], whole


def main() -> None:
    """Print a line for each way and round, and the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--documents", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", help="a dense model, to encode as well")
    given = parser.parse_args()
    walls: dict[str, list[float]] = {name: [] for name in WAYS}
    wholes: dict[str, list[float]] = {name: [] for name in WAYS}
    limits = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        source = written(Path(folder), given.documents)
        for name in WAYS:
            load(source, given.url, name, given.model)
        for number in range(given.rounds):
            limits.append(cores_limit())
            for name in WAYS:
                wall, whole = load(source, given.url, name, given.model)
                walls[name].append(wall)
                wholes[name].append(whole)
                print(f"round {number}: {name:<12} {wall:6.1f} s, command {whole:6.1f} s", flush=True)
    print(f"{given.documents:,} documents, {given.rounds} rounds, load average {os.getloadavg()[0]:.1f}")
    print(f"cores' limit {statistics.median(limits):.2f}")
    for name in list(WAYS)[1:]:
        ratio = statistics.median(one / other for one, other in zip(walls["one process"], walls[name], strict=True))
        whole = statistics.median(one / other for one, other in zip(wholes["one process"], wholes[name], strict=True))
        print(f"{name:<12} {ratio:.2f} times as fast as one process; the whole command {whole:.2f} times")


if __name__ == "__main__":
    main()
