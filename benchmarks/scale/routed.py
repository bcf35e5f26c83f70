"""Whether bodies pay whose documents all go to one shard: python benchmarks/scale/routed.py --url URL [--rounds 5].

The same actions are sent twice a round, in turns, to a new index of ``--shards`` shards each: in the order of the
source, and grouped, so that a body has documents of one shard alone. Bodies are cut at the same bytes and numbers and
are built before the clock starts, two are in flight, refresh is off; the clock ends when everything can be found. An
engine cuts a body by shards and hands each part to a thread of its own: an ungrouped body is cut into ``--shards``
parts, which work side by side; a grouped one is a part by itself, and saves the cutting and answers put together.

The shard of an id comes of murmur3 of its UTF-16 code units, in one of two ways: which one the engine has is found by
asking it of the first ids (``_search_shards?routing=``) before anything is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[1] / "ingest"))

from corpus import CarriedVectors, Corpus  # of the benchmark of the ingest

from hybrid_search.engine import connect, indices
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest.state.lease import flat
from hybrid_search.ingest.target import schema_of
from hybrid_search.records import EncodedPassage, IndexSchema, Passage, Provenance
from hybrid_search.settings import EngineSettings, Settings

SENDERS = 2
BODY_BYTES = 5_000_000
CHECKED = 50
MASK = 0xFFFFFFFF
Action = tuple[str, bytes]


def murmur3(data: bytes) -> int:
    """MurmurHash3, x86, 32 bits, seed 0 (Austin Appleby, public domain), as a signed number."""
    hashed, whole = 0, len(data) - len(data) % 4
    for at in range(0, whole, 4):
        hashed ^= _mixed(int.from_bytes(data[at : at + 4], "little"))
        hashed = ((hashed << 13 | hashed >> 19) * 5 + 0xE6546B64) & MASK
    hashed ^= _mixed(int.from_bytes(data[whole:], "little"))
    hashed ^= len(data)
    hashed = (hashed ^ hashed >> 16) * 0x85EBCA6B & MASK
    hashed = (hashed ^ hashed >> 13) * 0xC2B2AE35 & MASK
    hashed ^= hashed >> 16
    return hashed - (1 << 32) if hashed >> 31 else hashed


def _mixed(block: int) -> int:
    block = block * 0xCC9E2D51 & MASK
    return (block << 15 | block >> 17) * 0x1B873593 & MASK


def by_ranges(id_: str, shards: int) -> int:
    """The shard of an id in an index that was never split: OpenSearch, and Elasticsearch until 8."""
    doublings = max(1, 10 - (shards - 1).bit_length())
    return murmur3(id_.encode("utf-16-le")) % (shards << doublings) >> doublings


def by_remainder(id_: str, shards: int) -> int:
    """The same in Elasticsearch 9."""
    return murmur3(id_.encode("utf-16-le")) % shards


def actions(connection: Connection, corpus: Corpus, *, texts_alone: bool) -> Iterator[Action]:
    """Ids and lines, for any index: the request names it."""
    origin = Provenance("corpus", 1, "0" * 32, 1)
    for document in corpus.documents():
        dense, sparse = (None, None) if texts_alone else (document.dense, document.sparse)
        encoded = EncodedPassage(Passage(document, 0, 0, len(document.text)), dense, sparse)
        line = index_action("INDEX", encoded, connection.dialect, IndexSchema(None, None), origin)
        yield encoded.passage.id, line


def in_order(given: Iterable[Action], documents: int) -> list[bytes]:
    """Bodies of so many documents, or :data:`BODY_BYTES`."""
    return list(_cut((line for _, line in given), documents))


def by_shard(given: Iterable[Action], documents: int, shard_of: Callable[[str], int]) -> list[bytes]:
    """The same for each shard by itself, in the order in which they are full."""
    groups: dict[int, list[bytes]] = {}
    for id_, line in given:
        groups.setdefault(shard_of(id_), []).append(line)
    cut = [list(_cut(lines, documents)) for lines in groups.values()]
    return [body for turn in range(max(map(len, cut))) for bodies in cut for body in bodies[turn : turn + 1]]


def _cut(lines: Iterable[bytes], documents: int) -> Iterator[bytes]:
    body: list[bytes] = []
    size = 0
    for line in lines:
        body.append(line)
        size += len(line)
        if len(body) >= documents or size >= BODY_BYTES:
            yield b"".join(body)
            body, size = [], 0
    if body:
        yield b"".join(body)


def seconds(connection: Connection, bodies: Sequence[bytes], shards: int, count: int) -> float:
    """From the first body until all documents can be found in a new index, which is deleted."""
    index = new_index(connection, shards)
    named = [body.replace(b'"INDEX"', f'"{index}"'.encode()) for body in bodies]
    try:
        began = time.perf_counter()
        with ThreadPoolExecutor(SENDERS) as threads:
            for _ in threads.map(lambda body: connection.send(bulk_request(body)), named):
                pass
        indices.refresh(connection, index)
        took = time.perf_counter() - began
        if (found := indices.count(connection, index)) != count:
            raise SystemExit(f"{found} of {count} documents are there")
    finally:
        indices.delete_index(connection, index)
    return took


def new_index(connection: Connection, shards: int) -> str:
    """An index of this package's layout, set as for a load."""
    name, settings = f"benchmark-routed-{uuid4().hex[:8]}", Settings(engine=EngineSettings(shards=shards))
    indices.create_index(connection, name, schema_of(CarriedVectors(), settings))
    indices.update_settings(connection, name, flat(connection.dialect.load_settings()))
    return name


