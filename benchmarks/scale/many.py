"""Many small documents in one run: python benchmarks/scale/many.py --url URL [--documents N] [--minutes M].

A source of ``--documents`` lines is written (120 bytes each, of words that this script makes), and loaded by
``--workers`` processes: by one with a journal, by several together as ``index --join`` does. Vectors cost nothing: each
text has one of a pool, 16 dimensions that are drawn and the heaviest ``--terms`` terms of a recorded SPLADE vector of
``--vectors`` (drawn ones without it). So what is measured is everything but the models.

Every ten seconds: documents, memory of each process (``RssAnon``: what it holds by itself), heap of the engine, bytes
of the index, bytes of the journal. After ``--minutes`` the load is broken off; then it is begun again, and ended when
the first document is settled: so long does it take to go on. At last the index must hold what was settled. Ends with 1
where memory grows by more than 24 bytes a document (by least squares, the first fifth of the run left out), or one is
lost.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection, connect, indices
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.report import IngestProgress
from hybrid_search.ingest.source import index_source
from hybrid_search.ingest.state.indexed import document_count
from hybrid_search.records import Fingerprint
from hybrid_search.settings import DocumentSettings, EngineSettings, Settings

RESULT = Path(__file__).parents[1] / "results" / "scale-many.json"
GOAL = 24
"""Bytes of memory a document may take."""
DIMENSION, POOL, FILE = 16, 2_000, 500_000
"""Components of a dense vector, vectors of the pool, documents of a file."""
EVERY, HELD_BACK = 10.0, 0.2
"""Seconds between two looks; the share of the run that is left out, until pools and buffers are full."""
SETTINGS = Settings(documents=DocumentSettings(text=("text",), number=("number",)))
SYLLABLES = ("ba", "cor", "de", "fi", "gul", "ha", "jo", "ker", "lu", "mi", "nos", "pra", "qua", "re", "sto", "tum")
Given = argparse.Namespace


class Spans:
    """One token for a whole text."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(0, len(text))] for text in texts]


class Pool:
    """An encoder that takes the vectors of a text from a pool, by the text's checksum."""

    dense = Fingerprint("dense", "pool", "0" * 16, dimension=DIMENSION, normalized=False)
    sparse = Fingerprint("sparse", "pool", "1" * 16)
    max_tokens = 512
    tokenizer = Spans()

    def __init__(self, vectors: Path | None, terms: int) -> None:
        draw = np.random.default_rng(1)
        self._dense = draw.standard_normal((POOL, DIMENSION), np.float32)
        self._sparse = recorded(vectors, terms) if vectors is not None else drawn(draw, terms)

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        places = [zlib.crc32(text.encode()) % POOL for text in texts]
        return EncodedTexts(self._dense[places], [self._sparse[place % len(self._sparse)] for place in places])

    encode_queries = encode_documents


def recorded(path: Path, terms: int) -> list[dict[str, float]]:
    """The heaviest terms of recorded vectors (``vector``: token to weight), with numbers in the place of tokens."""
    numbers: dict[str, str] = {}
    found = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line, _ in zip(file, range(POOL), strict=False):
            vector = sorted(json.loads(line)["vector"].items(), key=lambda item: -item[1])[:terms]
            found.append({numbers.setdefault(token, str(len(numbers) + 1)): weight / 100 for token, weight in vector})
    return found


def drawn(draw: np.random.Generator, terms: int) -> list[dict[str, float]]:
    """As many terms of a vocabulary of 30,000, with weights up to 3."""
    return [
        {str(term): round(float(weight), 3) for term, weight in zip(numbers, weights, strict=True)}
        for numbers, weights in zip(
            draw.integers(1_000, 30_000, (POOL, terms)), draw.uniform(0.01, 3.0, (POOL, terms)), strict=True
        )
    ]


