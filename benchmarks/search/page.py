"""What a page costs: three legs against the slowest of them, and facets, highlights and a cursor beside it.

    python benchmarks/search/page.py --recorded ../shared/data/nfcorpus-splade-v3 --url http://127.0.0.1:9200
    python benchmarks/search/page.py --index scifact --queries ../shared/data/scifact --url http://127.0.0.1:9200

Without ``--index`` it searches 100,000 mixed documents (:mod:`corpus`; made once, and kept), whose queries carry their
vectors. Queries of ``--queries`` are encoded beforehand: all ways wait for the engine alone. Every query is sent in
each way before the next, the first way changes with each. Prints median and 99th percentile of wall milliseconds, and
the ratios of the medians; *own* is what remains of the clock without the requests.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from corpus import CarriedVectors, MixedCorpus
from filling import FIELDS, filled

from hybrid_search import Highlight, read
from hybrid_search.engine import Connection, connect
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.steps import Encode
from hybrid_search.settings import EngineSettings, RerankSettings, Settings

LEGS = ("bm25", "dense", "sparse")
THREE, MORE = "three legs", "facets, highlights, cursor"


def main() -> None:
    """Measure and print."""
    options = arguments()
    settings = Settings(engine=EngineSettings(url=options.url), documents=FIELDS, rerank=RerankSettings(model="none"))
    with connect(settings.engine) as connection:
        index = options.index or filled(connection, settings, options.documents, options.recorded)
        encoder = None if options.index else CarriedVectors()
        with SearchClient(index, settings=settings, connection=connection, encoder=encoder) as client:
            queries = asked(client, options)
            facets = [] if options.index else ["group", "number:20000,40000,60000"]
            extra = {"facets": facets, "highlight": Highlight(meaning=False)}
            ways: dict[str, dict[str, Any]] = {leg: {"legs": [leg]} for leg in LEGS}
            took = measure(client, connection, queries, ways | {THREE: {}, MORE: extra})
    print(f"{index}, {len(queries)} queries, a page of 10")
    print(f"{'':<28} {'p50 ms':>8} {'p99 ms':>8} {'own p50':>8} {'own p99':>8}")
    for way, samples in took.items():
        wall, own = np.percentile(samples, [50, 99], axis=0).T
        print(f"{way:<28} {wall[0]:8.1f} {wall[1]:8.1f} {own[0]:8.2f} {own[1]:8.2f}")
    medians = {way: float(np.median([wall for wall, _ in samples])) for way, samples in took.items()}
    slowest = max(LEGS, key=medians.__getitem__)
    print(f"three legs / {slowest} alone: {medians[THREE] / medians[slowest]:.2f}")
    print(f"{MORE} / without: {medians[MORE] / medians[THREE]:.2f}")


def asked(client: SearchClient, options: argparse.Namespace) -> Sequence[Query]:
    """Queries with their vectors."""
    if not options.index:
        return MixedCorpus(0, options.recorded).queries()[: options.searches]
    plain = read.queries(options.queries)[: options.searches]
    vectors = client.searcher.ask_model(Encode([query.text for query in plain], 600.0)).vectors
    return [
        replace(query, dense=None if vectors.dense is None else vectors.dense[n], sparse=vectors.sparse[n])
        for n, query in enumerate(plain)
    ]


def measure(
    client: SearchClient, connection: Connection, queries: Sequence[Query], ways: dict[str, dict[str, Any]]
) -> dict[str, list[tuple[float, float]]]:
    """Wall and own milliseconds of each search, by way."""
    waited: list[float] = []
    send = type(connection).send

    def timed(self: Connection, request: Any) -> Any:
        begin = time.perf_counter()
        try:
            return send(self, request)
        finally:
            waited.append(time.perf_counter() - begin)

    type(connection).send = timed  # type: ignore[method-assign]  # the seam of every request
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    names = list(ways)
    for n, query in enumerate([*queries[:20], *queries]):
        for way in names[n % len(names) :] + names[: n % len(names)]:
            waited.clear()
            begin = time.perf_counter()
            _ = client.search(query, **ways[way]).cursor if way == MORE else client.search(query, **ways[way])
            wall = time.perf_counter() - begin
            if n >= 20:  # the first ones warm the caches up
                took[way].append((wall * 1000, (wall - sum(waited)) * 1000))
    return took


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recorded", type=Path, help="recorded SPLADE vectors of documents and queries")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--index", help="an index that is there, instead of a mixed one")
    parser.add_argument("--queries", type=Path, help="the queries of that index")
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--url", help="the cluster (default: the local node)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
