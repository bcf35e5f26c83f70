"""Compare, verify and delete against release 0.1's way: python benchmarks/ingest/maintain.py --url U [--documents N].

Both ways do the same work on the same index, in turn, in one run. Release 0.1's way is kept in ``one_by_one``: one
request at a time, a tree of aggregations under each document, a refresh before every page that is deleted. The engine's
processor time is its process's own where the node is on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
import one_by_one
import psutil
from corpus import CarriedVectors
from rich.console import Console
from rich.table import Table

from hybrid_search.engine import Connection, connect, indices
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.load import COMPARING
from hybrid_search.ingest.maintain.remove import delete_missing, delete_where
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.stages.compare import Comparison, grouped
from hybrid_search.ingest.stages.overlap import side_by_side
from hybrid_search.ingest.stages.prepare import Checking, numbered
from hybrid_search.ingest.state.indexed import indexed_documents
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.work import Batch, NumberedDocument
from hybrid_search.records import Document, Fingerprint
from hybrid_search.settings import ChunkingSettings, DocumentSettings, EngineSettings, Settings

RESULT = Path(__file__).parents[1] / "results" / "ingest-maintain.json"
DIMENSION = 16
SOURCE = "documents"
SETTINGS = Settings(documents=DocumentSettings(number=("n",)))
CHUNKING = ChunkingSettings()

Checked = Batch[NumberedDocument]
Step = Callable[[], None]


class SmallVectors(CarriedVectors):
    """The encoder of documents that carry 16 dimensions, so that loading them does not take longer than the rest."""

    dense = Fingerprint("dense", "generated", "0" * 16, dimension=DIMENSION, normalized=False)
    sparse = None  # type: ignore[assignment]  # a protocol's optional leg


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one step: on the wall, of this process's processor time, and of the engine's (NaN where unknown)."""

    wall: float
    client: float
    engine: float


def main() -> None:
    """Measure, print and keep the figures, those of each engine beside those of the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", required=True, help="the node")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    figures = measure(given.url, given.documents, given.rounds)
    all_ = json.loads(given.result.read_text()) if given.result.exists() else {}
    given.result.write_text(json.dumps({**all_, figures["engine"]: figures}, indent=2) + "\n")
    show(figures)


def measure(url: str, documents: int, rounds: int) -> dict[str, Any]:
    """All steps in both ways, ``rounds`` times, on an index that is deleted again."""
    index = f"benchmark-maintain-{uuid4().hex[:8]}"
    with connect(EngineSettings(url=url)) as connection:
        try:
            costs = [one_round(connection, index, documents, node(url)) for _ in range(rounds)]
        finally:
            indices.delete_index(connection, index)
        engine = f"{connection.dialect.engine} {'.'.join(map(str, connection.dialect.version))}"
    return {
        "engine": engine,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_average": [round(one, 1) for one in os.getloadavg()],
        "documents": documents,
        "rounds": rounds,
        "steps": {step: row([one[step] for one in costs], documents) for step in costs[0]},
    }


def one_round(
    connection: Connection, index: str, documents: int, engine: psutil.Process | None
) -> dict[str, tuple[Cost, Cost]]:
    """The costs of every step: before, and now. Each finds the same documents; what was deleted is loaded again."""
    corpus = list(made(documents))
    batches = checked(corpus, connection, index)
    name = {"source": SOURCE}
    steps: dict[str, tuple[Step, Step]] = {
        "compare": (
            partial(one_by_one.compare, connection, index, batches),
            partial(compare, connection, index, batches),
        ),
        "verify": (
            partial(one_by_one.verify, corpus, index, connection, CHUNKING, **name),
            lambda: equal(verify(corpus, index, connection, CHUNKING, **name).is_equal),
        ),
        "delete_where": (
            partial(one_by_one.delete_where, connection, index, {"term": {"source": SOURCE}}),
            lambda: equal(delete_where(connection, index, {"term": {"source": SOURCE}}) == documents),
        ),
        "delete_missing": (
            partial(one_by_one.delete_missing, connection, index, SOURCE, iter),
            lambda: equal(delete_missing(connection, index, SOURCE, iter) == documents),
        ),
    }
    measured = partial(cost, connection=connection, index=index, corpus=corpus, node=engine)
    return {step: (measured(before), measured(now)) for step, (before, now) in steps.items()}


def made(count: int) -> Iterator[Document]:
    """Documents of ten words that carry their vectors."""
    random = np.random.default_rng(1)
    for number in range(count):
        text = f"the text of document {number} is about as short as this"
        yield Document(f"document-{number:07}", text, {"n": number}, random.standard_normal(DIMENSION, np.float32))


def checked(corpus: Sequence[Document], connection: Connection, index: str) -> list[Checked]:
    """The documents as they come to the comparison; they are loaded first."""
    load(connection, index, corpus)
    check = Checking(indices.open_index(connection, index).schema, CHUNKING, lambda _: True, keeps_bad=False)
    return [check(batch) for batch in numbered(corpus, Intervals(), lambda _: True)]


def load(connection: Connection, index: str, corpus: Sequence[Document]) -> None:
    """Make the index hold the documents, and look that it does."""
    index_documents(corpus, index, connection, SmallVectors(), SETTINGS, source=SOURCE)
    indices.refresh(connection, index)
    equal(indices.open_index(connection, index).name == index and count(connection, index) == len(corpus))


def count(connection: Connection, index: str) -> int:
    """Passages; the document of the loads' state is none."""
    return indices.count(connection, index, {"exists": {"field": "doc_id"}})