def write(folder: Path, count: int) -> None:
    """The source: files of half a million documents."""
    draw = np.random.default_rng(2)
    words = ["".join(draw.choice(SYLLABLES, size=draw.integers(1, 4))) for _ in range(5_000)]
    for first in range(0, count, FILE):
        chosen = draw.zipf(1.3, (min(FILE, count - first), 8)) % len(words)
        with (folder / f"part-{first // FILE:05d}.jsonl").open("w", encoding="ascii") as file:
            file.writelines(
                f'{{"_id":"n{number}","text":"{" ".join(words[n] for n in places)} {number}","number":{number}}}\n'
                for number, places in enumerate(chosen, first)
            )


def work(given: Given) -> None:
    """One process of the load: its progress goes to standard output, a number a line."""
    told = [0.0]

    def tell(progress: IngestProgress) -> None:
        if progress.documents and time.monotonic() - told[0] >= 1.0:
            told[0] = time.monotonic()
            print(progress.documents, flush=True)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    folder, index = given.work
    files = LoadFiles(None if given.workers > 1 else Path(folder) / "journal", Path(folder) / f"letters-{os.getpid()}")
    what = SourceOptions(name="many", join=given.workers > 1)
    encoder = Pool(given.vectors, given.terms)
    with connect(EngineSettings(url=given.url)) as connection:
        try:
            where, how = (Path(folder) / "source", index, connection, encoder, SETTINGS), LoadOptions()
            report = index_source(*where, files=files, what=what, progress=tell, options=how)
        except KeyboardInterrupt:
            print("stopped", flush=True)
        else:
            print(f"ended {report.documents} {report.indexed} {report.refused}", flush=True)


