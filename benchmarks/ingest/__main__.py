"""Loading against the vendors' helpers and against the limit: python benchmarks/ingest [--documents N] [--url U].

All peers load the same documents into new indices of the same node, in turn, in one run; each round gives a ratio to
this package's time, and the median of the rounds is printed, so that a machine that is busy for a while weighs on all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from corpus import CarriedVectors, Corpus
from peers import Load, bodies, ours, overlapped, peers, send, serialised
from rich.console import Console
from rich.table import Table

from hybrid_search.engine import Connection, connect, indices
from hybrid_search.engine.local import down, up
from hybrid_search.engine.local.state import node_folder
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest.state.lease import flat
from hybrid_search.ingest.target import schema_of
from hybrid_search.settings import EngineSettings, Settings

RESULTS = Path(__file__).parents[1] / "results"
REFERENCE, LIMIT = "hybrid-search", "finished bodies, only sent (the limit)"
OVERLAP = "hybrid-search, encoding takes as long as sending"


def main() -> None:
    """Run the rounds, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url", help="a node to use instead of an own one")
    given = parser.parse_args()
    with nullcontext(given.url) if given.url else own_node() as url:
        measure(url, given.documents, given.rounds)


@contextmanager
def own_node() -> Iterator[str]:
    """A node with all of Java's compilers; those of the tests start faster and stay slower."""
    name = f"benchmark-{uuid4().hex[:8]}"
    try:
        yield up(name, heap="2g").url
    finally:
        down(name)
        shutil.rmtree(node_folder(name))


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one load: seconds until everything can be found, processor seconds of this process and of the engine."""

    wall: float
    client: float
    engine: float


def measure(url: str, documents: int, rounds: int) -> None:
    """All peers in turn, ``rounds`` times."""
    corpus = Corpus(documents)
    with connect(EngineSettings(url=url)) as connection:
        timed(connection, corpus, partial(ours, connection))  # the first load warms the engine's compiler
        costs = rounds_of(connection, corpus, rounds)
        line, vendor_line = serialised(connection, Corpus(2_000))
        engine = f"{connection.dialect.engine} {'.'.join(map(str, connection.dialect.version))}"
    figures = {
        "engine": engine,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "documents": documents,
        "rounds": rounds,
        "ways": {name: row(all_, costs[REFERENCE], documents) for name, all_ in costs.items()},
        "wall_over_slower_stage": quotient(costs[OVERLAP], costs[LIMIT]),
        "microseconds_per_document": {"index_action": round(line * 1e6, 1), "vendor": round(vendor_line * 1e6, 1)},
        "serialisation_ratio": round(vendor_line / line, 1),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"ingest-{connection.dialect.engine}.json").write_text(json.dumps(figures, indent=2) + "\n")
    show(figures)


def row(costs: Sequence[Cost], reference: Sequence[Cost], documents: int) -> dict[str, float]:
    """Medians of the rounds; ``times_as_fast`` is how many times as fast as this way the reference is."""
    return {
        "documents_per_second": round(statistics.median(documents / one.wall for one in costs)),
        "times_as_fast": quotient(costs, reference),
        "client_us_per_document": round(statistics.median(one.client for one in costs) / documents * 1e6),
        "engine_us_per_document": round(statistics.median(one.engine for one in costs) / documents * 1e6),
    }


def quotient(costs: Sequence[Cost], others: Sequence[Cost]) -> float:
    """The median over the rounds of how many times as long as the other a load takes."""
    return round(statistics.median(one.wall / other.wall for one, other in zip(costs, others, strict=True)), 2)


def rounds_of(connection: Connection, corpus: Corpus, rounds: int) -> dict[str, list[Cost]]:
    """The costs of every way of loading in every round."""
    costs = defaultdict(list)
    for _ in range(rounds):
        for peer in peers(connection):
            costs[peer.name].append(timed(connection, corpus, peer.load, tuned=peer.tuned))
        sending = limit(connection, corpus)
        costs[LIMIT].append(sending)
        costs[OVERLAP].append(timed(connection, corpus, partial(overlapped, connection, encoding=sending.wall)))
    return dict(costs)


def timed(connection: Connection, corpus: Corpus, load: Load, *, tuned: bool = False) -> Cost:
    """The cost of one load into a new index, until everything can be found."""
    index = new_index(connection, tuned=tuned)
    return cost(connection, index, corpus.count, partial(load, corpus, index))


def limit(connection: Connection, corpus: Corpus) -> Cost:
    """The cost of sending bodies that were built before, until everything can be found."""
    index = new_index(connection, tuned=True)
    return cost(connection, index, corpus.count, partial(send, connection, bodies(connection, corpus, index)))


def cost(connection: Connection, index: str, documents: int, load: Callable[[], None]) -> Cost:
    """What a load costs that fills ``index``, which is deleted; a way that lost documents has no cost."""
    engine, client, began = engine_seconds(connection), time.process_time(), time.perf_counter()
    load()
    indices.refresh(connection, index)
    wall, client = time.perf_counter() - began, time.process_time() - client
    found = indices.count(connection, index)
    indices.delete_index(connection, index)
    if found != documents:
        raise RuntimeError(f"{found} of {documents} documents are in {index}")
    return Cost(wall, client, engine_seconds(connection) - engine)


def engine_seconds(connection: Connection) -> float:
    """Processor seconds that the engine has used so far, as it says itself."""
    nodes = connection.send(Request.json("GET", "/_nodes/stats/process"))["nodes"].values()
    return sum(node["process"]["cpu"]["total_in_millis"] for node in nodes) / 1000


def new_index(connection: Connection, *, tuned: bool) -> str:
    """An index of this package's layout; tuned: with the settings that this package sets for a load by itself."""
    name = f"benchmark-ingest-{uuid4().hex[:8]}"
    indices.create_index(connection, name, schema_of(CarriedVectors(), Settings()))
    if tuned:
        indices.update_settings(connection, name, flat(connection.dialect.load_settings()))
    return name


def show(figures: Mapping[str, Any]) -> None:
    """The table, and what it says."""
    table = Table("way of loading", "documents/s", "hybrid-search is\nso many times as fast", box=None)
    for head in ("client,\nus/document", "engine,\nus/document"):
        table.add_column(head, justify="right")
    for name, way in figures["ways"].items():
        table.add_row(
            name,
            f"{way['documents_per_second']:,}",
            f"{way['times_as_fast']:.2f}",
            *(f"{way[f'{side}_us_per_document']:,}" for side in ("client", "engine")),
        )
    console = Console(width=100)
    console.print(table)
    line = figures["microseconds_per_document"]
    console.print(
        f"{figures['documents']:,} documents, median of {figures['rounds']} rounds, {figures['engine']}, "
        f"{figures['machine']}. From vectors to bulk lines: {line['index_action']} us a document, the vendor's "
        f"{line['vendor']} us: {figures['serialisation_ratio']} times as cheap. With an encoder on a device of its own "
        f"that takes as long as sending, the whole takes {figures['wall_over_slower_stage']} times as long as either."
    )


if __name__ == "__main__":
    main()
