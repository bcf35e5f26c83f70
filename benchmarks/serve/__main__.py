"""What the HTTP API costs over the client, how much one core answers, and how quickly the page is there and moves.

    python benchmarks/serve INDEX --queries ../shared/data/nfcorpus --url http://127.0.0.1:9200

Starts ``hybrid-search serve`` on a free port. The client and the API are asked in turn, each query by both before the
next; what a request costs of one core is the server's own processor time, the engine's not counted. The page is
measured in the Chromium of this machine (left out where there is none). Prints a table; ``--json FILE`` keeps it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil
from page import measured_page

from hybrid_search import read
from hybrid_search.search import SearchClient
from hybrid_search.settings import EngineSettings, SearchSettings, Settings

GOALS = {
    "API over the client, p50 ms": 2.0,
    "BM25 searches/s of one core": 200.0,
    "first paint, ms": 1000.0,
    "slider at 300 hits, p50 ms": 50.0,
}


def main() -> None:
    """Measure and print."""
    options = arguments()
    queries = [query.text for query in read.queries(options.queries)][: options.searches]
    found: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        with served(options.index, options.url, Path(folder), "--legs", "bm25") as (port, server):
            found |= overhead(options.index, options.url, port, queries)
            found |= capacity(port, server, queries, options.threads)
        with served(options.index, options.url, Path(folder), "--set", "search.window=300") as (port, _):
            found |= measured_page(f"http://127.0.0.1:{port}", queries[: options.looks])
    for name, value in found.items():
        print(f"{name:<36} {value:10.2f}" + (f"   goal {GOALS[name]:g}" if name in GOALS else ""))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("index")
    parser.add_argument("--queries", type=Path, required=True, help="JSON lines, TSV or a BEIR folder")
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--looks", type=int, default=5, help="queries that are looked at in the browser")
    parser.add_argument("--threads", type=int, default=8, help="searches at a time for the throughput")
    parser.add_argument("--url", help="the cluster (default: the local node)")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


@contextmanager
def served(index: str, url: str | None, folder: Path, *more: str) -> Iterator[tuple[int, psutil.Process]]:
    """The command, its port and its process."""
    command = [sys.executable, "-m", "hybrid_search", "serve", index, "--port", "0"]
    command += [*(["--url", url] if url else []), *more]
    package = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, cwd=folder, env=os.environ | package, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or not (said := re.search(r":(\d+)/", process.stdout.readline())):
                raise SystemExit("the server did not start")
            yield int(said[1]), psutil.Process(process.pid)
        finally:
            process.terminate()


class Caller:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def __call__(self, query: str) -> None:
        """One search of ten hits."""
        body = json.dumps({"query": query, "k": 10})
        self._connection.request("POST", "/search", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"status {answer.status}")


def overhead(index: str, url: str | None, port: int, queries: Sequence[str]) -> dict[str, float]:
    """Milliseconds of a search by the client, and by the API over one connection; the first ten warm both."""
    settings = Settings(engine=EngineSettings(url=url), search=SearchSettings(legs=("bm25",)))
    call, taken = Caller(port), ([], [])
    with SearchClient(index, settings=settings) as client:
        for query in [*queries[:10], *queries]:
            for ask, samples in ((lambda text: client.search(text, 10), taken[0]), (call, taken[1])):
                begin = time.perf_counter()
                ask(query)
                samples.append((time.perf_counter() - begin) * 1000)
    ours, theirs = taken[1][10:], taken[0][10:]
    return {
        "client, p50 ms": median(theirs),
        "API, p50 ms": median(ours),
        "API over the client, p50 ms": median(a - b for a, b in zip(ours, theirs, strict=True)),
    }


def capacity(port: int, server: psutil.Process, queries: Sequence[str], threads: int) -> dict[str, float]:
    """Searches a second: as many as came, and as many as the server's processor time of one core would answer."""
    before, begin = server.cpu_times(), time.perf_counter()
    shares = [queries[n::threads] for n in range(threads)]
    workers = [threading.Thread(target=lambda share=share: list(map(Caller(port), share))) for share in shares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wall, after = time.perf_counter() - begin, server.cpu_times()
    busy = after.user + after.system - before.user - before.system
    return {
        f"searches/s, {threads} at a time": len(queries) / wall,
        "processor ms of a search": 1000 * busy / len(queries),
        "BM25 searches/s of one core": len(queries) / busy,
    }


if __name__ == "__main__":
    main()
