"""One round trip or two: stored passages of every window at once, or ids first and then what is shown.

    python benchmarks/search/round_trips.py INDEX --queries ../shared/data/nfcorpus --url http://127.0.0.1:9200

Sends the very requests of :class:`SearchClient` (a page of 10 from three legs), and in turn the same legs with the
stored passages of all their hits in the answer. A third way lets the engine collapse passages to documents, which
spares asking again for a window that was not filled. Prints median milliseconds and the ratio to what the package
does; every query is sent in all three ways before the next.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import orjson

from hybrid_search import read
from hybrid_search.engine import Connection, connect, layout
from hybrid_search.engine.protocols import Request
from hybrid_search.search import SearchClient
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.steps import Send, Step, run
from hybrid_search.settings import EngineSettings, Settings


def main() -> None:
    """Measure and print."""
    options = arguments()
    settings = Settings(engine=EngineSettings(url=options.url))
    legs = None if options.legs is None else options.legs.split(",")
    with connect(settings.engine) as connection:
        client = SearchClient(options.index, settings=settings, connection=connection)
        ways: dict[str, Callable[[list[Request]], list[Request]]] = {
            "two round trips": lambda requests: requests,
            "one round trip": lambda requests: [with_sources(requests[0])],
            "two, engine collapses": lambda requests: [collapsed(requests[0]), requests[-1]],
        }
        took: dict[str, list[float]] = {way: [] for way in ways}
        for query in read.queries(options.queries)[: options.searches]:
            requests = requests_of(client, connection, query.text, legs)
            for way, change in ways.items():
                took[way].append(milliseconds(connection, change(requests)))
    ours = median(took["two round trips"])
    for way, samples in took.items():
        print(f"{way:<24} {median(samples):8.2f} ms  {median(samples) / ours:5.2f}")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("index")
    parser.add_argument("--queries", type=Path, required=True, help="JSON lines, TSV or a BEIR folder")
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--legs", help="bm25,dense,sparse (default: all of the index)")
    parser.add_argument("--url", help="the cluster (default: the local node)")
    return parser.parse_args()


def requests_of(client: SearchClient, connection: Connection, text: str, legs: list[str] | None) -> list[Request]:
    """What the client sends for one search."""
    sent: list[Request] = []

    def carry_out(step: Step) -> object:
        if isinstance(step, Send):
            sent.append(step.request)
            return connection.send(step.request)
        return client.searcher.ask_model(step)

    run(client.searcher.search([text], SearchRequest.of(legs=legs, rerank=False)), carry_out)
    return sent


def milliseconds(connection: Connection, requests: list[Request]) -> float:
    """Wall time of the requests, one after another."""
    begin = time.perf_counter()
    for request in requests:
        connection.send(request)
    return (time.perf_counter() - begin) * 1000


def with_sources(request: Request) -> Request:
    """The legs with all that a hit shows in their answers."""
    return changed(request, {"_source": {"includes": list(layout.STORED)}, "stored_fields": []})


def collapsed(request: Request) -> Request:
    """The legs with one passage per document."""
    return changed(request, {"collapse": {"field": layout.DOC_ID}})


def changed(request: Request, options: dict[str, object]) -> Request:
    """The request with ``options`` in every search."""
    lines = (request.body or b"").splitlines()
    bodies = [orjson.dumps(orjson.loads(line) | options) if n % 2 else line for n, line in enumerate(lines)]
    return Request(request.method, request.path, request.params, b"\n".join(bodies) + b"\n", request.content_type)


if __name__ == "__main__":
    main()