@dataclass(slots=True)
class Worker:
    """A process of the load, and what it has told: documents, and its last line."""

    process: subprocess.Popen[str]
    documents: int = 0
    last: str = ""

    def hear(self) -> None:
        for line in self.process.stdout or ():
            self.last = line.strip()
            if self.last.isdigit():
                self.documents = int(self.last)

    @property
    def memory(self) -> int:
        """Bytes that it holds by itself, 0 when it has ended."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


@contextmanager
def workers(given: Given, folder: Path, index: str) -> Iterator[list[Worker]]:
    """The processes of a load; they are ended, in order, with the block."""
    command = [sys.executable, __file__, *sys.argv[1:], "--work", str(folder), index]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    found: list[Worker] = []
    try:
        for _ in range(given.workers):
            found.append(Worker(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)))
            threading.Thread(target=found[-1].hear, daemon=True).start()
        yield found
    finally:
        for worker in found:
            worker.process.terminate()
        for worker in found:
            worker.process.wait()


def watch(given: Given, folder: Path, index: str, connection: Connection) -> tuple[list[dict[str, float]], bool]:
    """Load until the end, or as long as is given; what was seen, and whether it came to its end."""
    began, seen = time.perf_counter(), []
    with workers(given, folder, index) as running:
        while any(worker.process.poll() is None for worker in running):
            time.sleep(EVERY if given.minutes > 1 else EVERY / 5)
            seconds = time.perf_counter() - began
            seen.append({"seconds": round(seconds, 1), **look(running, folder, index, connection)})
            rate = seen[-1]["documents"] / seconds
            print(
                f"{seconds:7.0f} s {seen[-1]['documents']:12,.0f} documents {rate:9,.0f}/s  {told(seen[-1])}",
                flush=True,
            )
            if seconds >= 60 * given.minutes:
                break
        is_whole = all(worker.process.poll() == 0 and worker.last.startswith("ended") for worker in running)
    return seen, is_whole


def look(running: Sequence[Worker], folder: Path, index: str, connection: Connection) -> dict[str, float]:
    """Documents and bytes at this moment."""
    nodes = connection.send(Request.json("GET", "/_nodes/stats/jvm"))["nodes"].values()
    exists = indices.exists(connection, index)
    stats = connection.send(Request.json("GET", f"/{index}/_stats/store,segments")) if exists else {}
    journal = folder / "journal"
    return {
        "documents": sum(worker.documents for worker in running),
        "memory": max(worker.memory for worker in running),
        "heap": sum(node["jvm"]["mem"]["heap_used_in_bytes"] for node in nodes),
        "index": stats["_all"]["total"]["store"]["size_in_bytes"] if exists else 0,
        "segments": stats["_all"]["total"]["segments"]["count"] if exists else 0,
        "journal": journal.stat().st_size if journal.exists() else 0,
    }


def told(one: dict[str, float]) -> str:
    """The bytes of a look in MB."""
    names = ("memory", "heap", "index")
    return ", ".join(f"{name} {one[name] / 1e6:,.0f} MB" for name in names) + f", journal {one['journal']:,.0f} B"


def going_on(given: Given, folder: Path, index: str) -> float:
    """Seconds until a load that is begun again has settled its first document."""
    began = time.perf_counter()
    with workers(given, folder, index) as running:
        while not any(worker.documents for worker in running):
            if all(worker.process.poll() is not None for worker in running):
                break
            time.sleep(0.1)
        return time.perf_counter() - began


def slope(seen: Sequence[dict[str, float]], name: str) -> float:
    """Bytes a document, by least squares without the beginning of the run."""
    kept = [one for one in seen if one["documents"] >= HELD_BACK * seen[-1]["documents"] and one[name]]
    if len(kept) < 3:
        return 0.0
    return float(np.polyfit([one["documents"] for one in kept], [one[name] for one in kept], 1)[0])


def rate(seen: Sequence[dict[str, float]]) -> float:
    """Documents a second between the first and the last look of some."""
    if len(seen) < 2:
        return 0.0
    return (seen[-1]["documents"] - seen[0]["documents"]) / max(seen[-1]["seconds"] - seen[0]["seconds"], 0.1)


def measured(given: Given, folder: Path, connection: Connection, index: str) -> dict[str, Any]:
    """The whole run."""
    seen, is_whole = watch(given, folder, index, connection)
    again = None if is_whole else going_on(given, folder, index)
    indices.refresh(connection, index)
    held, third = document_count(connection, index), max(2, len(seen) // 3)
    return {
        "engine": f"{connection.dialect.engine} {'.'.join(map(str, connection.dialect.version))}",
        "documents": given.documents,
        "workers": given.workers,
        "vectors": f"{DIMENSION} dimensions, {given.terms} terms, {'recorded' if given.vectors else 'drawn'}",
        "load_average": [round(one, 1) for one in os.getloadavg()],
        "is_whole": is_whole,
        "settled": seen[-1]["documents"],
        "in_index": held,
        "documents_per_second": round(rate(seen)),
        "first_third_per_second": round(rate(seen[:third])),
        "last_third_per_second": round(rate(seen[-third:])),
        "memory_bytes_a_document": round(slope(seen, "memory"), 2),
        "journal_bytes_a_document": round(slope(seen, "journal"), 3),
        "index_bytes_a_document": round(slope(seen, "index"), 1),
        "most_memory": max(one["memory"] for one in seen),
        "going_on_seconds": None if again is None else round(again, 1),
        "seen": seen,
    }


def main() -> None:
    """Write, load, look, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="a node")
    parser.add_argument("--documents", type=int, default=10_000_000)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--terms", type=int, default=8)
    parser.add_argument("--vectors", type=Path, help="recorded vectors, JSON lines, gzip")
    parser.add_argument("--folder", type=Path, help="where the source is written (120 bytes a document)")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work is not None:
        work(given)
        return
    index = f"benchmark-many-{uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, connect(EngineSettings(url=given.url)) as connection:
        (Path(folder) / "source").mkdir()
        write(Path(folder) / "source", given.documents)
        try:
            figures = measured(given, Path(folder), connection, index)
        finally:
            indices.delete_index(connection, index)
    kept = json.loads(given.result.read_text()) if given.result.exists() else {}
    key = f"{figures['engine']}, {given.workers} {'worker' if given.workers == 1 else 'workers'}"
    given.result.write_text(json.dumps({**kept, key: figures}, indent=2) + "\n")
    print(json.dumps({name: value for name, value in figures.items() if name != "seen"}, indent=2))
    lost = figures["in_index"] < figures["settled"] or (figures["is_whole"] and figures["in_index"] != given.documents)
    if lost or figures["memory_bytes_a_document"] > GOAL:
        sys.exit("documents are lost" if lost else f"memory grows by more than {GOAL} bytes a document")


if __name__ == "__main__":
    main()
