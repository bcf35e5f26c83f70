"""Late reranking from token states that a real engine stores, beside whole states: nDCG@10, and bytes on disk.

    python benchmarks/quality/late_stored.py ../shared/data/nfcorpus ../shared/data/scifact --url http://127.0.0.1:9200

For each BEIR folder two indices of whole documents, BM25 and dense, one with ``rerank.stored``: what the engine says
each takes on disk after its segments are merged, and what the default fusion gives as it is, reranked by what the first
index lacks and has to be encoded (whole states), and by what the second one stores. ``--queries`` takes the first so
many. The indices are deleted.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
from beir import WHOLE, unit
from numpy.typing import NDArray

from hybrid_search import read
from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.late_stored import compress
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection, connect
from hybrid_search.engine.indices import delete_index, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.evaluate.measures import measure as ranked
from hybrid_search.ingest import index_documents
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.settings import (
    DenseSettings,
    EncodeSettings,
    EngineSettings,
    RerankSettings,
    Settings,
    SparseSettings,
)

TIMED = 15
"""Queries whose reranking is timed both ways, in turns."""


class Once:
    """An encoder that gives a passage one pass, of which both indices and whole states are made.

    Args:
        encoder: with a bi-encoder.
        cache: a folder that keeps what was made, so that a run that was ended goes on; None keeps nothing.
    """

    def __init__(self, encoder: Any, cache: Path | None) -> None:
        self._encoder = encoder
        self._cache = cache
        self._kept: dict[str, tuple[NDArray[np.float32], NDArray[np.float16]]] = {}
        self.late = encoder.late

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def _encode(self, texts: Sequence[str]) -> None:
        if not texts:
            return
        part = list(dict.fromkeys(texts))
        path = None if self._cache is None else self._cache / f"{digest(part)}.npz"
        if path is not None and path.exists():
            made = np.load(path)
            dense, states, ends = made["dense"], made["states"], made["ends"]
        else:
            dense, states, ends = self._encoded(part)
            if path is not None:
                np.savez(path, dense=dense, states=states, ends=ends)
        self._kept |= zip(part, zip(dense, np.split(states, ends[:-1]), strict=True), strict=True)

    def _encoded(self, texts: Sequence[str]) -> tuple[Any, Any, Any]:
        model = self._encoder.bi_encoder
        dense = np.empty((len(texts), model.dimension), np.float32)
        states: list[Any] = [None] * len(texts)
        for rows, output in model.forward(texts, query=False):
            dense[rows] = model.vectors(output)
            for row, found, mask in zip(rows, output.states, output.mask, strict=True):
                states[row] = unit(found[mask].cpu().numpy()).astype(np.float16)
        return dense, np.concatenate(states), np.cumsum([len(one) for one in states])

    def states(self, text: str) -> NDArray[np.float32]:
        """The whole states of a passage, of length one."""
        return self._kept[text][1].astype(np.float32)

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors, and token states where the index stores them."""
        self._encode([text for text in texts if text not in self._kept])
        dense = np.stack([self._kept[text][0] for text in texts])
        return EncodedTexts(dense, None, [compress(self.states(text)) for text in texts] if self.late else None)


class Whole:
    """Late reranking by whole states, as where an index stores none."""

    def __init__(self, once: Once) -> None:
        self._once = once
        self.name = "late"

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """MaxSim of each passage, shape (n,), in order."""
        tokens = unit(self._once.bi_encoder.token_states([query], query=True)[0])
        return np.array([(tokens @ self._once.states(text).T).max(axis=1).mean() for text in passages], np.float32)