def compare(connection: Connection, index: str, batches: Sequence[Checked]) -> None:
    """The stage of an unchanged load, as the load composes it."""
    comparison = Comparison(lambda ids: indexed_documents(connection, index, ids), SOURCE, take_over=False, where=index)
    groups = side_by_side(grouped(batches), comparison.together, COMPARING)
    equal(not any(batch.items for group in groups for batch in group))


def equal(is_so: bool) -> None:
    """A way that did not do the work has no cost."""
    if not is_so:
        raise RuntimeError("the index does not hold what it should")


def cost(
    step: Step, connection: Connection, index: str, corpus: Sequence[Document], node: psutil.Process | None
) -> Cost:
    """The cost of one step on the whole index, without answers that the engine remembers."""
    if count(connection, index) != len(corpus):
        load(connection, index, corpus)
    connection.send(Request.json("POST", f"/{index}/_cache/clear"))
    engine, client, began = engine_seconds(node), time.process_time(), time.perf_counter()
    step()
    return Cost(time.perf_counter() - began, time.process_time() - client, engine_seconds(node) - engine)


def node(url: str) -> psutil.Process | None:
    """The process that listens at the URL, where it is on this machine and may be looked at."""
    port = urlsplit(url).port
    try:
        found = [one.pid for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.laddr.port == port]
        return psutil.Process(found[0]) if found and found[0] else None
    except psutil.Error:
        return None


def engine_seconds(node: psutil.Process | None) -> float:
    """Processor seconds that the engine has used so far."""
    if node is None:
        return float("nan")
    times = node.cpu_times()
    return float(times.user + times.system)


def row(costs: Sequence[tuple[Cost, Cost]], documents: int) -> dict[str, Any]:
    """Medians of the rounds; the ratio is the median of the rounds' own ratios."""
    before, now = ([pair[way] for pair in costs] for way in (0, 1))
    return {
        "before": side(before, documents),
        "now": side(now, documents),
        "times_as_fast": round(statistics.median(old.wall / new.wall for old, new in costs), 2),
        "engine_work_ratio": round(statistics.median(old.engine / max(new.engine, 0.01) for old, new in costs), 2),
    }


def side(costs: Sequence[Cost], documents: int) -> dict[str, float]:
    """``engine_cores`` is how many cores the engine kept busy: near those there are, the node is the limit."""
    return {
        "documents_per_second": round(statistics.median(documents / one.wall for one in costs)),
        "client_us_per_document": round(statistics.median(one.client for one in costs) / documents * 1e6, 1),
        "engine_us_per_document": round(statistics.median(one.engine for one in costs) / documents * 1e6, 1),
        "client_cores": round(statistics.median(one.client / one.wall for one in costs), 2),
        "engine_cores": round(statistics.median(one.engine / one.wall for one in costs), 2),
    }


def show(figures: Mapping[str, Any]) -> None:
    """The table, and on what it was measured."""
    table = Table(
        "step", "way", "documents/s", "times", "client us", "engine us", "client cores", "engine cores", box=None
    )
    for step, both in figures["steps"].items():
        for way in ("before", "now"):
            one = both[way]
            per = (f"{one[f'{side}_us_per_document']:,}" for side in ("client", "engine"))
            cores = (f"{one[f'{side}_cores']}" for side in ("client", "engine"))
            times = f"{both['times_as_fast']}" if way == "now" else ""
            table.add_row(step, way, f"{one['documents_per_second']:,}", times, *per, *cores)
    console = Console(width=110)
    console.print(table)
    console.print(
        f"{figures['documents']:,} documents, {figures['rounds']} rounds, {figures['engine']}, {figures['machine']}"
    )


if __name__ == "__main__":
    main()
