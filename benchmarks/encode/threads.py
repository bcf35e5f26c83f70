"""What waiting threads cost: passages encoded alone and beside busy neighbours, spinning and asleep, interleaved.

    python benchmarks/encode/threads.py [passages] [rounds]

Each cell is a process of its own, because OpenMP reads how it waits when it is loaded. The default model, passages of
250 tokens; on a machine with other work the ratios of one round are what counts, and the processor time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

WAYS = {"spinning": {"OMP_WAIT_POLICY": "ACTIVE"}, "as torch comes": {"GOMP_SPINCOUNT": None}, "asleep (ours)": {}}
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
CHILD = """
import json, resource, sys, time
if sys.argv[2] == "torch":
    import torch
from hybrid_search.encode.dense import load_dense
from hybrid_search.settings import DenseSettings
encoder = load_dense(DenseSettings(device="cpu"))
texts = [f"{n} " + "the weather is lovely today and " * 41 for n in range(int(sys.argv[1]))]
encoder.encode_documents(texts[:8])
before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
encoder.encode_documents(texts)
wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
import torch
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"wall": wall, "cpu": cpu, "threads": torch.get_num_threads()}))
"""


def encode(way: str, passages: int) -> dict[str, float]:
    """Seconds of wall and processor time of one process."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment |= {name: value for name, value in WAYS[way].items() if value}
    first = "torch" if way == "as torch comes" else "ours"  # torch imported before the package can say anything
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(passages), first], capture_output=True, text=True, env=environment, check=True
    )
    measured: dict[str, float] = json.loads(ran.stdout)
    return measured


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that do nothing but count."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main(passages: int = 64, rounds: int = 3) -> None:
    """Print one line for each way, alone and beside one busy process per core."""
    cores = len(os.sched_getaffinity(0))
    print(f"{passages} passages of 250 tokens, {cores} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%F %R')}")
    for busy in (0, cores):
        taken: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        with neighbours(busy):
            for _ in range(rounds):
                for way in WAYS:
                    taken[way].append(encode(way, passages))
        for way, runs in taken.items():
            wall, cpu = (statistics.median(run[key] for run in runs) for key in ("wall", "cpu"))
            every = " ".join(f"{run['wall']:.1f}/{run['cpu']:.1f}" for run in runs)
            threads = runs[0]["threads"]
            print(f"{busy} busy, {way:16} {threads} threads: wall {wall:6.1f} s, processor {cpu:6.1f} s  ({every})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