def digest(texts: Sequence[str]) -> str:
    """A name for what is made of some texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def main() -> None:
    """Load, measure, delete."""
    options = arguments()
    settings = Settings(
        chunking=WHOLE,
        dense=DenseSettings(model=options.dense),
        sparse=SparseSettings(model="none"),
        rerank=RerankSettings(model="late", stored=True),
        engine=EngineSettings(url=options.url),
        encode=EncodeSettings(backend=options.backend, precision=options.precision),
    )
    encoder = load_encoder(settings)
    with connect(settings.engine) as connection:
        for folder in options.folders:
            measure(folder, options.queries, settings, Once(encoder, options.cache), connection)


def measure(folder: Path, most: int | None, settings: Settings, once: Once, connection: Connection) -> None:
    """The lines of one set."""
    judged = read.qrels(folder, split="test")
    queries = [query for query in read.queries(folder) if query.id in judged][:most]
    without = msgspec.structs.replace(settings, rerank=RerankSettings(model="late"))
    dialect = connection.dialect
    print(f"\n{folder.name} on {dialect.engine} {'.'.join(map(str, dialect.version))}, {len(queries)} queries")
    with loaded(folder, settings, once, connection) as (stored, count, stored_bytes):
        once.late = None
        with loaded(folder, without, once, connection) as (plain, _, plain_bytes):
            each = (stored_bytes - plain_bytes) / count
            print(f"on disk, bytes a passage: {plain_bytes / count:,.0f}, and {each:,.0f} for token states")
            clients = {
                "whole states": SearchClient(
                    plain, settings=without, encoder=once, reranker=Whole(once), connection=connection
                ),
                "stored states": SearchClient(
                    stored,
                    settings=settings,
                    encoder=once,
                    reranker=load_reranker(settings, once),
                    connection=connection,
                ),
            }
            for name, client in clients.items():
                report(name, client, queries, judged)
            timing(clients["stored states"], queries[:TIMED])
            for client in clients.values():
                client.close()


def report(name: str, client: SearchClient, queries: list[Query], judged: Any) -> None:
    """nDCG@10 of the default fusion, and of it reranked."""
    for how, rerank in (("", False), (f", reranked by {name}", True)):
        found = client.search_many(queries, 10, rerank=rerank, timeout=600.0)
        rankings = {str(one.query.id): [(hit.id, hit.score) for hit in one.hits] for one in found}
        mean = ranked(judged, rankings, ["nDCG@10"]).mean["nDCG@10"]
        print(f"{found[0].fusion}{how}: nDCG@10 {mean:.4f}", flush=True)


def timing(client: SearchClient, queries: list[Query]) -> None:
    """Reranking the same 50 passages both ways, in turns: the ratio, since other work goes on."""
    reranker: Any = client.searcher.reranker
    seconds: dict[str, list[float]] = {"stored": [], "encoded": []}
    for query in queries:
        ids = [hit.passage_id for hit in client.search(query, 50, rerank=False).hits]
        texts, tokens = client.passages_to_score(ids)
        for way, call in (
            ("stored", lambda: reranker.score_stored(query.text, tokens)),  # noqa: B023 - called at once
            ("encoded", lambda: reranker.score(query.text, list(texts.values()))),  # noqa: B023
        ):
            begun = time.perf_counter()
            call()
            seconds[way].append(time.perf_counter() - begun)
    middle = {way: 1000 * median(found) for way, found in seconds.items()}
    print(
        f"reranking 50 passages: {middle['stored']:.1f} ms from stored states, {middle['encoded']:.0f} ms encoded"
        f" ({middle['encoded'] / middle['stored']:.0f} times), other work going on"
    )


@contextmanager
def loaded(folder: Path, settings: Settings, encoder: Any, connection: Connection) -> Iterator[tuple[str, int, int]]:
    """A new index of the set, its passages and its bytes on disk once its segments are one; it is deleted after."""
    index = f"late-{folder.name}-{uuid4().hex[:8]}"
    try:
        report = index_documents(read.documents(folder, settings.documents), index, connection, encoder, settings)
        connection.send(Request.json("POST", f"/{index}/_forcemerge", timeout=600.0, max_num_segments="1"))
        refresh(connection, index)
        stats = connection.send(Request.json("GET", f"/{index}/_stats/store,docs"))["_all"]["primaries"]
        yield index, report.passages, stats["store"]["size_in_bytes"]
    finally:
        delete_index(connection, index)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="BEIR folders: corpus, queries, qrels")
    parser.add_argument("--url", help="the cluster (default: the local node)")
    parser.add_argument("--dense", default=DenseSettings().model)
    parser.add_argument("--queries", type=int, help="the first so many judged queries (default: all)")
    parser.add_argument("--cache", type=Path, help="a folder that keeps what the model makes of passages; 1 GB a set")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="fp32")
    return parser.parse_args()


if __name__ == "__main__":
    main()