def shards_of(connection: Connection, shards: int) -> Callable[[str], int]:
    """The way of this engine: the one that says of the first ids what the engine says of them."""
    index = new_index(connection, shards)
    try:
        said = {}
        for id_ in (f"d{number}#0" for number in range(CHECKED)):
            answer = connection.send(Request.json("GET", f"/{index}/_search_shards", routing=id_))
            said[id_] = answer["shards"][0][0]["shard"]
    finally:
        indices.delete_index(connection, index)
    for way in (by_ranges, by_remainder):
        if all(way(id_, shards) == shard for id_, shard in said.items()):
            print(f"shards of ids: {way.__name__}", flush=True)
            return partial(way, shards=shards)
    raise SystemExit("this engine finds the shard of an id in a third way")


def main() -> None:
    """Print the seconds of each way, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--documents", type=int, default=4_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--body", type=int, nargs="+", default=[1_000, 100], help="documents of a body")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--texts-alone", action="store_true", help="no vectors, whose graphs are most of the work")
    given = parser.parse_args()
    with connect(EngineSettings(url=given.url)) as connection:
        made = list(actions(connection, Corpus(given.documents), texts_alone=given.texts_alone))
        what = "texts alone" if given.texts_alone else "with vectors"
        print(f"{connection.dialect.engine}, {given.documents:,} documents, {given.shards} shards, {what}", flush=True)
        shard_of = shards_of(connection, given.shards)
        cost = partial(seconds, connection, shards=given.shards, count=given.documents)
        for documents in given.body:
            ways = {"in order": in_order(made, documents), "by shard": by_shard(made, documents, shard_of)}
            show(documents, ways, in_turns(ways, cost, given.rounds))
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def show(documents: int, ways: dict[str, list[bytes]], took: dict[str, list[float]]) -> None:
    """The seconds of each round, and what they say."""
    for way, times in took.items():
        shown = " ".join(f"{one:5.2f}" for one in times)
        print(f"  bodies of {documents:>5,} {way}: {len(ways[way]):>3} bodies, {shown} s", flush=True)
    before, grouped = took.values()
    ratio = statistics.median(before) / statistics.median(grouped)
    each = sorted(one / other for one, other in zip(before, grouped, strict=True))
    print(
        f"  bodies of {documents:>5,}: by shard {ratio:.2f} times as fast by medians,"
        f" {each[0]:.2f} to {each[-1]:.2f} within a round",
        flush=True,
    )


def in_turns(ways: dict[str, list[bytes]], cost: Callable[[list[bytes]], float], rounds: int) -> dict[str, list[float]]:
    """The seconds of each way in each round; who goes first changes, and a first round is not counted."""
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way in list(ways) if number % 2 else list(ways)[::-1]:
            spent = cost(ways[way])
            if number:
                took[way].append(spent)
    return took


if __name__ == "__main__":
    main()
