"""A load of 50 million documents, simulated: what 1 to 64 GPUs on 1 to 3 machines and 1 to 12 engine nodes make of it.

    python benchmarks/scale/simulate.py > benchmarks/results/scale-simulation.txt

A discrete-event simulation (simpy): the unit is a body of passages. Each GPU has a process that reads, cuts and writes
its passages on a core of its machine, and encodes them on the GPU; bounded queues between the stages hold as much as
those of the package, so back-pressure reaches the readers. A body is cut into as many pieces as there are shards, four
a node; a node writes as many pieces at once as it has cores. Service times are drawn from a gamma distribution of
coefficient of variation .3 around what was measured.

What was measured, and where; nothing of a GPU was measured here, so that the times of three kinds are assumed:

  client    77 us a passage for reading, checking and serialising (benchmarks/results/ingest-opensearch.json,
            client_us_per_document), and 25 us for cutting into passages, which is assumed
  engine    1,128 us of a core a passage of 384 dimensions (the same file, engine_us_per_document), 16 cores a node: a
            node takes 16 / 1,128 us = 14,184 passages/s at most; with a replica every passage is written twice
  encoder   assumed rates of passages of 128 tokens with both models: 500/s (SPLADE and MiniLM on an older card),
            2,000/s, and 8,000/s (a small model, or a distilled one, on a current card)
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import simpy

DOCUMENTS = 50_000_000
PASSAGES_EACH = 2
BODY = 1_000
"""Passages of a body (hybrid_search.ingest.stages.bodies.MOST_ACTIONS)."""

CLIENT = 77e-6 + 25e-6
ENGINE = 1_128e-6
CORES_OF_NODE = 16
CORES_OF_MACHINE = 32
AHEAD = 2
"""Bodies between two stages (hybrid_search.ingest.stages.overlap.CHANNEL_CAPACITY)."""

SENDERS = 2
VARIATION = 0.3
SIMULATED = 2_000
"""Bodies of a run: the rate is steady after some hundred, so that the whole is their rate times all bodies."""


@dataclass(frozen=True)
class Site:
    """What is bought."""

    gpus: int
    machines: int
    nodes: int
    rate: float
    replicas: int = 0
    shards: int = 0

    @property
    def pieces(self) -> int:
        """Of a body: one for each shard, four shards a node unless it is said."""
        return self.shards or 4 * self.nodes


@dataclass
class Busy:
    """Seconds in which each kind of thing worked, over all of them."""

    encode: float = 0.0
    client: float = 0.0
    engine: float = 0.0


def around(mean: float, draw: random.Random) -> float:
    """A service time."""
    shape = 1 / VARIATION**2
    return draw.gammavariate(shape, mean / shape)


class Load:
    """One run."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site, self.draw, self.busy = site, random.Random(seed), Busy()  # noqa: S311  # no secret
        self.world = simpy.Environment()
        self.cores = [simpy.Resource(self.world, CORES_OF_MACHINE) for _ in range(site.machines)]
        self.engine = simpy.Resource(self.world, site.nodes * CORES_OF_NODE)
        self.left, self.done, self.at_half = SIMULATED, 0, 0.0

    def run(self) -> tuple[float, Busy, float]:
        """Bodies a second in the second half, what was busy, and the seconds of the run."""
        for gpu in range(self.site.gpus):
            read, encoded = (simpy.Store(self.world, AHEAD) for _ in range(2))
            self.world.process(self.reads(gpu % self.site.machines, read))
            self.world.process(self.encodes(read, encoded))
            for _ in range(SENDERS):
                self.world.process(self.sends(encoded))
        self.world.run()
        return (SIMULATED / 2) / (self.world.now - self.at_half), self.busy, self.world.now

    def reads(self, machine: int, out: simpy.Store) -> Iterator[Any]:
        while self.left > 0:
            self.left -= 1
            with self.cores[machine].request() as core:
                yield core
                seconds = around(BODY * CLIENT, self.draw)
                yield self.world.timeout(seconds)
                self.busy.client += seconds
            yield out.put(1)
        yield out.put(None)

    def encodes(self, given: simpy.Store, out: simpy.Store) -> Iterator[Any]:
        while (yield given.get()) is not None:
            seconds = around(BODY / self.site.rate, self.draw)
            yield self.world.timeout(seconds)
            self.busy.encode += seconds
            yield out.put(1)
        for _ in range(SENDERS):
            yield out.put(None)

    def sends(self, given: simpy.Store) -> Iterator[Any]:
        while (yield given.get()) is not None:
            copies = [self.world.process(self.written()) for _ in range(self.site.pieces * (1 + self.site.replicas))]
            yield self.world.all_of(copies)
            self.done += 1
            if self.done == SIMULATED // 2:
                self.at_half = self.world.now

    def written(self) -> Iterator[Any]:
        """The part of a body that one copy of one shard takes, by a thread of the write pool of its node."""
        with self.engine.request() as thread:
            yield thread
            seconds = around(BODY * ENGINE / self.site.pieces, self.draw)
            yield self.world.timeout(seconds)
            self.busy.engine += seconds


def row(site: Site, seed: int) -> str:
    """A line of the table."""
    rate, busy, seconds = Load(site, seed).run()
    hours = DOCUMENTS * PASSAGES_EACH / BODY / rate / 3600
    shares = {
        "GPUs": busy.encode / seconds / site.gpus,
        "processors": busy.client / seconds / (site.machines * CORES_OF_MACHINE),
        "engine": busy.engine / seconds / (site.nodes * CORES_OF_NODE),
    }
    senders = "" if max(shares.values()) > 0.8 else "; none is full: bodies in flight"
    most = max(shares, key=lambda name: shares[name])
    said = "  ".join(f"{share:6.0%}" for share in shares.values())
    return (
        f"{site.gpus:5} {site.machines:9} {site.nodes:6} {site.replicas:9} {site.rate:10,.0f} {rate * BODY:12,.0f}"
        f" {hours:8.1f}   {said}   {most}{senders}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=7)
    seed = parser.parse_args().seed
    print(f"python benchmarks/scale/simulate.py   ({DOCUMENTS:,} documents of {PASSAGES_EACH} passages, simulated)")
    print(" gpus  machines  nodes  replicas passages/s   passages/s    hours     GPUs   procs.  engine   what is full")
    print("                                  of a GPU    altogether")
    for rate in (500.0, 2_000.0, 8_000.0):
        for gpus in (1, 8, 64):
            for machines in (1, 3):
                for nodes in (1, 3, 12):
                    if machines <= gpus:
                        print(row(Site(gpus, machines, nodes, rate), seed), flush=True)
    print("one shard for all, where two bodies of a worker are written by one thread each:")
    for gpus, nodes in ((1, 3), (8, 3), (64, 12)):
        print(row(Site(gpus, 1, nodes, 8_000.0, shards=1), seed), flush=True)
    print("with a replica while loading (bulk mode has none):")
    for gpus, nodes in ((8, 3), (64, 12)):
        for replicas in (0, 1):
            print(row(Site(gpus, 3, nodes, 2_000.0, replicas), seed), flush=True)


if __name__ == "__main__":
    main()
