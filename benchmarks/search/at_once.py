"""Many searches at a time: throughput against a replay of the same requests, and the client's own time.

    python benchmarks/search/at_once.py --url http://127.0.0.1:9200 --documents 100000
    python benchmarks/search/at_once.py --url http://127.0.0.1:9200 --index scifact --queries ../shared/data/scifact

Without ``--index`` it fills one with generated documents (384 components, 150 to 200 sparse terms) and deletes it in
the end. Queries are encoded beforehand, so that both ways wait for the engine alone; ``--profile`` prints where the own
time goes.

**Throughput**: 64 searches are under way at a time (a page of 10 from three legs, then their passages); what they send
is kept. The replay sends the very same requests over as many connections, 64 at a time too, and reads the answers
without decoding them. Both in turn, several times; the ratio is that of the medians.

**Own time** of a search: all but the exchange with the engine and the model, one search after the other. It has the
building of requests, the vendor's client, decoding, fusion and the result. By the clock, and by the processor, which a
busy machine does not change.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import aiohttp
import numpy as np

from hybrid_search import read
from hybrid_search.encode import load_encoder
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection, connect, connect_async
from hybrid_search.engine.bounds import BoundedPool
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, delete_index, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Passage
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import EngineSettings, SearchSettings, Settings

DIMENSION, VOCABULARY = 384, 30_000
SCHEMA = IndexSchema(
    Fingerprint("dense", "generated", "0" * 16, dimension=DIMENSION, normalized=True),
    Fingerprint("sparse", "generated", "1" * 16),
)


def main() -> None:
    """Measure and print."""
    options = arguments()
    settings = Settings(
        engine=EngineSettings(url=options.url, connections=options.connections),
        search=SearchSettings(cached_queries=0, timeout=600),
    )
    with connect(settings.engine) as connection, index_of(options, connection) as (index, texts, encoder):
        bench = Bench(index, texts, Known(encoder, texts), settings, options)
        own_time(bench, connection)
        asyncio.run(throughput(bench))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--index", help="one that is there (default: a generated one)")
    parser.add_argument("--queries", type=Path, help="for --index: JSON lines, TSV or a BEIR folder")
    parser.add_argument("--documents", type=int, default=5000, help="of the generated index")
    parser.add_argument("--searches", type=int, default=640, help="in each round")
    parser.add_argument("--concurrent", type=int, default=64)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    return parser.parse_args()


class Known:
    """An encoder that has encoded every query beforehand."""

    max_tokens = 512

    def __init__(self, encoder: Any, texts: Sequence[str]) -> None:
        self.dense, self.sparse, self.tokenizer = encoder.dense, encoder.sparse, None
        made = encoder.encode_queries(texts)
        self._rows = dict(zip(texts, zip(made.dense, made.sparse, strict=True), strict=True))

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        """Their vectors, as they were made."""
        rows = [self._rows[text] for text in texts]
        return EncodedTexts(np.stack([dense for dense, _ in rows]), [sparse for _, sparse in rows])


class Generated:
    """Vectors drawn with the number at the beginning of a text as the seed."""

    dense, sparse = SCHEMA.dense, SCHEMA.sparse

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        """Unit vectors, and 20 to 40 terms, the frequent ones more often."""
        random = [np.random.default_rng(int(text.split()[0])) for text in texts]
        return EncodedTexts(
            np.stack([unit(one) for one in random]), [terms(one, int(one.integers(20, 40))) for one in random]
        )


def unit(random: np.random.Generator) -> np.ndarray:
    """float32 of shape (DIMENSION,) and length 1."""
    vector = random.standard_normal(DIMENSION).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def terms(random: np.random.Generator, count: int) -> dict[str, float]:
    """``count`` terms, at most, by Zipf's law."""
    drawn = random.zipf(1.3, count) % VOCABULARY
    return {str(term): float(weight) for term, weight in zip(drawn, random.uniform(0.1, 3, count), strict=True)}


def words(random: np.random.Generator, count: int) -> str:
    """``count`` words by Zipf's law."""
    return " ".join(f"w{number}" for number in random.zipf(1.2, count) % VOCABULARY)


@contextmanager
def index_of(options: argparse.Namespace, connection: Connection) -> Iterator[tuple[str, list[str], Any]]:
    """The index, its queries, and what encodes them."""
    if options.index is not None:
        texts = [query.text for query in read.queries(options.queries)][: options.searches]
        settings = Settings(engine=EngineSettings(url=options.url))
        with SearchClient(options.index, settings=settings, connection=connection) as client:
            yield options.index, texts, client.searcher.encoder or load_encoder(settings)
        return
    index = f"benchmark-concurrent-{uuid4().hex[:8]}"
    create_index(connection, index, replace(SCHEMA, replicas=0))
    try:
        fill(connection, index, options.documents)
        random = np.random.default_rng(5)
        yield index, [f"{number} {words(random, 6)}" for number in range(options.searches)], Generated()
    finally:
        delete_index(connection, index)


def fill(connection: Connection, index: str, count: int) -> None:
    """Write generated documents of 60 words, 500 at a time."""
    random = np.random.default_rng(7)
    for begin in range(0, count, 500):
        lines = []
        for number in range(begin, min(count, begin + 500)):
            document = Document(f"d{number}", words(random, 60), {"n": number})
            passage = Passage(document, 0, 0, len(document.text))
            encoded = EncodedPassage(passage, unit(random), terms(random, int(random.integers(150, 200))))
            lines.append(index_action(index, encoded, connection.dialect, SCHEMA))
        connection.send(bulk_request(b"".join(lines)))
    refresh(connection, index)


