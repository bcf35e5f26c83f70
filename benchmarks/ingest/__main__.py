"""Loading against the vendors' helpers and against the limit: python benchmarks/ingest [--documents N] [--url U].

All peers load the same documents into new indices of the same node, in turn, in one run; each round gives a ratio to
this package's time, and the median of the rounds is printed, so that a machine that is busy for a while weighs on all.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections import defaultdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from corpus import CarriedVectors, Corpus
from peers import Load, bodies, ours, overlapped, peers, send, serialised
from rich.console import Console
from rich.table import Table

from hybrid_search.engine import Connection, connect, indices
from hybrid_search.engine.local import ephemeral
from hybrid_search.ingest.load_settings import flat
from hybrid_search.ingest.target import schema_of
from hybrid_search.settings import EngineSettings, Settings

RESULTS = Path(__file__).parents[1] / "results"
REFERENCE, LIMIT = "hybrid-search", "finished bodies, only sent (the limit)"
OVERLAP = "hybrid-search, encoding takes as long as sending"


def main() -> None:
    """Run the rounds, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url", help="a node to use instead of an own one")
    given = parser.parse_args()
    if given.url:
        measure(given.url, given.documents, given.rounds)
    else:
        with ephemeral(heap="1g") as node:
            measure(node.url, given.documents, given.rounds)


def measure(url: str, documents: int, rounds: int) -> None:
    """All peers in turn, ``rounds`` times."""
    corpus = Corpus(documents)
    with connect(EngineSettings(url=url)) as connection:
        timed(
            connection, Corpus(min(documents, 2_000)), partial(ours, connection)
        )  # the first load warms the engine's compiler
        seconds = rounds_of(connection, corpus, rounds)
        line, vendor_line = serialised(connection, Corpus(2_000))
        engine = f"{connection.dialect.engine} {'.'.join(map(str, connection.dialect.version))}"
    rates = {name: statistics.median(documents / each for each in all_) for name, all_ in seconds.items()}
    ratios = {
        name: statistics.median(theirs / mine for theirs, mine in zip(all_, seconds[REFERENCE], strict=True))
        for name, all_ in seconds.items()
    }
    overlap = statistics.median(both / one for both, one in zip(seconds[OVERLAP], seconds[LIMIT], strict=True))
    figures = {
        "engine": engine,
        "machine": f"{platform.machine()}, {platform.python_version()}",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "documents": documents,
        "rounds": rounds,
        "documents_per_second": {name: round(rate) for name, rate in rates.items()},
        "times_as_fast_as": {name: round(ratio, 2) for name, ratio in ratios.items()},
        "wall_over_slower_stage": round(overlap, 2),
        "microseconds_per_document": {"index_action": round(line * 1e6, 1), "vendor": round(vendor_line * 1e6, 1)},
        "serialisation_ratio": round(vendor_line / line, 1),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"ingest-{connection.dialect.engine}.json").write_text(json.dumps(figures, indent=2) + "\n")
    show(figures)


def rounds_of(connection: Connection, corpus: Corpus, rounds: int) -> dict[str, list[float]]:
    """Seconds of every peer in every round, to the moment when everything can be found."""
    seconds = defaultdict(list)
    for _ in range(rounds):
        for peer in peers(connection):
            seconds[peer.name].append(timed(connection, corpus, peer.load, tuned=peer.tuned))
        sending = limit(connection, corpus)
        seconds[LIMIT].append(sending)
        seconds[OVERLAP].append(timed(connection, corpus, partial(overlapped, connection, encoding=sending)))
    return dict(seconds)


def timed(connection: Connection, corpus: Corpus, load: Load, *, tuned: bool = False) -> float:
    """Seconds of one load into a new index, until everything can be found."""
    index = new_index(connection, tuned=tuned)
    began = time.perf_counter()
    load(corpus, index)
    indices.refresh(connection, index)
    seconds = time.perf_counter() - began
    check_and_delete(connection, index, corpus.count)
    return seconds


def limit(connection: Connection, corpus: Corpus) -> float:
    """Seconds of sending bodies that were built before, until everything can be found."""
    index = new_index(connection, tuned=True)
    prepared = bodies(connection, corpus, index)
    began = time.perf_counter()
    send(connection, prepared)
    indices.refresh(connection, index)
    seconds = time.perf_counter() - began
    check_and_delete(connection, index, corpus.count)
    return seconds


def new_index(connection: Connection, *, tuned: bool) -> str:
    """An index of this package's layout; tuned: with the settings that this package sets for a load by itself."""
    name = f"benchmark-ingest-{uuid4().hex[:8]}"
    indices.create_index(connection, name, schema_of(CarriedVectors(), Settings()))
    if tuned:
        indices.update_settings(connection, name, flat(connection.dialect.load_settings()))
    return name


def check_and_delete(connection: Connection, index: str, documents: int) -> None:
    """A peer that lost documents has no time."""
    found = indices.count(connection, index)
    indices.delete_index(connection, index)
    if found != documents:
        raise RuntimeError(f"{found} of {documents} documents are in {index}")


def show(figures: dict[str, object]) -> None:
    """The table."""
    table = Table("way of loading", "documents/s", "hybrid-search is so many times as fast", box=None)
    rates, ratios = figures["documents_per_second"], figures["times_as_fast_as"]
    for name in rates:  # type: ignore[attr-defined]  # dictionaries, made above
        table.add_row(name, f"{rates[name]:,}", f"{ratios[name]:.2f}")  # type: ignore[index]
    console = Console()
    console.print(table)
    cost = figures["microseconds_per_document"]
    console.print(
        f"Serialisation: {cost['index_action']} us a document, the vendor's {cost['vendor']} us: "  # type: ignore[index]
        f"{figures['serialisation_ratio']} times as cheap. {figures['documents']:,} documents, median of "
        f"{figures['rounds']} rounds, {figures['engine']}. With an encoder on a device of its own that takes as long "
        f"as sending, the whole takes {figures['wall_over_slower_stage']} times as long as either."
    )


if __name__ == "__main__":
    main()
