"""What grows with the documents: python benchmarks/scale/state.py [--documents N N N] [--url URL] [--only NAME ...].

Each measure runs at several sizes, each in a process of its own, and what is said of a document is the slope between
them: what a process or a file costs by itself drops out. Memory is what the process holds by itself at its highest
(``RssAnon`` of Linux, looked at every 10 ms); pages of mapped files, which the system may drop, do not count. Documents
are small (a line of 100 bytes), have one sparse term and no dense vector; the cache has those of ``--dimension`` and
``--terms``. What needs an engine is left out without ``--url``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import orjson

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection, connect, indices
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.report import IngestProgress
from hybrid_search.ingest.source import index_source
from hybrid_search.ingest.state.cache import CachedVectors, VectorCache
from hybrid_search.ingest.state.journal import Journal, Part
from hybrid_search.ingest.state.letters import DeadLetters
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.ingest.work import Refusal
from hybrid_search.read import documents
from hybrid_search.read.identity import IdHashes
from hybrid_search.records import Document, Fingerprint, ResumePoint
from hybrid_search.settings import DocumentSettings, EngineSettings, Settings

RESULT = Path(__file__).parents[1] / "results" / "scale-state.json"
GOAL, MANY = 24, 50_000_000
"""Bytes of memory a document may take; the documents that all is extrapolated to."""
BODY, SPLIT = 1_000, 650_000
"""Documents of a body and of a split: 64 MiB of lines of 100 bytes."""
SETTINGS = Settings(documents=DocumentSettings(text=("text",)))
LINE = b'{"_id":"document-%09d","text":"the text of document %d is as short as the name of an article often is"}\n'
Given = argparse.Namespace
Figures = dict[str, float]


class Spans:
    """One token for a whole text."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(0, len(text))] for text in texts]


class OneTerm:
    """An encoder that costs nothing: one sparse term."""

    dense = None
    sparse = Fingerprint("sparse", "one term", "1" * 16)
    max_tokens = 100_000_000
    tokenizer = Spans()

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        return EncodedTexts(None, [{"7": 1.0}] * len(texts))

    encode_queries = encode_documents


