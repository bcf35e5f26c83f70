"""Sparse search in one and in two phases, and what reading stored ids costs: time ratios and recall.

    python benchmarks/search/sparse.py --recorded ../shared/data/nfcorpus-splade-v3 --url http://127.0.0.1:9200

Every query is sent in all ways before the next, the first way changes with each; the bodies are those of the package.
Prints the medians of wall milliseconds, the engine's own, the ratio of the sums to search in one phase, and the share
of its ten best passages that the way has among its own ten best.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

from corpus import MixedCorpus
from filling import filled

from hybrid_search.engine import Connection, connect
from hybrid_search.engine.protocols import Request
from hybrid_search.records import SparseVector
from hybrid_search.search import legs
from hybrid_search.settings import EngineSettings, Settings

SHARES = (0.2, 0.4, 0.6)
BEST = 10

Body = Callable[[SparseVector], Mapping[str, Any]]


def main() -> None:
    """Measure and print."""
    options = arguments()
    settings = Settings(engine=EngineSettings(url=options.url))
    queries = MixedCorpus(0, options.recorded).queries()[: options.searches]
    vectors = [{term: float(weight) for term, weight in (query.sparse or {}).items()} for query in queries]
    print(f"{options.documents:,} documents, {len(vectors)} queries of {mean(map(len, vectors)):.1f} terms")
    with connect(settings.engine) as connection:
        index = filled(connection, settings, options.documents, options.recorded)
        for size in options.sizes:
            measure(connection, index, ways(size), vectors, f"{size} passages")


def ways(size: int) -> dict[str, Body]:
    """Search bodies by what they are called."""

    def one(vector: SparseVector) -> Mapping[str, Any]:
        return legs.passage_search(legs.sparse(vector), size=size, timeout=60)

    def with_ids(vector: SparseVector) -> Mapping[str, Any]:
        return {**one(vector), "stored_fields": ["_id"]}

    def phases(share: float) -> Body:
        return lambda vector: legs.passage_search(
            legs.sparse_in_two_phases(vector, share=share, size=size), size=size, timeout=60
        )

    return {"one phase": one, "the same, ids read": with_ids} | {f"two phases, {s:g}": phases(s) for s in SHARES}


def measure(
    connection: Connection, index: str, ways: Mapping[str, Body], vectors: list[SparseVector], title: str
) -> None:
    """One table."""
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    recall: dict[str, list[float]] = {way: [] for way in ways}
    names = list(ways)
    for n, vector in enumerate(vectors):
        found = {}
        for way in names[n % len(names) :] + names[: n % len(names)]:
            begin = time.perf_counter()
            answer = connection.send(Request.json("POST", f"/{index}/_search", ways[way](vector)))
            took[way].append(((time.perf_counter() - begin) * 1000, answer["took"]))
            found[way] = {legs.passage_id(hit) for hit in answer["hits"]["hits"][:BEST]}
        for way, ids in found.items():
            recall[way].append(len(ids & found[names[0]]) / max(1, len(found[names[0]])))
    print(f"\n{title:<22} {'wall ms':>8} {'engine ms':>10} {'time':>6} {'recall@10':>10}")
    whole = sum(wall for wall, _ in took[names[0]])
    for way in names:
        walls, engines = zip(*took[way], strict=True)
        ratio = sum(walls) / whole
        print(f"{way:<22} {median(walls):8.1f} {median(engines):10.1f} {ratio:6.2f} {mean(recall[way]):10.3f}")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recorded", type=Path, required=True, help="recorded SPLADE vectors of documents and queries")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=323)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 200])
    parser.add_argument("--url", help="the cluster (default: the local node)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