@dataclass
class Waiting:
    """The time of one search that was spent in exchanges with the engine, by the clock and by the processor."""

    wall: float = 0.0
    processor: float = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """A part of it."""
        wall, processor = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self.wall += time.perf_counter() - wall
            self.processor += time.thread_time() - processor


@dataclass(frozen=True)
class Bench:
    """What is searched, for what, and with what."""

    index: str
    texts: Sequence[str]
    known: Known
    settings: Settings
    options: argparse.Namespace


def own_time(bench: Bench, connection: Connection) -> None:
    """Print the milliseconds of a search that are the client's own."""
    waiting, exchange = Waiting(), BoundedPool.urlopen

    def timed(pool: BoundedPool, *args: Any, **more: Any) -> Any:
        with waiting.counted():
            return exchange(pool, *args, **more)

    BoundedPool.urlopen = timed  # type: ignore[method-assign]
    try:
        with SearchClient(bench.index, settings=bench.settings, encoder=bench.known, connection=connection) as client:
            begin_model = client._begin  # noqa: SLF001 - where the wait for a model is
            client._begin = lambda *args: counting(waiting, begin_model(*args))  # type: ignore[method-assign]  # noqa: SLF001
            for text in bench.texts[:50]:
                client.search(text)
            profile = cProfile.Profile() if bench.options.profile else None
            wall, processor = samples(client.search, bench.texts, waiting, profile)
    finally:
        BoundedPool.urlopen = exchange  # type: ignore[method-assign]
    print(f"own time, {len(wall):,} searches   p50 {at(wall, 50):6.2f} ms   p99 {at(wall, 99):6.2f} ms   by the clock")
    print(f"{'':<26} p50 {at(processor, 50):6.2f} ms   p99 {at(processor, 99):6.2f} ms   by the processor")
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)


def counting(waiting: Waiting, wait: Callable[[], Any]) -> Callable[[], Any]:
    """The same wait, counted."""

    def counted() -> Any:
        with waiting.counted():
            return wait()

    return counted


def samples(
    search: Callable[[str], object], texts: Sequence[str], waiting: Waiting, profile: cProfile.Profile | None
) -> tuple[list[float], list[float]]:
    """Own milliseconds of every search, by the clock and by the processor of this thread."""
    walls, processors = [], []
    gc.collect()
    for text in texts:
        waiting.wall = waiting.processor = 0.0
        wall, processor = time.perf_counter(), time.thread_time()
        if profile is not None:
            profile.runcall(search, text)
        else:
            search(text)
        walls.append((time.perf_counter() - wall - waiting.wall) * 1000)
        processors.append((time.thread_time() - processor - waiting.processor) * 1000)
    return walls, processors


def at(values: Sequence[float], percent: float) -> float:
    """A percentile."""
    return float(np.percentile(values, percent))


@dataclass
class Kept:
    """A transport that keeps what is sent."""

    inner: Any
    sent: list[Request] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The address."""
        return str(self.inner.where)

    async def send(self, request: Request) -> Any:
        """The answer."""
        self.sent.append(request)
        return await self.inner.send(request)

    async def close(self) -> None:
        """Close the connection."""
        await self.inner.close()


async def throughput(bench: Bench) -> None:
    """Print searches a second, both ways."""
    texts, settings, options = bench.texts, bench.settings, bench.options
    opened = await connect_async(settings.engine)
    kept = Kept(opened.transport)
    took: dict[str, list[float]] = {"client": [], "replay": []}
    async with (
        replace(opened, transport=kept) as connection,
        AsyncSearchClient(bench.index, settings=settings, encoder=bench.known, connection=connection) as client,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=options.connections)) as session,
    ):
        await seconds(client.search, texts, options.concurrent)
        for _ in range(options.rounds):
            kept.sent.clear()
            took["client"].append(await seconds(client.search, texts, options.concurrent))
            pairs = [request for request in kept.sent if request.path.endswith("_msearch")]
            send = raw(session, settings.engine)
            took["replay"].append(await seconds(send, pairs, options.concurrent))
    for way, samples_of in took.items():
        print(f"{way:<8} {len(texts) / median(samples_of):8.1f} searches/s, {options.concurrent} at a time")
    ratios = [replay / ours for ours, replay in zip(took["client"], took["replay"], strict=True)]
    ratio = median(took["replay"]) / median(took["client"])
    print(f"ratio    {ratio:8.2f}   rounds {min(ratios):.2f} to {max(ratios):.2f}")


def raw(session: aiohttp.ClientSession, engine: EngineSettings) -> Callable[[Request], Any]:
    """What posts a request and reads the answer, no more."""

    async def send(request: Request) -> None:
        headers = {"content-type": request.content_type, "accept": "application/json"}
        async with session.post(f"{engine.url}{request.path}", data=request.body, headers=headers) as answer:
            await answer.read()

    return send


async def seconds(act: Callable[[Any], Any], items: Sequence[Any], concurrent: int) -> float:
    """How long it takes to do all of them, so many at a time."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await act(item)

    begin = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrent)))
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