def journal(count: int, folder: Path, _given: Given) -> Figures:
    """Its size, and opening it again."""
    parts = [Part(f"split-{n}", (1, 2, 3), lambda n=n: f"{n:032x}") for n in range(-(-count // SPLIT))]  # type: ignore[misc]
    path = folder / "journal"
    written = Journal(path, {"source": "x"}, parts)
    for first in range(0, count, BODY):
        part, within = divmod(first, SPLIT)
        written.wrote(1_700_000_000_000, BODY, part)
        end = min(within + BODY, SPLIT)
        written.settled(within, end, ResumePoint(end * 100, end), part)
    written.close()
    return timed(lambda: Journal(path, {"source": "x"}, parts).close(), path)


def ids(count: int, folder: Path, _given: Given) -> Figures:
    """The set of the ids of a source, for ids that come twice, ``--sync`` and ``verify``."""
    with SourceIds(folder) as seen:
        figures = timed(lambda: add_all(seen, count))
        return {**figures, "disk": seen.disk_bytes}


def hashes(count: int, _folder: Path, _given: Given) -> Figures:
    """The ids of a source that a program reads by ``hybrid_search.read.documents``."""
    found = IdHashes()
    return timed(lambda: add_all(found, count))


def add_all(known: SourceIds | IdHashes, count: int) -> None:
    """Ids that are all different."""
    for number in range(count):
        known.add(f"document-{number:09d}")


def cache(count: int, folder: Path, given: Given) -> Figures:
    """Rows of dense and sparse vectors, written and read again, in portions of 500."""
    draw, path = np.random.default_rng(1), folder / "vectors.sqlite"
    dense = draw.standard_normal((500, given.dimension), np.float32)
    terms = [str(number) for number in range(1_000, 30_000)]
    choose = random.Random(1)  # noqa: S311  # no secret
    weights = np.abs(draw.standard_normal(given.terms)).astype(np.float32).tolist()
    rows = [CachedVectors(one, dict(zip(choose.sample(terms, given.terms), weights, strict=True))) for one in dense]
    models = b"m" * 16
    with VectorCache(path) as kept:

        def work() -> None:
            for first in range(0, count, 500):
                texts = [f"text {number}" for number in range(first, first + 500)]
                kept.put(models, texts, rows)
                kept.get(models, texts)

        return timed(work, path)


def letters(count: int, folder: Path, _given: Given) -> Figures:
    """Dead letters, had every document been refused."""
    path = folder / "letters.jsonl"
    kept = DeadLetters(path)

    def work() -> None:
        for number in range(count):
            document = Document(f"document-{number:09d}", "the text of a document that is refused")
            kept.write([Refusal(document, f"{document.id}#0", 400, "a type of error", "the reason of the engine")])

    figures = timed(work, path)
    kept.close()
    return figures


def load(count: int, folder: Path, given: Given) -> Figures:
    """A load into a new index."""
    with loaded_into(given, folder, count) as (source, index, connection):
        return timed(lambda: run(source, index, connection, folder))


def compare(count: int, folder: Path, given: Given) -> Figures:
    """A load of what is there already."""
    with loaded_into(given, folder, count) as (source, index, connection):
        run(source, index, connection, folder)
        return timed(lambda: run(source, index, connection, folder))


def sync(count: int, folder: Path, given: Given) -> Figures:
    """The same with ``--sync``, one document of a hundred having gone."""
    with loaded_into(given, folder, count) as (source, index, connection):
        run(source, index, connection, folder)
        with source.open("wb") as file:
            file.writelines(LINE % (number, number) for number in range(count) if number % 100)
        return timed(lambda: run(source, index, connection, folder, what=SourceOptions(sync=True)))


def verified(count: int, folder: Path, given: Given) -> Figures:
    """``verify``."""
    with loaded_into(given, folder, count) as (source, index, connection):
        run(source, index, connection, folder)
        read = documents(source, SETTINGS.documents, unique_ids=False)
        return timed(lambda: verify(read, index, connection, SETTINGS.chunking, source=source.name) and None)


def resume(count: int, folder: Path, given: Given) -> Figures:
    """Going on with a load of which nearly all is settled."""
    with loaded_into(given, folder, count) as (source, index, connection):

        def stop(progress: IngestProgress) -> None:
            if progress.documents >= count - 5 * BODY:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            run(source, index, connection, folder, progress=stop)
        return timed(lambda: run(source, index, connection, folder), *folder.glob("journal"))


def large(count: int, folder: Path, given: Given) -> Figures:
    """One document of ``count`` bytes: what is said of a document is said of a byte."""
    source = folder / "large.jsonl"
    words = "a word and another one that is longer. " * (count // 39)
    source.write_bytes(orjson.dumps({"_id": "large", "text": words}) + b"\n")
    del words
    settings = Settings(documents=SETTINGS.documents, chunking=type(SETTINGS.chunking)(max_tokens=200))
    with index_of(given) as (index, connection):
        return timed(lambda: index_source(source, index, connection, ByWords(), settings, files=LoadFiles()) and None)


class ByWords(OneTerm):
    """A token for each run of five characters."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(n, min(n + 5, len(text))) for n in range(0, len(text), 5)] for text in texts]

    @property
    def tokenizer(self) -> ByWords:  # type: ignore[override]
        return self


def run(source: Path, index: str, connection: Connection, folder: Path, **more: Any) -> None:
    """A load with a journal."""
    index_source(source, index, connection, OneTerm(), SETTINGS, files=LoadFiles(folder / "journal"), **more)


class index_of:  # noqa: N801  # used as a function
    """An index that is deleted again."""

    def __init__(self, given: Given) -> None:
        self._name = f"benchmark-state-{uuid4().hex[:8]}"
        self._connection = connect(EngineSettings(url=given.url))

    def __enter__(self) -> tuple[str, Connection]:
        return self._name, self._connection

    def __exit__(self, *_: object) -> None:
        indices.delete_index(self._connection, self._name)
        self._connection.close()


class loaded_into(index_of):  # noqa: N801  # used as a function
    """A source of so many documents beside it."""

    def __init__(self, given: Given, folder: Path, count: int) -> None:
        super().__init__(given)
        self._source = folder / "source.jsonl"
        with self._source.open("wb") as file:
            file.writelines(LINE % (number, number) for number in range(count))

    def __enter__(self) -> tuple[Path, str, Connection]:  # type: ignore[override]
        return self._source, self._name, self._connection


def timed(work: Callable[[], None], *files: Path) -> Figures:
    """Seconds, bytes of memory at the highest above those before, bytes of files."""
    ended, highest, before = threading.Event(), [0], own_memory()

    def watch() -> None:
        while not ended.wait(0.01):
            highest[0] = max(highest[0], own_memory() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    ended.set()
    watcher.join()
    memory = max(highest[0], own_memory() - before)
    return {"seconds": seconds, "memory": memory, "disk": sum(path.stat().st_size for path in files)}


def own_memory() -> int:
    """Bytes that the process holds by itself."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not say what a process holds")


ALONE: dict[str, Callable[[int, Path, Given], Figures]] = {
    "journal": journal,
    "ids of a source": ids,
    "ids for a program": hashes,
    "vector cache": cache,
    "dead letters": letters,
}
WITH_ENGINE: dict[str, Callable[[int, Path, Given], Figures]] = {
    "load": load,
    "resume": resume,
    "compare": compare,
    "sync": sync,
    "verify": verified,
}


def main() -> None:
    """Measure, print and keep the slopes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[20_000, 100_000, 500_000])
    parser.add_argument("--texts", type=int, nargs="+", default=[2_000, 10_000, 20_000], help="of the vector cache")
    parser.add_argument("--bytes", type=int, nargs="+", default=[5_000_000, 20_000_000, 50_000_000])
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--terms", type=int, default=250)
    parser.add_argument("--url", help="a node")
    parser.add_argument("--only", nargs="+", help="names of measures")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    every = {**ALONE, **(WITH_ENGINE if given.url else {}), **({"a large document": large} if given.url else {})}
    if given.one is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(every[given.one[0]](int(given.one[1]), Path(folder), given)))
        return
    kept = json.loads(given.result.read_text()) if given.result.exists() else {}
    for name in given.only or every:
        sizes = {"a large document": given.bytes, "vector cache": given.texts}.get(name, given.documents)
        kept[name] = slopes(sizes, [in_a_process(name, size) for size in sizes])
        print(row(name, kept[name]), flush=True)
        kept["load_average"] = [round(one, 1) for one in os.getloadavg()]
        given.result.write_text(json.dumps(kept, indent=2) + "\n")


def in_a_process(name: str, size: int) -> Figures:
    """The figures of one measure at one size."""
    command = [sys.executable, __file__, *sys.argv[1:], "--one", name, str(size)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_STATE_HOME": folder, "XDG_CACHE_HOME": folder}
        figures: Figures = json.loads(subprocess.check_output(command, env=environment))
    return figures


def slopes(sizes: Sequence[int], figures: Sequence[Figures]) -> dict[str, Any]:
    """For each document: bytes of memory and disk, microseconds; by least squares over the sizes."""

    def slope(name: str) -> float:
        return float(np.polyfit(sizes, [one[name] for one in figures], 1)[0])

    return {
        "sizes": [*sizes],
        "figures": [{name: round(value, 3) for name, value in one.items()} for one in figures],
        "memory_bytes": round(slope("memory"), 2),
        "disk_bytes": round(slope("disk"), 2),
        "microseconds": round(1e6 * slope("seconds"), 2),
    }


def row(name: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    memory, disk, time_ = (found[key] for key in ("memory_bytes", "disk_bytes", "microseconds"))
    if name == "a large document":
        return f"{name:18} {memory:6.1f} bytes of memory a byte, {memory * 50e6 / 1e6:,.0f} MB for one of 50 MB"
    over = "" if memory <= GOAL else f"  above the goal of {GOAL}"
    held, kept = max(0.0, memory) * MANY / 1e9, disk * MANY / 1e9
    at = f"at {MANY:,}: {held:6.2f} GB, {kept:7.2f} GB, {time_ * MANY / 6e7:7.1f} min"
    return f"{name:18} memory {memory:8.2f} B  disk {disk:8.2f} B  {time_:8.2f} us a document  {at}{over}"


if __name__ == "__main__":
    main()
